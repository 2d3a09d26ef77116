//! The handle to one relayed link.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::relay;
use crate::counters::Counters;
use crate::error::{LabError, Step as _};
use crate::spec::{Direction, LinkSpec};

/// What the relays of a link go by.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) spec: LinkSpec,
    pub(super) silent_up: bool,
    pub(super) silent_down: bool,
    pub(super) down: bool,
    /// Connections end when this number is not that of their beginning.
    pub(super) resets: u64,
}

impl State {
    pub(super) fn is_silent(&self, up: bool) -> bool {
        if up { self.silent_up } else { self.silent_down }
    }
}

/// The books of a link, shared with its relays.
#[derive(Debug, Default)]
pub(super) struct Books(Mutex<Counters>);

impl Books {
    pub(super) fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One link of a [`Loopback`](crate::Loopback). Clones are the same link.
#[derive(Clone)]
pub struct LoopbackLink {
    name: Arc<str>,
    runtime: Handle,
    state: Arc<watch::Sender<State>>,
    books: Arc<Books>,
}

impl fmt::Debug for LoopbackLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackLink")
            .field("name", &self.name)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

impl LoopbackLink {
    pub(super) fn new(name: String, spec: LinkSpec, runtime: Handle) -> Self {
        let state = State {
            spec,
            silent_up: false,
            silent_down: false,
            down: false,
            resets: 0,
        };
        Self {
            name: name.into(),
            runtime,
            state: Arc::new(watch::Sender::new(state)),
            books: Arc::default(),
        }
    }

    /// The link's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a way to `target` through this link and returns the address to connect to instead.
    ///
    /// # Errors
    ///
    /// When there is no port for it.
    pub fn relay_to(&self, target: SocketAddr) -> Result<SocketAddr, LabError> {
        let step = || format!("open a relay on {}", self.name);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).step(step)?;
        listener.set_nonblocking(true).step(step)?;
        let address = listener.local_addr().step(step)?;
        let _context = self.runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).step(step)?;
        let (state, books) = (self.state.subscribe(), Arc::clone(&self.books));
        self.runtime
            .spawn(relay::serve(listener, target, state, books));
        Ok(address)
    }

    /// What the link is like at the moment.
    #[must_use]
    pub fn spec(&self) -> LinkSpec {
        self.state.borrow().spec.clone()
    }

    /// Changes what the link is like, for what is sent from now on.
    pub fn set(&self, change: impl FnOnce(&mut LinkSpec)) {
        self.state.send_modify(|state| change(&mut state.spec));
    }

    /// Withholds everything in `direction` until [`heal`](Self::heal). Nothing is lost: what TCP
    /// would repeat, the relay delivers late.
    pub fn blackhole(&self, direction: Direction) {
        self.state.send_modify(|state| {
            state.silent_up |= direction.has_up();
            state.silent_down |= direction.has_down();
        });
    }

    /// Ends every blackhole.
    pub fn heal(&self) {
        self.state.send_modify(|state| {
            state.silent_up = false;
            state.silent_down = false;
        });
    }

    /// Resets every connection and refuses new ones.
    pub fn down(&self) {
        self.state.send_modify(|state| {
            state.down = true;
            state.resets += 1;
        });
    }

    /// Lets new connections in again.
    pub fn up(&self) {
        self.state.send_modify(|state| state.down = false);
    }

    /// Resets every connection.
    pub fn inject_rst(&self) {
        self.state.send_modify(|state| state.resets += 1);
    }

    /// What went through: payload as `tcp_payload` and `bytes`, portions as `packets`, connections
    /// as `syns` of `up`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.books.lock()
    }
}
