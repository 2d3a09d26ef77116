//! Who is there: the open sessions and raw connections, counted by guards, and the moment the last has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::Notify;

use crate::caps::AddressSlot;

/// Counts what is open.
#[derive(Debug, Default)]
pub(crate) struct Census {
    sessions: AtomicUsize,
    raw: AtomicUsize,
    left: Notify,
}

impl Census {
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(SeqCst)
    }

    pub(crate) fn raw(&self) -> usize {
        self.raw.load(SeqCst)
    }

    /// Counts a session, unless there are `max` already.
    pub(crate) fn enter_session(self: &Arc<Self>, max: usize) -> Option<SessionGuard> {
        enter(&self.sessions, max).then(|| SessionGuard {
            census: Arc::clone(self),
        })
    }

    /// Counts a raw connection, which keeps its address's slot, unless there are `max` already.
    pub(crate) fn enter_raw(self: &Arc<Self>, max: usize, slot: AddressSlot) -> Option<RawGuard> {
        enter(&self.raw, max).then(|| RawGuard {
            census: Arc::clone(self),
            _slot: slot,
        })
    }

    /// Waits until nothing is open.
    pub(crate) async fn empty(&self) {
        loop {
            // Asked for before looking, so that whoever leaves in between is not missed.
            let left = self.left.notified();
            if self.sessions() == 0 && self.raw() == 0 {
                return;
            }
            left.await;
        }
    }
}

fn enter(count: &AtomicUsize, max: usize) -> bool {
    count
        .fetch_update(SeqCst, SeqCst, |now| (now < max).then_some(now + 1))
        .is_ok()
}

/// A session that is open as long as this lives.
#[derive(Debug)]
pub(crate) struct SessionGuard {
    census: Arc<Census>,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.census.sessions.fetch_sub(1, SeqCst);
        self.census.left.notify_waiters();
    }
}

/// A raw connection that is open as long as this lives.
#[derive(Debug)]
pub(crate) struct RawGuard {
    census: Arc<Census>,
    _slot: AddressSlot,
}

impl Drop for RawGuard {
    fn drop(&mut self) {
        self.census.raw.fetch_sub(1, SeqCst);
        self.census.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_to_leave_is_noticed() {
        let census = Arc::new(Census::default());
        census.empty().await;
        let first = census.enter_session(2);
        let second = census.enter_session(2);
        assert!(first.is_some() && second.is_some() && census.enter_session(2).is_none());
        let waiting = tokio::spawn({
            let census = Arc::clone(&census);
            async move { census.empty().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }
}
