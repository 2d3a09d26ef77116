//! What the application does with the stream: writing, ending, reading.

use std::time::Duration;

use bytes::Bytes;

use super::Session;
use crate::error::SessionError;
use crate::event::{ChunkOutcome, ReadOutcome};
use crate::leg::Leg;
use crate::time::Time;

impl Session {
    /// Accepts a prefix of `data`; 0 means that the buffer is full until bytes are acknowledged.
    ///
    /// # Errors
    /// The session has ended, or this direction was finished.
    pub fn write(&mut self, data: &[u8], now: Time) -> Result<usize, SessionError> {
        self.check_writable()?;
        let n = self.send.push(data);
        self.after_write(n, now);
        Ok(n)
    }

    /// As [`write`](Self::write), without a copy where `data` is long; takes what it accepts.
    ///
    /// # Errors
    /// The session has ended, or this direction was finished.
    pub fn write_bytes(&mut self, data: &mut Bytes, now: Time) -> Result<usize, SessionError> {
        self.check_writable()?;
        let n = self.send.push_bytes(data);
        self.after_write(n, now);
        Ok(n)
    }

    fn check_writable(&self) -> Result<(), SessionError> {
        match &self.closed {
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(())) => Err(SessionError::Finished),
            None if self.send.is_finished() => Err(SessionError::Finished),
            None => Ok(()),
        }
    }

    fn after_write(&mut self, n: usize, now: Time) {
        self.stats.written += n as u64;
        if n > 0 && self.due_from.is_none() {
            self.due_from = Some(now);
        }
    }

    /// Ends this direction: the peer reads an end after everything written so far.
    pub fn finish(&mut self, now: Time) {
        if self.closed.is_none() && !self.send.is_finished() {
            self.send.finish();
            if self.due_from.is_none() {
                self.due_from = Some(now);
            }
        }
    }

    /// Copies bytes that are in order.
    ///
    /// # Errors
    /// The session has ended with an error and everything before it was read.
    pub fn read(&mut self, out: &mut [u8], now: Time) -> Result<ReadOutcome, SessionError> {
        if out.is_empty() {
            return Ok(ReadOutcome::Data(0));
        }
        match self.recv.read(out) {
            0 => self.read_ended().map(|ended| match ended {
                true => ReadOutcome::End,
                false => ReadOutcome::Blocked,
            }),
            n => {
                self.after_read(now);
                Ok(ReadOutcome::Data(n))
            }
        }
    }

    /// Takes bytes that are in order, without a copy.
    ///
    /// # Errors
    /// The session has ended with an error and everything before it was read.
    pub fn read_chunk(&mut self, max: usize, now: Time) -> Result<ChunkOutcome, SessionError> {
        match self.recv.take(max) {
            None => self.read_ended().map(|ended| match ended {
                true => ChunkOutcome::End,
                false => ChunkOutcome::Blocked,
            }),
            Some(bytes) => {
                self.after_read(now);
                Ok(ChunkOutcome::Data(bytes))
            }
        }
    }

    /// Bytes of the peer that the application has handed on, if it does not use them up itself: a
    /// RESET says so instead of what was read.
    pub fn set_handed_on(&mut self, offset: u64) {
        self.handed_on = Some(offset.min(self.recv.read_offset()));
    }

    pub(super) fn delivered(&self) -> u64 {
        self.handed_on.unwrap_or_else(|| self.recv.read_offset())
    }

    fn read_ended(&self) -> Result<bool, SessionError> {
        if self.recv.is_exhausted() {
            return Ok(true);
        }
        match &self.closed {
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(())) => Ok(true),
            None => Ok(false),
        }
    }

    fn after_read(&mut self, now: Time) {
        self.stats.read = self.recv.read_offset();
        let was_closed = self.recv.is_closed();
        // A quarter of the window read in less than half the shortest round trip: the window, not
        // the path, is what limits. Larger than that it would only fall out of the caches.
        let window_time = now.saturating_since(self.window_read_at);
        let fast = window_time < self.shortest_rtt() / 2;
        if self.recv.update_limit(fast) {
            self.window_read_at = now;
            let active = self.active;
            let index = self
                .legs
                .iter()
                .position(|leg| leg.is_up() && leg.role == active)
                .or_else(|| self.legs.iter().position(Leg::is_up));
            if let Some(leg) = index.and_then(|i| self.legs.get_mut(i)) {
                leg.window_due = true;
                if was_closed && !leg.is_asked() {
                    // The peer waits for this; if it gets lost nobody would send anything.
                    leg.ping(now);
                }
            }
        }
    }

    fn shortest_rtt(&self) -> Duration {
        self.leg_on(self.active)
            .and_then(|leg| leg.rtt.shortest())
            .unwrap_or(Duration::from_millis(100))
    }
}
