//! Packets: ours, made with etherparse; and those that arrive, in which nothing is believed.
//!
//! etherparse refuses options that it does not know and headers that are cut, and both are what this is about: options
//! and quotes are walked here.

mod arrived;
mod build;
mod compare;
mod headers;
mod mptcp;
mod options;
mod quote;

pub use arrived::{Answer, Packet, understand};
pub(crate) use build::TTL;
pub use build::{Ask, Probe};
pub use compare::{Comparison, Difference, Seen, compare, differences_of_tcp};
pub use headers::{Flags, IpHeader, Segment, ip_header, segment};
pub use mptcp::{CAPABLE_SYN_LENGTH, MPTCP, Mptcp, mptcp_of};
pub use options::{Piece, options};
pub use quote::{IcmpError, icmp_error};
