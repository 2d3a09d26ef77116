//! Whether a network lets Multipath TCP (RFC 8684, TCP option 30) through, and who stops it.
//!
//! Three ways to know, each more certain than the one before: what the kernel's own connections show
//! ([`twinpath::diagnosis`], no privilege); [SYNs of our own making](probe), which harm nobody and
//! tell a server that does not speak MPTCP from a path that takes the option out; and
//! [SYNs whose life ends on the way](trace), of which routers send back what reached them.
//!
//! All parsing of what arrives is in [`packet`], and believes nothing.

pub mod advice;
mod examine;
pub mod listen;
pub mod packet;
pub mod probe;
pub mod report;
pub mod trace;

pub(crate) use examine::joins_are_hindered;
pub use examine::{Examined, ExaminedPath, JoinTraced, Options, examine, worst};
