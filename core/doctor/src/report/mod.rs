//! What was found out, for people and for programs.

mod html;
mod json;
mod terminal;
mod words;

pub use html::html;
pub use json::{compared_json, json, many_json, trace_json};
pub use terminal::{Style, text};
pub use words::options_in_words;
