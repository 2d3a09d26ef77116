//! One watcher of interfaces per connector, which runs while a session lives.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use twinpath_socket::{
    Cost, Interface, InterfaceError, InterfaceKind, InterfaceWatcher, Mandate, system_mandate_among,
};

use crate::budget::Budget;

/// The watcher of interfaces begins so long after the first connection.
const SETTLING: Duration = Duration::from_millis(30);
/// With less than this left, a session on the backup would be closed again by its first frames: it keeps some of
/// its budget back for control frames.
const LEAST_BUDGET: u64 = 8 * 1024;

/// Something that has to hear of changes while it lives.
pub(super) trait Watched: Send + Sync {
    /// Fits it to the interfaces as they are now.
    fn refresh(self: Arc<Self>, interfaces: &[Interface], mandate: &Mandate);

    /// Has it look at the budget again.
    fn nudge(&self);

    /// Lets go of its paths until it is resumed, if it can do without.
    fn suspend(&self) {}

    /// Takes paths again, among the interfaces as they are now.
    fn resume(self: Arc<Self>, _interfaces: &[Interface], _mandate: &Mandate) {}
}

/// Knows what lives of a connector: its sessions, and what is over kernel MPTCP.
pub(super) struct Watch {
    budget: Budget,
    respects_mandates: bool,
    state: Mutex<State>,
    left: Notify,
}

#[derive(Default)]
struct State {
    lives: Vec<Weak<dyn Watched>>,
    /// What the watcher told last, while it runs.
    latest: Option<Arc<[Interface]>>,
    running: bool,
    suspended: bool,
}

impl Watch {
    pub(super) fn new(budget: Budget, respects_mandates: bool) -> Arc<Self> {
        Arc::new(Self {
            budget,
            respects_mandates,
            state: Mutex::default(),
            left: Notify::new(),
        })
    }

    /// The interfaces of this moment: from the watcher while it runs, else from the system.
    pub(super) fn interfaces(&self) -> Result<Arc<[Interface]>, InterfaceError> {
        let latest = self.lock().latest.clone();
        match latest {
            Some(latest) => Ok(latest),
            None => twinpath_socket::interfaces().map(Into::into),
        }
    }

    /// What the device mandates, with these interfaces.
    pub(super) fn mandate(&self, interfaces: &[Interface]) -> Mandate {
        if self.respects_mandates {
            system_mandate_among(interfaces)
        } else {
            Mandate::default()
        }
    }

    /// Whether a connection may spend anything on its backup now.
    pub(super) fn may_spend(&self) -> bool {
        let rest = self.budget.remaining();
        rest.is_none_or(|rest| rest >= LEAST_BUDGET)
    }

    /// Adds what was planned with the interfaces in `known`.
    pub(super) fn add(self: &Arc<Self>, live: Arc<dyn Watched>, known: &[Interface]) {
        let mut state = self.lock();
        state.lives.retain(|live| live.strong_count() > 0);
        state.lives.push(Arc::downgrade(&live));
        let start = !state.running;
        state.running = true;
        let missed = state.latest.clone().filter(|latest| **latest != *known);
        drop(state);
        if let Some(latest) = missed {
            live.refresh(&latest, &self.mandate(&latest));
        }
        if start {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
    }

    /// A session has ended; the watcher ends with the last one.
    pub(super) fn one_left(&self) {
        self.left.notify_one();
    }

    fn lives(&self) -> Vec<Arc<dyn Watched>> {
        self.lock().lives.iter().filter_map(Weak::upgrade).collect()
    }

    fn tell(&self, interfaces: &Arc<[Interface]>) {
        let mut state = self.lock();
        state.latest = Some(Arc::clone(interfaces));
        if state.suspended {
            return;
        }
        drop(state);
        let mandate = self.mandate(interfaces);
        for live in self.lives() {
            live.refresh(interfaces, &mandate);
        }
        let cellular = interfaces
            .iter()
            .filter(|it| it.kind == InterfaceKind::Cellular && it.up);
        let roaming =
            cellular.clone().count() > 0 && cellular.clone().all(|it| it.cost == Cost::Roaming);
        if self.budget.set_roaming(roaming) {
            self.nudge();
        }
    }

    /// Has all sessions let go of their paths.
    pub(super) fn suspend(&self) {
        self.lock().suspended = true;
        for live in self.lives() {
            live.suspend();
        }
    }

    /// Has all sessions take paths again.
    pub(super) fn resume(&self) -> Result<(), InterfaceError> {
        // What the watcher told last may be from before the app was frozen.
        let interfaces: Arc<[Interface]> = twinpath_socket::interfaces()?.into();
        let mut state = self.lock();
        state.suspended = false;
        if state.latest.is_some() {
            state.latest = Some(Arc::clone(&interfaces));
        }
        drop(state);
        let mandate = self.mandate(&interfaces);
        for live in self.lives() {
            live.resume(&interfaces, &mandate);
        }
        Ok(())
    }

    /// Has all drivers look at the budget again.
    pub(super) fn nudge(&self) {
        for live in self.lives() {
            live.nudge();
        }
    }

    /// True if there is nobody left to watch for; the watcher has then to end.
    fn end_if_idle(&self) -> bool {
        let mut state = self.lock();
        state.lives.retain(|live| live.strong_count() > 0);
        if state.lives.is_empty() {
            state.running = false;
            state.latest = None;
        }
        !state.running
    }

    fn end(&self) {
        let mut state = self.lock();
        state.running = false;
        state.latest = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

async fn watch(watch: Weak<Watch>) {
    // Asking for all interfaces takes a while, and the first bytes of the connection go first. What changes meanwhile is
    // seen by the first look.
    tokio::time::sleep(SETTLING).await;
    let mut watcher = match InterfaceWatcher::new() {
        Ok(watcher) => watcher,
        Err(error) => {
            log::warn!("changes of interfaces will be noticed by their silence only: {error}");
            if let Some(watch) = watch.upgrade() {
                watch.end();
            }
            return;
        }
    };
    let mut interfaces: Arc<[Interface]> = watcher.interfaces().into();
    loop {
        let Some(watch) = watch.upgrade() else {
            return;
        };
        watch.tell(&interfaces);
        let (day_ends, renewed) = watch.budget.until_renewal();
        if renewed {
            watch.nudge();
        }
        loop {
            tokio::select! {
                list = watcher.changed() => {
                    interfaces = list.into();
                    break;
                }
                () = watch.left.notified() => if watch.end_if_idle() {
                    return;
                },
                () = tokio::time::sleep(day_ends) => break,
            }
        }
    }
}
