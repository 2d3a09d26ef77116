//! Connections over the kernel's own Multipath TCP: chosen, opened, watched.
//!
//! The kernel moves the bytes; what is done here is to say truly what it can do. MPTCP may be refused by the peer, or
//! taken out by something on the way: at once, after the handshake, or on the second path alone.

mod choice;
mod claim;
mod endpoints;
mod stream;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;

use twinpath_proto::Role;

pub(crate) use choice::Choice;
pub(crate) use endpoints::{Endpoints, usable};
pub(crate) use stream::{KernelRead, KernelWrite, SharedStream};
pub(crate) use watch::{Watcher, watch};

impl Watcher {
    /// For a connection with these addresses at this end.
    pub(crate) fn of(
        stream: &Arc<SharedStream>,
        role: Role,
        primary: Vec<IpAddr>,
        backup: Vec<IpAddr>,
    ) -> Self {
        Self::new(stream, role, claim::Ends { primary, backup })
    }
}
