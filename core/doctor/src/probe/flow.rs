//! Flows: what load balancers send one way.

use std::io;
use std::sync::Arc;

use twinpath_socket::raw::{RawPackets, ReservedPort};

/// A port of this machine, kept from others. All SYNs to a server that leave from it are of one flow, and take one of
/// several parallel ways, where ways are chosen by addresses and ports.
#[derive(Debug, Clone)]
pub struct Flow(Arc<ReservedPort>);

impl Flow {
    /// A new one.
    ///
    /// # Errors
    ///
    /// The kernel's, when it has no port to give.
    pub fn new(packets: &RawPackets) -> io::Result<Self> {
        packets.reserve().map(|port| Self(Arc::new(port)))
    }

    /// The number of the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.number()
    }
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        self.port() == other.port()
    }
}

impl Eq for Flow {}
