//! How many bytes the connections of a connector may spend on their backup paths.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use twinpath_proto::{Role, Session, Time};

use crate::clock;

/// What a connector may spend in a day unless told otherwise.
pub(crate) const DEFAULT_PER_DAY: u64 = 50_000_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The bytes that all connections of one connector together may spend on their backup paths, both ways.
///
/// A day is 24 hours from the first look; the count lives as long as the process, so an app that wants it to survive
/// stores [`used`](Self::used) and hands it back with [`Connector::set_budget_used`](crate::Connector::set_budget_used).
#[derive(Debug, Clone)]
pub struct Budget {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    per_day: Option<u64>,
    used: u64,
    day_began: Time,
    roaming: bool,
    data_saving: bool,
    /// Counts the changes that connections have to hear of.
    generation: u64,
}

impl Budget {
    pub(crate) fn new(per_day: Option<u64>) -> Self {
        let inner = Inner {
            per_day,
            used: 0,
            day_began: clock::now(),
            roaming: false,
            data_saving: false,
            generation: 0,
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Bytes per day; `None` is without limit.
    #[must_use]
    pub fn per_day(&self) -> Option<u64> {
        self.lock().per_day
    }

    /// Bytes spent in this day.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// Bytes that may still be spent at this moment; `None` is without limit. 0 while roaming or saving data.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.lock().remaining(clock::now())
    }

    pub(crate) fn set_per_day(&self, per_day: Option<u64>) {
        self.change(|inner| inner.per_day = per_day);
    }

    pub(crate) fn set_used(&self, used: u64) {
        self.change(|inner| inner.used = used);
    }

    /// Counts what went over the backup outside of sessions.
    pub(crate) fn charge(&self, bytes: u64) {
        self.change(|inner| inner.used = inner.used.saturating_add(bytes));
    }

    /// True if that is news.
    pub(crate) fn set_roaming(&self, roaming: bool) -> bool {
        let news = self.lock().roaming != roaming;
        if news {
            self.change(|inner| inner.roaming = roaming);
        }
        news
    }

    /// The time until the day ends and everything may be spent anew, never 0; and whether a new day has begun with this
    /// call, of which the connections have to hear.
    pub(crate) fn until_renewal(&self) -> (Duration, bool) {
        self.lock().until_renewal(clock::now())
    }

    pub(crate) fn set_data_saving(&self, data_saving: bool) {
        self.change(|inner| inner.data_saving = data_saving);
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.lock();
        change(&mut inner);
        inner.generation += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn until_renewal(&mut self, now: Time) -> (Duration, bool) {
        let renewed = self.roll_over(now);
        (DAY - now.saturating_since(self.day_began), renewed)
    }

    /// Begins a new day if the last one is over. True if so.
    fn roll_over(&mut self, now: Time) -> bool {
        let over = now.saturating_since(self.day_began) >= DAY;
        if over {
            self.day_began = now;
            self.used = 0;
            self.generation += 1;
        }
        over
    }

    fn remaining(&mut self, now: Time) -> Option<u64> {
        self.roll_over(now);
        if self.roaming || self.data_saving {
            return Some(0);
        }
        self.per_day
            .map(|per_day| per_day.saturating_sub(self.used))
    }
}

/// The part of one connection: what it has spent is charged, what the others spend is heard of.
#[derive(Debug)]
pub(crate) struct BudgetShare {
    budget: Budget,
    charged: u64,
    heard: u64,
    /// The connection began on the only interface there was, and that is its right: it has no limit until the primary
    /// path comes, for plain TCP would have none either.
    exempt: bool,
}

impl BudgetShare {
    /// A share, and what its session may spend at first.
    pub(crate) fn new(budget: &Budget, exempt: bool) -> (Self, Option<u64>) {
        let mut inner = budget.lock();
        let remaining = inner.remaining(clock::now());
        let heard = inner.generation;
        drop(inner);
        let share = Self {
            budget: budget.clone(),
            charged: 0,
            heard,
            exempt,
        };
        (share, if exempt { None } else { remaining })
    }

    /// The primary path is there: what goes on the backup counts from here on.
    pub(crate) fn end_exemption(&mut self) {
        if self.exempt {
            self.exempt = false;
            self.heard = self.heard.wrapping_sub(1);
        }
    }

    /// Called at every turn of the driver, before anything is sent.
    pub(crate) fn settle(&mut self, session: &mut Session, now: Time) {
        let (sent, received) = session.path_bytes(Role::Backup);
        let spent = sent + received;
        if self.exempt {
            self.charged = spent;
            return;
        }
        let mut inner = self.budget.lock();
        if spent > self.charged {
            inner.used += spent - self.charged;
            self.charged = spent;
            // The session counts its own bytes; it has to hear of changes by others only.
            if inner.generation == self.heard {
                self.heard += 1;
            }
            inner.generation += 1;
        }
        let remaining = inner.remaining(now);
        if inner.generation != self.heard {
            self.heard = inner.generation;
            drop(inner);
            // The session counts from its start.
            session.set_budget(remaining.map(|rest| rest.saturating_add(spent)), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_though_nobody_asks_what_is_left() {
        let budget = Budget::new(Some(100));
        budget.set_used(100);
        let mut inner = budget.lock();
        let begin = inner.day_began;
        let before = begin + (DAY - Duration::from_secs(1));
        assert_eq!(inner.until_renewal(before), (Duration::from_secs(1), false));
        assert_eq!(inner.remaining(before), Some(0));
        assert_eq!(inner.until_renewal(begin + DAY), (DAY, true));
        assert_eq!(inner.until_renewal(begin + DAY), (DAY, false));
        assert_eq!(inner.remaining(begin + DAY), Some(100));
    }
}
