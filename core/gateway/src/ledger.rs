//! How many bytes the connections hold together.
//!
//! Each session may grow its windows as far as its traffic asks for, which in sum is far more than the machine has;
//! like the kernel's `tcp_mem`, the sum of what is *held* decides when growing ends, when taking on more does, and when
//! those that hold the most have to go. What is only *promised* to clients decides how much is promised to the next.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

/// What a session may hold of its service's bytes however full the ledger is: a flood must not silence the others.
const FAIR_SHARE: u64 = 64 * 1024;
/// The window of a session that begins while much is promised: the least that the protocol has.
pub(crate) const SMALL_WINDOW: u32 = 16 * 1024;

/// How near the bound the sessions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    /// Less than half.
    Low,
    /// Windows stop growing.
    High,
    /// New sessions are refused, and a session that holds its fair share waits.
    Full,
}

/// Bytes that are on their way between two sockets, outside of any session's buffers.
#[derive(Debug, Default)]
pub(crate) struct Transit(AtomicU64);

impl Transit {
    /// Counts `bytes` until the guard is dropped.
    pub(crate) fn hold(&self, bytes: u64) -> Held<'_> {
        self.0.fetch_add(bytes, Relaxed);
        Held {
            transit: self,
            bytes,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Bytes that are counted as long as this lives.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    transit: &'a Transit,
    bytes: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.transit.0.fetch_sub(self.bytes, Relaxed);
    }
}

/// The sums, as last measured, and their bound.
#[derive(Debug)]
pub(crate) struct Ledger {
    limit: u64,
    held: AtomicU64,
    promised: AtomicU64,
    sessions: AtomicU64,
    relief: Notify,
    /// What connections hold that are no sessions, or no longer.
    pub(crate) others: Transit,
}

impl Ledger {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            held: AtomicU64::new(0),
            promised: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            relief: Notify::new(),
            others: Transit::default(),
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Relaxed).saturating_add(self.others.bytes())
    }

    /// States how many sessions there are, how much they hold, and how much their clients may have them hold.
    pub(crate) fn measure(&self, sessions: u64, held: u64, promised: u64) {
        self.sessions.store(sessions, Relaxed);
        self.held.store(held, Relaxed);
        self.promised.store(promised, Relaxed);
        // At any measure, since one that waits may have come down to its share by itself.
        self.relief.notify_waiters();
    }

    pub(crate) fn pressure(&self) -> Pressure {
        let held = self.held();
        if held >= self.limit {
            Pressure::Full
        } else if held >= self.limit / 2 {
            Pressure::High
        } else {
            Pressure::Low
        }
    }

    /// Whether the buffers of sessions may grow no further.
    pub(crate) fn is_restrained(&self) -> bool {
        self.pressure() != Pressure::Low || self.promised.load(Relaxed) >= self.limit
    }

    /// Whether a new session may be promised a window of `window` bytes; else it gets a small one.
    pub(crate) fn promise(&self, window: u32) -> bool {
        let window = u64::from(window);
        let promised = self.promised.load(Relaxed);
        let affordable =
            self.pressure() == Pressure::Low && promised.saturating_add(window) <= self.limit / 2;
        let granted = if affordable {
            window
        } else {
            SMALL_WINDOW.into()
        };
        // Many may come before the next measure.
        self.promised.fetch_add(granted, Relaxed);
        affordable
    }

    /// Sessions that can be promised a small window each out of the half that is not for larger ones.
    pub(crate) fn most_sessions(&self) -> usize {
        let most = self.limit / 2 / u64::from(SMALL_WINDOW);
        usize::try_from(most).unwrap_or(usize::MAX).max(1)
    }

    /// What each session may hold whatever the others do.
    pub(crate) fn fair_share(&self) -> u64 {
        (self.limit / self.sessions.load(Relaxed).max(1)).min(FAIR_SHARE)
    }

    /// Whether a session that holds `own` bytes may take on more.
    pub(crate) fn has_room(&self, own: impl Fn() -> u64) -> bool {
        self.pressure() < Pressure::Full || own() < self.fair_share()
    }

    /// Waits until there is room for a session that holds `own` bytes.
    pub(crate) async fn room(&self, own: impl Fn() -> u64) {
        loop {
            let relief = self.relief.notified();
            if self.has_room(&own) {
                return;
            }
            relief.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_full_ledger_keeps_those_waiting_that_have_their_share() {
        let ledger = Arc::new(Ledger::new(1000));
        ledger.measure(10, 499, 0);
        assert_eq!(ledger.pressure(), Pressure::Low);
        ledger.measure(10, 500, 0);
        assert_eq!(ledger.pressure(), Pressure::High);
        ledger.measure(10, 1000, 0);
        assert_eq!(ledger.pressure(), Pressure::Full);
        ledger.room(|| 99).await;
        let waiting = |own: Arc<AtomicU64>| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { ledger.room(|| own.load(Relaxed)).await })
        };
        let (large, shrinking) = (Arc::new(AtomicU64::new(500)), Arc::new(AtomicU64::new(100)));
        let (large, smaller) = (waiting(large), waiting(Arc::clone(&shrinking)));
        tokio::task::yield_now().await;
        assert!(!large.is_finished() && !smaller.is_finished());
        shrinking.store(99, Relaxed);
        ledger.measure(10, 1000, 0);
        smaller.await.unwrap();
        assert!(!large.is_finished());
        ledger.measure(10, 999, 0);
        large.await.unwrap();
    }

    #[test]
    fn bytes_in_transit_count_while_they_are_held() {
        let ledger = Ledger::new(100);
        ledger.measure(1, 60, 0);
        let held = ledger.others.hold(40);
        assert_eq!((ledger.held(), ledger.pressure()), (100, Pressure::Full));
        drop(held);
        assert_eq!((ledger.held(), ledger.pressure()), (60, Pressure::High));
    }

    #[test]
    fn large_windows_are_promised_out_of_one_half_and_small_ones_out_of_the_other() {
        const WINDOW: u32 = 256 * 1024;
        let ledger = Ledger::new(4 << 20);
        let granted = (0..1000).filter(|_| ledger.promise(WINDOW)).count();
        assert_eq!(granted, 8);
        let rest = ledger.most_sessions() as u64 * u64::from(SMALL_WINDOW);
        assert!(8 * u64::from(WINDOW) + rest <= ledger.limit());
        ledger.measure(8, 0, 0);
        assert!(ledger.promise(WINDOW));
        ledger.measure(8, 2 << 20, 0);
        assert!(!ledger.promise(WINDOW), "half of it is held");
    }

    #[test]
    fn promises_beyond_the_bound_end_growth() {
        let ledger = Ledger::new(100);
        ledger.measure(1, 0, 99);
        assert!(!ledger.is_restrained());
        ledger.measure(1, 0, 100);
        assert!(ledger.is_restrained());
        ledger.measure(1, 50, 0);
        assert!(ledger.is_restrained());
    }
}
