//! What went over which path.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use twinpath_proto::{Role, Stats};

use crate::budget::Budget;

/// The counters of a plain connection, which outlive it.
#[derive(Debug)]
pub(crate) struct Tally {
    sent: [AtomicU64; 2],
    received: [AtomicU64; 2],
    legs: [AtomicU32; 2],
    failovers: AtomicU32,
    now: Mutex<Now>,
    /// What goes over the backup is charged here; `None` where it is the only path, which has no limit.
    budget: Mutex<Option<Budget>>,
}

#[derive(Debug)]
struct Now {
    role: Role,
    srtt: Option<Duration>,
    worst_stall: Duration,
}

impl Tally {
    pub(crate) fn new(role: Role, budget: Option<Budget>) -> Self {
        let tally = Self {
            sent: Default::default(),
            received: Default::default(),
            legs: Default::default(),
            failovers: AtomicU32::new(0),
            now: Mutex::new(Now {
                role,
                srtt: None,
                worst_stall: Duration::ZERO,
            }),
            budget: Mutex::new(budget),
        };
        tally.legs[role.index()].store(1, Ordering::Relaxed);
        tally
    }

    pub(crate) fn count_sent(&self, role: Role, size: usize) {
        self.sent[role.index()].fetch_add(size as u64, Ordering::Relaxed);
        self.charge(role, size);
    }

    pub(crate) fn count_received(&self, role: Role, size: usize) {
        self.received[role.index()].fetch_add(size as u64, Ordering::Relaxed);
        self.charge(role, size);
    }

    fn charge(&self, role: Role, size: usize) {
        if role == Role::Backup && size > 0 {
            if let Some(budget) = &*self.budget.lock().unwrap_or_else(PoisonError::into_inner) {
                budget.charge(size as u64);
            }
        }
    }

    /// The backup is not the only path any more: what goes over it counts from here on.
    pub(crate) fn end_exemption(&self, budget: &Budget) {
        let mut mine = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        mine.get_or_insert_with(|| budget.clone());
    }

    /// Whether nothing more may go over the path of that role.
    pub(crate) fn is_spent(&self, role: Role) -> bool {
        let budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = budget.as_ref().and_then(Budget::remaining);
        role == Role::Backup && rest == Some(0)
    }

    pub(crate) fn learn(&self, srtt: Option<Duration>) {
        self.now().srtt = srtt;
    }

    /// Another leg carries the bytes, after so long a stall.
    pub(crate) fn moved(&self, from: Role, to: Role, stall: Duration) {
        self.legs[to.index()].fetch_add(1, Ordering::Relaxed);
        let mut now = self.now();
        (now.role, now.srtt) = (to, None);
        now.worst_stall = now.worst_stall.max(stall);
        if from != to {
            self.failovers.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.now().role
    }

    pub(crate) fn received_over(&self, role: Role) -> u64 {
        self.received[role.index()].load(Ordering::Relaxed)
    }

    /// Puts the counters into `stats`, and gives the path that carries the bytes.
    pub(crate) fn count(&self, stats: &mut Stats) -> Role {
        let now = self.now();
        for (role, path) in [
            (Role::Primary, &mut stats.primary),
            (Role::Backup, &mut stats.backup),
        ] {
            path.sent = self.sent[role.index()].load(Ordering::Relaxed);
            path.received = self.received[role.index()].load(Ordering::Relaxed);
            path.legs = self.legs[role.index()].load(Ordering::Relaxed);
            path.up = role == now.role;
            path.srtt = now.srtt.filter(|_| path.up);
        }
        stats.failovers = self.failovers.load(Ordering::Relaxed);
        stats.worst_stall = now.worst_stall;
        now.role
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
