//! Requests to web servers that know nothing of two paths.

mod download;
mod scene;

use scene::{WebScene, play};
