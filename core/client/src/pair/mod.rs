//! Connections to any server over plain TCP, one path at a time: watched, given up when their path dies, and gone on
//! with over the other path where that is safe.

mod attention;
mod interrupted;

pub(crate) use attention::{Attention, Awaiting};
pub use interrupted::{Interrupted, InterruptedCause};
