//! A session of a connector while it lives: what it is told of its paths, and what its legs are bound to.

mod legs;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use twinpath_proto::{DialError, DialTarget, JoinAddress, PathChange, Role};
use twinpath_socket::{Interface, Mandate};

use super::builder::Options;
use super::change::{Change, change};
use super::known::Known;
use super::paths::Plan;
use super::race::first_of;
use super::watch::{Watch, Watched};
use crate::dialer::{Path, is_beside, is_same_server};
use crate::driver::{BoxFuture, DialFailure, LegStream, Shared};
use crate::mode::Mode;
use crate::target::Target;

pub(super) use legs::LegSource;
pub(crate) use legs::tune_leg;

/// The next announced address is tried when the one before has not answered for this long.
const ANNOUNCED_DELAY: Duration = Duration::from_millis(250);
/// The race's second attempt is used for the standby leg if that is asked for within this time.
const SPARE_AGE: Duration = Duration::from_secs(10);

type Dialing = BoxFuture<io::Result<LegStream>>;

/// One session of a connector.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) options: Arc<Options>,
    pub(super) target: Target,
    /// The path of the first leg.
    pub(super) first: Role,
    /// Whether the first leg went to this device or the network beside it: then legs may be joined there, too.
    beside: bool,
    watch: Arc<Watch>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) plan: Plan,
    pub(super) shared: Weak<Shared>,
    /// What the newest leg of each path is bound to, where that is known.
    bound: [Option<Bound>; 2],
    spare: Option<Spare>,
    pub(super) known: Known,
    suspended: bool,
}

/// The address at this end of a leg.
#[derive(Debug, Clone, Copy)]
struct Bound {
    address: IpAddr,
    /// The path's interface has been seen to have it: only then does its absence mean something. A dialer may return
    /// sockets that leave by another interface (a proxy on this device, a tunnel).
    owned: bool,
}

impl Bound {
    fn of(stream: &LegStream, path: &Path, interfaces: &[Interface]) -> Option<Self> {
        let LegStream::Tcp(tcp) = stream else {
            return None;
        };
        let address = tcp.local_addr().ok()?.ip().to_canonical();
        let mut bound = Self {
            address,
            owned: false,
        };
        bound.learn(path, interfaces);
        Some(bound)
    }

    /// Looks at a newer list of interfaces, which may have the address before the path's plan knew of it.
    fn learn(&mut self, path: &Path, interfaces: &[Interface]) {
        self.owned |= interfaces.iter().any(|interface| {
            let serves = path
                .interface()
                .is_none_or(|serving| serving.name == interface.name);
            serves && interface.up && interface.addresses.contains(&self.address)
        });
    }

    fn owned(self) -> Option<IpAddr> {
        self.owned.then_some(self.address)
    }
}

/// The attempt of the connect race that came second.
struct Spare {
    role: Role,
    dialing: Dialing,
    since: Instant,
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl Live {
    pub(super) fn new(
        options: Arc<Options>,
        target: Target,
        watch: Arc<Watch>,
        plan: Plan,
        first: (&Path, &LegStream),
        known: &[Interface],
    ) -> Arc<Self> {
        let (path, stream) = first;
        let target = target.with_reached_at(stream.peer_address());
        let beside = match stream {
            LegStream::Tcp(tcp) => tcp.peer_addr().is_ok_and(|peer| is_beside(peer.ip())),
            LegStream::Other(_) => target.address().is_some_and(is_beside),
        };
        let mut bound = [None, None];
        bound[path.role().index()] = Bound::of(stream, path, known);
        let state = State {
            plan,
            shared: Weak::new(),
            bound,
            spare: None,
            known: Known::default(),
            suspended: false,
        };
        Arc::new(Self {
            options,
            target,
            first: path.role(),
            beside,
            watch,
            state: Mutex::new(state),
        })
    }

    /// Keeps the attempt that came second, for the standby leg.
    pub(super) fn keep_spare(&self, role: Role, dialing: Dialing) {
        self.lock().spare = Some(Spare {
            role,
            dialing,
            since: Instant::now(),
        });
    }

    pub(super) fn attach(self: &Arc<Self>, shared: &Arc<Shared>) {
        self.lock().shared = Arc::downgrade(shared);
        self.look_ahead(shared);
    }

    fn take_spare(&self, role: Role) -> Option<Dialing> {
        let mut state = self.lock();
        let spare = state.spare.take_if(|spare| spare.role == role)?;
        (spare.since.elapsed() < SPARE_AGE).then_some(spare.dialing)
    }

    /// The spare was dialled before it was known which server has the session: it is used if it leads there.
    fn check_spare(self: &Arc<Self>, spare: Dialing, path: &Path) -> Dialing {
        let (live, path) = (Arc::clone(self), path.clone());
        Box::pin(async move {
            let stream = spare.await?;
            let elsewhere = live
                .target
                .reached_at()
                .zip(stream.peer_address())
                .is_some_and(|(reached, peer)| !is_same_server(reached, peer));
            if elsewhere {
                stream.abort();
                return live.options.dialer.dial(&path, &live.target).await;
            }
            Ok(stream)
        })
    }

    fn dialing(&self, path: &Path, target: DialTarget) -> Result<Dialing, DialFailure> {
        let dialer = &self.options.dialer;
        let targets = match &target {
            DialTarget::Original => self.targets(&[]),
            DialTarget::Announced(addresses) => self.targets(addresses),
        };
        if targets.is_empty() {
            let source = io::Error::new(
                io::ErrorKind::PermissionDenied,
                "no announced address may be dialled",
            );
            return Err(DialFailure {
                kind: DialError::NotPermitted,
                source,
            });
        }
        let state = self.lock();
        let dials: Vec<Dialing> = targets
            .into_iter()
            .map(|target| state.known.told(target, path.role()))
            .map(|target| dialer.dial(path, &target))
            .collect();
        drop(state);
        Ok(Box::pin(first_of(dials.into_iter(), ANNOUNCED_DELAY)))
    }

    /// Where legs may go: the announced addresses, or where the first leg went if there are none.
    pub(super) fn targets(&self, announced: &[JoinAddress]) -> Vec<Target> {
        if announced.is_empty() {
            return vec![self.target.clone()];
        }
        announced
            .iter()
            .map(|address| Target::new(address.host.as_str(), address.port))
            .map(|target| {
                if self.beside {
                    target
                } else {
                    target.announced()
                }
            })
            .filter(|target| self.beside || !target.address().is_some_and(is_beside))
            .collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched for Live {
    fn refresh(self: Arc<Self>, interfaces: &[Interface], mandate: &Mandate) {
        let mut state = self.lock();
        let Some(shared) = state.shared.upgrade().filter(|_| !state.suspended) else {
            return;
        };
        let plan = state
            .plan
            .again(&self.options, &self.target, interfaces, mandate);
        let changes = Role::ALL.map(|role| {
            let bound = &mut state.bound[role.index()];
            if let (Some(bound), Some(path)) = (bound.as_mut(), plan.path(role)) {
                bound.learn(path, interfaces);
            }
            let bound = bound.and_then(Bound::owned);
            change(state.plan.path(role), plan.path(role), bound, interfaces)
        });
        let (mode, reason) = (plan.mode, plan.reason.clone());
        let names = Role::ALL.map(|role| plan.path(role).map(|path| Arc::new(path.info())));
        let upgraded = state.plan.mode == Mode::SinglePath && mode != Mode::SinglePath;
        let mandated = mode == Mode::SinglePath && reason.is_mandate();
        state.plan = plan;
        drop(state);
        if changes == [Change::None, Change::None] && !upgraded {
            return;
        }
        shared.with(|state, now| {
            for ((role, change), name) in Role::ALL.into_iter().zip(changes).zip(names) {
                state.record.name_path(role, name);
                if role == Role::Primary && change == Change::Found {
                    state.end_exemption();
                }
                for (available, told) in change.steps() {
                    if let Some(available) = available {
                        state.session.path_available(role, available, now);
                    }
                    state.session.path_changed(role, told, now);
                }
            }
            // Losing a path for a while is told by the protection; the mode tells what the connection was made for.
            if upgraded || mandated {
                state.record.set_mode(mode, reason);
            }
        });
        self.look_ahead(&shared);
    }

    fn nudge(&self) {
        let shared = self.lock().shared.upgrade();
        if let Some(shared) = shared {
            shared.with(|_, _| ());
        }
    }

    fn suspend(&self) {
        let mut state = self.lock();
        state.suspended = true;
        state.spare = None;
        let shared = state.shared.upgrade();
        drop(state);
        let Some(shared) = shared else {
            return;
        };
        shared.with(|state, now| {
            for role in Role::ALL {
                state.session.path_available(role, false, now);
                state.session.path_changed(role, PathChange::Gone, now);
            }
        });
    }

    fn resume(self: Arc<Self>, interfaces: &[Interface], mandate: &Mandate) {
        let mut state = self.lock();
        let was_suspended = std::mem::take(&mut state.suspended);
        let Some(shared) = state.shared.upgrade().filter(|_| was_suspended) else {
            return;
        };
        let plan = state
            .plan
            .again(&self.options, &self.target, interfaces, mandate);
        let paths = Role::ALL.map(|role| (role, plan.path(role).map(|path| Arc::new(path.info()))));
        (state.plan, state.bound) = (plan, [None, None]);
        drop(state);
        shared.with(|state, now| {
            for (role, path) in paths {
                let is_there = path.is_some();
                state.record.name_path(role, path);
                if is_there {
                    state.session.path_available(role, true, now);
                    state.session.path_changed(role, PathChange::Back, now);
                }
            }
        });
        self.look_ahead(&shared);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.watch.one_left();
    }
}
