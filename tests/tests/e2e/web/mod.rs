//! Requests to web servers that know nothing of two paths.

mod answers;
mod download;
mod faults;
mod fetch;
mod replay;
mod scene;

use scene::{WebScene, play};
