//! Makes connections.

mod attended;
mod builder;
mod change;
mod doubt;
mod kernel;
mod known;
mod live;
mod mandate;
mod paired;
mod paths;
mod plain;
mod platform;
pub(crate) mod race;
mod reach;
#[cfg(feature = "http")]
mod requests;
mod session;
mod spares;
mod watch;

use std::fmt;
use std::sync::Arc;

use twinpath_proto::Role;
use twinpath_socket::is_local_scope;

use crate::budget::Budget;
use crate::connection::Connection;
use crate::error::ConnectError;
use crate::kernel::{Choice, Endpoints};
use crate::mode::{Mode, ModeReason};
use crate::target::Target;

use builder::Options;
use doubt::Doubt;
use paths::Plan;
use race::Won;
use spares::Spares;
use watch::Watch;

pub use builder::ConnectorBuilder;
pub(crate) use live::tune_leg;
pub use paths::InterfaceSelector;

/// What a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Peer {
    /// A Twinpath gateway: a connection outlives its path. A peer that turns out to be none is an error.
    Gateway,
    /// Any server.
    #[default]
    Any,
}

/// Makes connections with the same options, which share a budget and one watcher of the device's interfaces. Cloning
/// it is cheap, and the clones are the same connector.
#[derive(Clone)]
pub struct Connector {
    options: Arc<Options>,
    budget: Budget,
    watch: Arc<Watch>,
    endpoints: Arc<Endpoints>,
    doubt: Arc<Doubt>,
    spares: Arc<Spares>,
}

impl Connector {
    /// Options for a connector.
    pub fn builder() -> ConnectorBuilder {
        ConnectorBuilder::default()
    }

    fn new(options: Options, budget: Budget) -> Self {
        let watch = Watch::new(budget.clone(), options.respects_mandates());
        Self {
            options: Arc::new(options),
            budget,
            watch,
            endpoints: Arc::default(),
            doubt: Arc::default(),
            spares: Arc::default(),
        }
    }

    /// Connects to `target`, written as `host:port`.
    ///
    /// The handshake is tried on the primary path at once and on the backup path 200 ms later, or as soon as the
    /// primary has failed; the first to answer wins. It returns when **TCP** is up: the first bytes may be written at
    /// once, with no round trip more than plain TCP takes. That a peer is no gateway, or does not hold the pinned key,
    /// is learnt from [`Connection::established`], or from the first read or write that fails. With a pin, nothing
    /// that is written leaves before the key is proven.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what was tried on each path and what to do.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all attempts.
    pub async fn connect(&self, target: &str) -> Result<Connection, ConnectError> {
        self.connect_to(&target.parse()?).await
    }

    /// As [`connect`](Self::connect), to a target in parts.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all attempts.
    pub async fn connect_to(&self, target: &Target) -> Result<Connection, ConnectError> {
        let interfaces = self.watch.interfaces()?;
        paths::check_names(&self.options, &interfaces)?;
        let mandate = self.watch.mandate(&interfaces);
        let plan = Plan::choose(&self.options, target, &interfaces, &mandate, None);
        paths::check_paths(&self.options, &plan)?;
        log::debug!("connecting as {}: {}", plan.mode, plan.reason);
        let mut plan = plan;
        let platform = self.try_platform(&mut plan, target)?;
        let kernel = self.try_kernel(&mut plan, target)?;
        let mut racing = self.racing(&plan);
        if kernel.is_some() {
            racing = racing.iter().map(crate::Path::over_mptcp).collect();
        }
        let race = race::race_paths(
            racing,
            |path| match &platform {
                Some(asked) if path.role() == Role::Primary => {
                    self.ask_platform(asked, path, target)
                }
                _ => self.dial(path, target),
            },
            target,
            self.head_start(),
            self.options.connect_timeout,
        );
        let (won, leases) = match kernel {
            Some(Choice::Soon) => self.hold_meanwhile(&plan, race).await?,
            Some(Choice::Kernel(leases)) => (race.await?, Some(leases)),
            _ => (race.await?, None),
        };
        if let Some(asked) = platform {
            match asked.outcome(&won) {
                Ok(()) => return Ok(Self::over_platform(&plan, won)),
                Err(reason) => (plan.mode, plan.reason) = (Mode::PlainPair, reason),
            }
        }
        let plan = self.with_answer(plan, &won);
        if let Some(leases) = leases {
            return Ok(self.over_kernel(target, plan, won, leases, &interfaces));
        }
        match self.options.peer(target) {
            Peer::Gateway => self.over_session(target.clone(), plan, won, &interfaces),
            Peer::Any => Ok(self.over_plain(target, plan, won, &interfaces)),
        }
    }

    /// What the connections of this connector may spend on their backup paths.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Changes the bytes per day; `None` is without limit. Connections that had to give up their backup get it back.
    pub fn set_budget(&self, bytes_per_day: Option<u64>) {
        self.budget.set_per_day(bytes_per_day);
        self.watch.nudge();
    }

    /// Sets what counts as spent in this day: what an app has stored when it last ran, or 0 for a new period.
    pub fn set_budget_used(&self, bytes: u64) {
        self.budget.set_used(bytes);
        self.watch.nudge();
    }

    /// Tells whether the system's data-saving mode is on, in which nothing is spent on backup paths. Platforms tell
    /// this to apps only, so the app (or the platform's binding) tells it here.
    pub fn set_data_saving(&self, data_saving: bool) {
        self.budget.set_data_saving(data_saving);
        self.watch.nudge();
    }

    /// Lets go of all paths until [`resume`](Self::resume): for an app that goes to the background, where the system
    /// closes its sockets anyway. Sessions with gateways stay as they are, without a leg and without a timer but the time
    /// to live ([`ConnectorBuilder::ttl`], as far as the gateway allows it); what is written waits. Connections to other
    /// servers cannot outlive their path, and are left alone.
    pub fn suspend(&self) {
        log::info!("suspended: paths are let go of");
        self.watch.suspend();
    }

    /// Takes paths again after [`suspend`](Self::suspend): each session is joined anew, over the interfaces as they are
    /// now, and goes on where it was. One that the gateway holds no more ends with an error that tells what had arrived.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Interface`] if the interfaces cannot be listed; then it may be called again.
    pub fn resume(&self) -> Result<(), ConnectError> {
        self.watch.resume()?;
        log::info!("resumed");
        Ok(())
    }

    /// The paths to race, in order. With a spent budget the backup is no way to connect while there is a primary.
    fn racing(&self, plan: &Plan) -> Vec<crate::Path> {
        let spent = self.is_spent() && plan.path(Role::Primary).is_some();
        plan.paths()
            .filter(|path| !(spent && path.role() == Role::Backup))
            .cloned()
            .collect()
    }

    fn is_spent(&self) -> bool {
        !self.watch.may_spend()
    }

    /// A name that led to a private network is known only now.
    fn with_answer(&self, plan: Plan, won: &Won) -> Plan {
        let private = won.stream.peer_address().is_some_and(is_local_scope);
        if private && self.options.respects_mandates() && plan.reason.is_by_choice() {
            return Plan::system_route(ModeReason::PrivateTarget);
        }
        plan
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("options", &self.options)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Connects to any server as iOS does by default for connections that shall survive: over Wi-Fi, with cellular ready to
/// step in while connecting. `target` is written as `host:port`.
///
/// A server that is no gateway knows nothing of two paths: once connected, such a connection is as good as the path
/// that it got, and says so ([`Connection::protection`]). When that path dies, reads and writes end with
/// [`Interrupted`](crate::Interrupted), and [`Connection::fresh_leg`] leads on. For connections that outlive their path,
/// build a [`Connector`] for [`Peer::Gateway`].
///
/// # Errors
///
/// As for [`Connector::connect`].
///
/// # Cancel safety
///
/// Dropping the future ends all attempts.
pub async fn connect_with_backup(target: &str) -> Result<Connection, ConnectError> {
    Connector::builder().build()?.connect(target).await
}
