//! Connections over the kernel's own Multipath TCP: chosen, opened, watched, and moved off a dead path.
//!
//! The kernel moves the bytes; what is done here is to say truly what it can do, and to tell it sooner than it would find
//! out that a path is dead. MPTCP may be refused by the peer, or taken out by something on the way: at once, after the
//! handshake, or on the second path alone.

mod choice;
mod claim;
mod course;
mod endpoints;
mod keep;
mod outage;
mod relief;
mod seen;
mod watch;

pub(crate) use choice::Choice;
pub(crate) use claim::Ends;
pub(crate) use endpoints::{Endpoints, usable};
pub(crate) use keep::keep;
pub use relief::Relief;
pub(crate) use watch::{Look, Watcher};
