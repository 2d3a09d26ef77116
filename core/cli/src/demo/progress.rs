//! How far a download is, and for how long it stood still.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by a download and those who watch it.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    start: Instant,
    received: u64,
    last: Instant,
    stall: Stall,
    end: Option<(Duration, End)>,
}

/// A time in which nothing arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stall {
    /// When it began, from the start.
    pub(super) from: Duration,
    /// How long it took.
    pub(super) length: Duration,
}

/// How a download ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// All is there, and every byte is right.
    Intact,
    /// All is there, and the hash is another.
    Damaged,
    /// It broke.
    Failed(String),
}

/// A look at a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Bytes of the file that have arrived.
    pub(super) received: u64,
    /// The longest time in which nothing arrived, up to now.
    pub(super) stall: Stall,
    /// When and how it ended.
    pub(super) end: Option<(Duration, End)>,
}

impl Progress {
    pub(super) fn new(start: Instant) -> Self {
        Self(Mutex::new(State {
            start,
            received: 0,
            last: start,
            stall: Stall::default(),
            end: None,
        }))
    }

    /// Starts the clock anew.
    pub(super) fn start(&self, now: Instant) {
        let mut state = self.lock();
        state.start = now;
        state.last = now;
    }

    pub(super) fn add(&self, bytes: u64) {
        let mut state = self.lock();
        state.received += bytes;
        let now = Instant::now();
        state.stall = state.stall_at(now);
        state.last = now;
    }

    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        let now = Instant::now();
        state.stall = state.stall_at(now);
        state.end = Some((now.saturating_duration_since(state.start), end));
    }

    pub(super) fn look(&self) -> Snapshot {
        let state = self.lock();
        let stall = match state.end {
            Some(_) => state.stall,
            None => state.stall_at(Instant::now()),
        };
        Snapshot {
            received: state.received,
            stall,
            end: state.end.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The longest stall, the one that may be going on included.
    fn stall_at(&self, now: Instant) -> Stall {
        let length = now.saturating_duration_since(self.last);
        if length <= self.stall.length {
            return self.stall;
        }
        Stall {
            from: self.last.saturating_duration_since(self.start),
            length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_that_goes_on_is_seen_and_the_longest_is_kept() {
        let progress = Progress::new(Instant::now());
        std::thread::sleep(Duration::from_millis(60));
        assert!(progress.look().stall.length >= Duration::from_millis(60));
        progress.add(1);
        std::thread::sleep(Duration::from_millis(5));
        progress.add(1);
        progress.end(End::Intact);
        std::thread::sleep(Duration::from_millis(80));
        let seen = progress.look();
        assert_eq!(seen.received, 2);
        assert!(seen.stall.length >= Duration::from_millis(60), "{seen:?}");
        assert!(seen.stall.from < Duration::from_millis(50), "{seen:?}");
        assert!(matches!(seen.end, Some((_, End::Intact))));
    }
}
