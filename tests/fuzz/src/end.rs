//! One end of a session, with everything checked that holds whatever the peer does.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use twinpath_proto::{Action, Event, LegId, ReadOutcome, Session, SessionError, Time};

/// A call of `poll_transmit` gives at most what was asked for, one frame more, and the replies.
const PULL: usize = 64 * 1024;
const PULL_SLACK: usize = 96 * 1024;
/// More deadlines at one point in time are an endless loop.
const MAX_TIMEOUTS: usize = 64;

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) now: Time,
    pub(crate) read: Vec<u8>,
    pub(crate) actions: VecDeque<Action>,
    window: u64,
    held_back: u64,
}

impl End {
    pub(crate) fn new(session: Session, window: u64, now: Time) -> Self {
        Self {
            session,
            now,
            read: Vec::new(),
            actions: VecDeque::new(),
            window,
            held_back: 0,
        }
    }

    pub(crate) fn receive(&mut self, leg: LegId, data: Bytes) {
        self.session.leg_received(leg, data, self.now);
        self.check();
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> usize {
        let n = self.session.write(data, self.now).unwrap_or(0);
        self.held_back = self.held_back.max(self.session.unacked_bytes());
        n
    }

    pub(crate) fn read(&mut self, most: usize) -> Result<bool, SessionError> {
        let mut buffer = vec![0; most.max(1)];
        let outcome = self.session.read(&mut buffer, self.now)?;
        if let ReadOutcome::Data(n) = outcome {
            self.read.extend_from_slice(&buffer[..n]);
        }
        Ok(outcome == ReadOutcome::End)
    }

    /// What that leg has to send.
    pub(crate) fn pull(&mut self, leg: LegId) -> Bytes {
        let mut out = VecDeque::new();
        let n = self.session.poll_transmit(leg, PULL, &mut out, self.now);
        let bytes: Bytes = Vec::from(out).concat().into();
        assert_eq!(n, bytes.len());
        assert!(n <= PULL + PULL_SLACK, "pulled {n} bytes");
        bytes
    }

    /// Lets time pass, with all deadlines in between.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut at_once = 0;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            at_once = if at > self.now { 0 } else { at_once + 1 };
            assert!(at_once < MAX_TIMEOUTS, "a deadline that never passes");
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.check();
        }
        self.now = until;
    }

    /// Collects what the session asks for and tells, and checks that it stays within its bounds.
    pub(crate) fn check(&mut self) {
        while let Some(action) = self.session.poll_action() {
            self.actions.push_back(action);
        }
        let mut events = 0;
        while let Some(event) = self.session.poll_event() {
            events += 1;
            if let Event::Closed(result) = event {
                assert_eq!(self.session.result(), Some(result));
            }
        }
        assert!(events <= 256);
        let held = self.session.buffered_bytes();
        assert!(
            held <= self.window + self.held_back,
            "{held} bytes are held, beyond the window of {} and {} unacknowledged",
            self.window,
            self.held_back
        );
        if self.session.is_closed() {
            assert_eq!(self.session.poll_timeout(), None);
        }
    }
}
