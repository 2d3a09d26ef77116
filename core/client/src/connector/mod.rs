//! Makes connections.

mod attended;
mod builder;
mod change;
mod doubt;
mod known;
mod live;
mod mandate;
mod paired;
mod paths;
mod platform;
pub(crate) mod race;
mod reach;
#[cfg(feature = "http")]
mod requests;
mod spares;
mod watch;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use twinpath_proto::{Role, Session};
use twinpath_socket::mptcp::mptcp_info;
use twinpath_socket::{Interface, is_local_scope};

use crate::budget::{Budget, BudgetShare};
use crate::clock;
use crate::connection::Connection;
use crate::driver::{LegStream, Setup};
use crate::error::ConnectError;
use crate::kernel::{Choice, Endpoints, Watcher};
use crate::mode::{Mode, ModeReason};
use crate::mptcp::Lease;
use crate::pair::{self, Ways};
use crate::plain::{self, PlainStream};
use crate::target::Target;

use attended::Attended;
use builder::Options;
use doubt::Doubt;
use live::{LegSource, Live};
use paired::Paired;
use paths::Plan;
use race::Won;
use spares::Spares;
use watch::Watch;

pub use builder::ConnectorBuilder;
pub(crate) use live::tune_leg;
pub use paths::InterfaceSelector;

/// With less than this left, a session on the backup would be closed again by its first frames: it keeps some of
/// its budget back for control frames.
const LEAST_BUDGET: u64 = 8 * 1024;

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

    /// Takes the leases for the backup once the first handshake has left: they take about a millisecond.
    async fn hold_meanwhile(
        &self,
        plan: &Plan,
        race: impl Future<Output = Result<Won, ConnectError>>,
    ) -> Result<(Won, Option<Vec<Lease>>), ConnectError> {
        let backup = plan.path(Role::Backup).and_then(crate::Path::interface);
        let hold = async {
            let held = backup.map(|backup| self.endpoints.hold(backup));
            match held.unwrap_or_else(|| Err("there is no second interface".into())) {
                Ok(leases) => leases,
                Err(reason) => {
                    log::debug!("MPTCP, though {reason}");
                    Vec::new()
                }
            }
        };
        // In this order, in one task: the race begins first.
        let (won, leases) = tokio::join!(biased; race, hold);
        Ok((won?, Some(leases)))
    }

    /// Whether to ask the peer for MPTCP: any server, where the kernel has a backup for it, or as the caller wants.
    fn try_kernel(&self, plan: &mut Plan, target: &Target) -> Result<Option<Choice>, ConnectError> {
        if !self.options.dialer.binds_sockets() {
            return Ok(None);
        }
        let pinned = self.options.mode == Some(Mode::KernelMptcp);
        let free = self.options.mode.is_none()
            && self.options.peer(target) == Peer::Any
            && plan.mode == Mode::PlainPair;
        if !pinned && !free {
            return Ok(None);
        }
        let backup = plan.path(Role::Backup).and_then(crate::Path::interface);
        let choice = if free && self.is_spent() {
            // The kernel knows of no budget.
            self.endpoints.clear();
            Choice::Not("the budget for the backup is spent".into())
        } else {
            Choice::of(backup, &self.endpoints, pinned)
        };
        match choice {
            chosen @ (Choice::Kernel(_) | Choice::Soon) => {
                plan.mode = Mode::KernelMptcp;
                plan.reason = if pinned {
                    ModeReason::Pinned
                } else {
                    ModeReason::Mptcp
                };
                Ok(Some(chosen))
            }
            Choice::Not(reason) if pinned => Err(ConnectError::NoMptcp(reason)),
            Choice::Not(reason) => {
                log::debug!("no MPTCP: {reason}");
                plan.reason = ModeReason::NoMptcp(reason);
                Ok(None)
            }
        }
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

    fn over_session(
        &self,
        target: Target,
        plan: Plan,
        won: Won,
        known: &[Interface],
    ) -> Result<Connection, ConnectError> {
        tune_leg(&won.stream);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| ConnectError::Random(error.to_string()))?;
        let role = won.path.role();
        let (share, rest) = BudgetShare::new(&self.budget, plan.path(Role::Primary).is_none());
        let now = clock::now();
        let mut config = self.options.session.clone();
        config.budget = rest;
        let mut session = Session::client(config, seed, now);
        for role in Role::ALL {
            if plan.path(role).is_none() {
                session.path_available(role, false, now);
            }
        }
        let leg = session.leg_opened(role, won.stream.rtt(), now);
        let (mode, reason) = (plan.mode, plan.reason.clone());
        let infos: Vec<_> = plan
            .paths()
            .map(|path| (path.role(), Arc::new(path.info())))
            .collect();
        let live = Live::new(
            Arc::clone(&self.options),
            target,
            Arc::clone(&self.watch),
            plan,
            (&won.path, &won.stream),
            known,
        );
        if let Some((path, dialing)) = won.other.filter(|(path, _)| race::worth_keeping(path)) {
            if self.options.is_warm() {
                live.keep_spare(path.role(), dialing);
            }
        }
        let mut setup = Setup::new(session)
            .leg(leg, won.stream, Bytes::new())
            .dialer(Arc::new(LegSource(Arc::clone(&live))))
            .mode(mode, reason)
            .budget(share);
        for (role, info) in infos {
            setup = setup.path(role, info);
        }
        let (connection, handle) = setup.spawn();
        live.attach(handle.shared());
        self.watch.add(live, known);
        Ok(connection)
    }

    fn over_plain(&self, target: &Target, plan: Plan, won: Won, known: &[Interface]) -> Connection {
        let role = won.path.role();
        let infos = plan
            .paths()
            .map(|path| (path.role(), Arc::new(path.info())))
            .collect();
        // The only path there is has no limit.
        let limited = plan.path(Role::Primary).is_some();
        let budget = limited.then(|| self.budget.clone());
        let (mode, reason) = (plan.mode, plan.reason.clone());
        if limited && role == Role::Backup && won.raced {
            // The primary had its chance. It is asked from now on, so that the next ones need not wait for it.
            self.doubt_primary(target, won.stream.peer_socket());
        }
        let shared = Arc::new(plain::Shared::new(mode, reason, role, infos, budget));
        let stream = PlainStream::new(won.stream, role, shared.tally());
        self.look_after(target, plan, &stream, &shared, known);
        Connection::over_stream(stream, shared)
    }

    /// Has a plain connection looked after as long as it lives.
    fn look_after(
        &self,
        target: &Target,
        plan: Plan,
        stream: &Arc<PlainStream>,
        shared: &Arc<plain::Shared>,
        known: &[Interface],
    ) {
        let paired = Arc::new(Paired::new(self.clone(), target, plan, stream, shared));
        let ways: Arc<dyn Ways> = Arc::clone(&paired) as _;
        shared.attach(stream, &ways);
        shared.keep(Arc::clone(&paired) as _);
        pair::keep(stream, shared, ways);
        self.watch.add(paired, known);
    }

    fn over_kernel(
        &self,
        target: &Target,
        mut plan: Plan,
        won: Won,
        leases: Vec<Lease>,
        known: &[Interface],
    ) -> Connection {
        let infos = plan
            .paths()
            .map(|path| (path.role(), Arc::new(path.info())))
            .collect();
        // The server's answer to the handshake says already whether it knows MPTCP.
        let is_mptcp = |tcp: &TcpStream| mptcp_info(tcp).is_ok_and(|info| info.is_some());
        if !matches!(&won.stream, LegStream::Tcp(tcp) if is_mptcp(tcp)) {
            (plan.mode, plan.reason) = (Mode::PlainPair, ModeReason::FellBack);
            return self.over_plain(target, plan, won, known);
        }
        let role = won.path.role();
        let (mode, reason) = (plan.mode, plan.reason.clone());
        let attended = Attended::new(
            Arc::clone(&self.options),
            target.clone(),
            Arc::clone(&self.watch),
            Arc::clone(&self.endpoints),
            plan,
            leases,
        );
        let shared = Arc::new(plain::Shared::over_kernel(mode, reason, role, infos));
        let stream = PlainStream::new(won.stream, role, shared.tally());
        let watcher = Watcher::new(&stream, role, attended.ends());
        attended.attach(&shared);
        shared.keep(Arc::clone(&attended) as _);
        let (connector, target, weak) = (self.clone(), target.clone(), Arc::downgrade(&stream));
        shared.on_fall_back(Box::new(move |shared| {
            if let Some(stream) = weak.upgrade() {
                connector.look_after_fallen(&target, &stream, shared);
            }
        }));
        shared.watch(watcher);
        self.watch.add(attended, known);
        Connection::over_stream(stream, shared)
    }

    /// Something took MPTCP out of a connection after its handshake: it is plain TCP from now on.
    fn look_after_fallen(
        &self,
        target: &Target,
        stream: &Arc<PlainStream>,
        shared: &Arc<plain::Shared>,
    ) {
        let Ok(interfaces) = self.watch.interfaces() else {
            return;
        };
        let mut plan = Plan::choose(
            &self.options,
            target,
            &interfaces,
            &self.watch.mandate(&interfaces),
            None,
        );
        (plan.mode, plan.reason) = (Mode::PlainPair, ModeReason::FellBack);
        if plan.path(Role::Primary).is_some() {
            shared.end_exemption(&self.budget);
        }
        self.look_after(target, plan, stream, shared, &interfaces);
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
