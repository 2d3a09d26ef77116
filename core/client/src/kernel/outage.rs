//! Primary addresses whose path is dead: taken out of the kernel's connections, and brought back.
//!
//! The path manager knows no single connection: an address that is taken out is so for every connection of the network
//! namespace, and their peers are told, which is what makes them go on at once. So the connections of this process that
//! start at one address share what is known of it, and an address is left alone while other servers still answer on it.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use twinpath_socket::mptcp::{self, Endpoint, EndpointFlags, PathManager, Subflow};

use crate::mptcp::Lease;

/// What this process does about one address in one network namespace.
#[derive(Debug)]
pub(super) struct Outage {
    namespace: u64,
    address: IpAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// While the path is dead.
    out: Option<Lease>,
    /// Afterwards: the endpoint from which connections open a subflow anew.
    back: Option<Lease>,
}

/// How a dead subflow was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// With its address, and the peer knows.
    Address,
    /// Alone, since others are heard at that address.
    Subflow,
}

/// A server that was heard within this time lives.
const RECENT: Duration = Duration::from_secs(5);

static OUTAGES: Mutex<Vec<Weak<Outage>>> = Mutex::new(Vec::new());

impl Outage {
    /// What there is of that address, or could be.
    pub(super) fn of(address: IpAddr) -> io::Result<Arc<Self>> {
        let namespace = PathManager::open()?.namespace()?;
        let mut all = OUTAGES.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| it.strong_count() > 0);
        let mut known = all.iter().filter_map(Weak::upgrade);
        if let Some(known) = known.find(|it| (it.namespace, it.address) == (namespace, address)) {
            return Ok(known);
        }
        let new = Arc::new(Self {
            namespace,
            address,
            state: Mutex::default(),
        });
        all.push(Arc::downgrade(&new));
        Ok(new)
    }

    /// Takes a subflow out whose path has been silent for so long.
    pub(super) fn take_out(&self, subflow: &Subflow, silence: Duration) -> io::Result<Taken> {
        let mut state = self.lock();
        if state.out.is_some() {
            return Ok(Taken::Address);
        }
        if self.is_heard_by_others(subflow.remote.ip(), silence)? {
            mptcp::end_subflow(subflow)?;
            return Ok(Taken::Subflow);
        }
        let out = Lease::take_out(self.address)?;
        *state = State {
            out: Some(out),
            back: None,
        };
        Ok(Taken::Address)
    }

    /// Has the kernel open subflows from that address again, by the interface of that index.
    pub(super) fn bring_back(&self, interface: u32) -> io::Result<()> {
        let mut state = self.lock();
        let out = match state.out.take() {
            Some(out) => out,
            // Others do well with their subflows from there, which would be closed.
            None if self.is_heard_by_others(self.address, RECENT)? => return Ok(()),
            // The kernel opens nothing from an endpoint that it has tried already, only from a new one.
            None => Lease::take_out(self.address)?,
        };
        let endpoint = Endpoint::new(self.address, interface, EndpointFlags::SUBFLOW);
        // While it is out: else connections that still have a first subflow there would open a second one.
        let back = Lease::hold(&endpoint);
        drop(out);
        state.back = Some(back?);
        Ok(())
    }

    /// Whether another server than that one was heard at the address within that time.
    fn is_heard_by_others(&self, server: IpAddr, within: Duration) -> io::Result<bool> {
        let heard = mptcp::last_heard_at(self.address)?;
        let server = server.to_canonical();
        Ok(heard
            .iter()
            .any(|(peer, ago)| *peer != server && *ago < within))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
