//! Requests to web servers that know nothing of two paths.

mod answers;
mod download;
mod faults;
mod fetch;
mod mandates;
mod real;
mod replay;
mod scene;

use scene::{WebScene, play, play_in};
