//! Connections to any server over plain TCP, one path at a time: watched, given up when their path dies, and gone on
//! with over the other path where that is safe.

mod interrupted;
mod keep;
mod replay;
mod tally;
mod ways;

pub use interrupted::{Interrupted, InterruptedCause};
pub(crate) use keep::keep;
pub(crate) use replay::Replay;
pub(crate) use tally::Tally;
pub(crate) use ways::Ways;
