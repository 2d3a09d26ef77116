//! A plain connection of a connector while it lives: the ways to its server, and what the system tells of them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use twinpath_proto::Role;
use twinpath_socket::{Interface, Mandate};

use super::Connector;
use super::change::{Change, change};
use super::paths::Plan;
use super::reach::ask;
use super::watch::Watched;
use crate::connection::Connection;
use crate::detect::Answer;
use crate::dialer::Path;
use crate::driver::{BoxFuture, LegStream};
use crate::error::ConnectError;
use crate::mode::{Mode, ModeReason};
use crate::pair::{InterruptedCause, Ways};
use crate::plain::{self, PlainStream};
use crate::target::Target;

/// One connection of a connector.
#[derive(Debug)]
pub(super) struct Paired {
    connector: Connector,
    target: Target,
    server: Option<SocketAddr>,
    /// How it runs over two paths, and why.
    pair: Option<(Mode, ModeReason)>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    /// This end of the leg, if the interface of its path has that address.
    bound: Option<IpAddr>,
    stream: Weak<PlainStream>,
    shared: Weak<plain::Shared>,
}

impl Paired {
    pub(super) fn new(
        connector: Connector,
        target: &Target,
        plan: Plan,
        stream: &Arc<PlainStream>,
        shared: &Arc<plain::Shared>,
    ) -> Self {
        let ends = stream.with_tcp(|tcp| (tcp.local_addr().ok(), tcp.peer_addr().ok()));
        let (local, server) = ends.unwrap_or_default();
        let local = local.map(|local| local.ip().to_canonical());
        let interface = plan.path(shared.role()).and_then(Path::interface);
        let bound = local.filter(|it| interface.is_some_and(|own| own.addresses.contains(it)));
        let is_pair = plan.mode == Mode::PlainPair;
        Self {
            connector,
            pair: is_pair.then(|| (plan.mode, plan.reason.clone())),
            target: target.clone().with_reached_at(stream.peer_address()),
            server,
            state: Mutex::new(State {
                plan,
                bound,
                stream: Arc::downgrade(stream),
                shared: Arc::downgrade(shared),
            }),
        }
    }

    fn path(&self, role: Role) -> Option<Path> {
        self.lock().plan.path(role).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ways for Paired {
    fn ask(&self, role: Role) -> BoxFuture<Answer> {
        let Some(path) = self.path(role) else {
            return Box::pin(std::future::ready(Answer::Gone));
        };
        ask(&self.connector.options, &path, &self.target, self.server)
    }

    fn dial(&self, role: Role) -> Option<BoxFuture<io::Result<LegStream>>> {
        let path = self.path(role)?;
        let alone = self.path(role.other()).is_none();
        if role == Role::Backup && !alone && self.connector.is_spent() {
            log::debug!("the budget is spent, and the backup no way to go on");
            return None;
        }
        Some(self.connector.options.dialer.dial(&path, &self.target))
    }

    fn died(&self, role: Role) {
        if role == Role::Primary && self.path(Role::Backup).is_some() {
            self.connector.doubt_primary(&self.target, self.server);
        }
    }

    fn offer(&self, role: Role, leg: LegStream) {
        match self.path(role) {
            Some(path) => self.connector.spares.offer(path, &self.target, leg),
            None => leg.abort(),
        }
    }

    fn connect(&self) -> BoxFuture<Result<Connection, ConnectError>> {
        let (connector, target) = (self.connector.clone(), self.target.clone());
        Box::pin(async move { connector.connect_to(&target).await })
    }
}

impl Watched for Paired {
    fn refresh(self: Arc<Self>, interfaces: &[Interface], mandate: &Mandate) {
        self.connector.doubt.hurry();
        let mut state = self.lock();
        let (Some(stream), Some(shared)) = (state.stream.upgrade(), state.shared.upgrade()) else {
            return;
        };
        let role = shared.role();
        let plan = state
            .plan
            .again(&self.connector.options, &self.target, interfaces, mandate);
        let changed = change(
            state.plan.path(role),
            plan.path(role),
            state.bound,
            interfaces,
        );
        let planned = (plan.mode, plan.reason.clone());
        let again = self.pair.clone().filter(|_| plan.mode == Mode::PlainPair);
        let (mode, reason) = again.unwrap_or(planned);
        let paths = Role::ALL.map(|role| (role, plan.path(role).map(Path::info)));
        let alone = plan.path(Role::Primary).is_none();
        state.plan = plan;
        drop(state);
        if !alone {
            shared.end_exemption(self.connector.budget());
        }
        shared.rename_paths(paths);
        shared.set_mode(mode, reason);
        if matches!(changed, Change::Lost | Change::Moved) {
            stream.fail(InterruptedCause::PathGone);
        }
    }

    fn nudge(&self) {
        let stream = self.lock().stream.upgrade();
        if let Some(stream) = stream {
            stream.stir();
        }
    }
}

impl Drop for Paired {
    fn drop(&mut self) {
        self.connector.watch.one_left();
    }
}
