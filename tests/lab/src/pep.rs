//! How packets find their way into a split-TCP proxy and out again.
//!
//! The proxy is an ordinary listener in a namespace of its own. A connection is led there by
//! replacing its destination with the proxy's address, and back by replacing the source.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::packet::Packet;

/// Where each of the client's connections meant to go, by the client's address and port.
pub(crate) type Targets = Arc<Mutex<HashMap<SocketAddr, SocketAddr>>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Redirect {
    listeners: [SocketAddr; 2],
    targets: Targets,
}

impl Redirect {
    pub(crate) fn new(listeners: [SocketAddr; 2], targets: Targets) -> Self {
        Self { listeners, targets }
    }

    /// Whether this is an address of the proxy.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        self.listeners.iter().any(|listener| listener.ip() == ip)
    }

    pub(crate) fn to_pep(&self, packet: &mut Packet) {
        let Some((client, target)) = packet.ends() else {
            return;
        };
        if packet.segment().is_some_and(|s| s.is_initial_syn()) {
            self.lock().insert(client, target);
        }
        let [v4, v6] = self.listeners;
        packet.set_destination(if packet.is_v6() { v6 } else { v4 });
    }

    /// False when the packet belongs to no connection of the client's.
    pub(crate) fn to_client(&self, packet: &mut Packet) -> bool {
        let Some((_, client)) = packet.ends() else {
            return false;
        };
        let target = self.lock().get(&client).copied();
        if let Some(target) = target {
            packet.set_source(target);
        }
        target.is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, SocketAddr>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
