//! How many bytes the sessions hold together.
//!
//! Each session may grow its windows as far as its traffic asks for, which in sum is far more than the machine has;
//! like the kernel's `tcp_mem`, the sum of what is *held* decides when growing ends, and when taking on more does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

/// How near the bound the sessions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    /// Less than half.
    Low,
    /// Windows stop growing.
    High,
    /// New sessions are refused, and no service is read.
    Full,
}

/// The sum, as last measured, and its bound.
#[derive(Debug)]
pub(crate) struct Ledger {
    limit: u64,
    held: AtomicU64,
    relief: Notify,
}

impl Ledger {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            held: AtomicU64::new(0),
            relief: Notify::new(),
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// States how much all sessions hold.
    pub(crate) fn measure(&self, held: u64) {
        self.held.store(held, Relaxed);
        if held < self.limit {
            self.relief.notify_waiters();
        }
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

    /// Waits until there is room.
    pub(crate) async fn room(&self) {
        loop {
            let relief = self.relief.notified();
            if self.pressure() < Pressure::Full {
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
    async fn a_full_ledger_lets_nobody_on_until_there_is_room() {
        let ledger = Arc::new(Ledger::new(100));
        ledger.measure(49);
        assert_eq!(ledger.pressure(), Pressure::Low);
        ledger.measure(50);
        assert_eq!(ledger.pressure(), Pressure::High);
        ledger.measure(100);
        assert_eq!(ledger.pressure(), Pressure::Full);
        let waiting = tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move { ledger.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        ledger.measure(99);
        waiting.await.unwrap();
    }
}
