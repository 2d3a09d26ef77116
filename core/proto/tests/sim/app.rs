//! What the application at an end does: writes a known pattern, reads and checks the other's.

use std::collections::VecDeque;
use std::time::Duration;

use twinpath_proto::{ReadOutcome, Session, SessionError, Time};

/// Bytes to write at a time.
#[derive(Default)]
pub(crate) struct App {
    /// When, and up to which offset.
    pub(crate) plan: VecDeque<(Time, u64)>,
    pub(crate) finish_at: Option<u64>,
    pub(crate) written: u64,
    pub(crate) read: u64,
    /// Answer everything that is read with as many bytes.
    pub(crate) echo: bool,
    pub(crate) finished: bool,
    pub(crate) ended: bool,
    pub(crate) error: Option<SessionError>,
    /// Bytes read at most per tick, and the tick: a slow reader.
    pub(crate) slow: Option<(usize, Duration)>,
    pub(crate) next_at: Option<Time>,
    /// When each planned write was written and the other end's count reached it.
    pub(crate) read_at: Vec<(Time, u64)>,
    read_again: Option<Time>,
    pub(crate) finish_after_peer: bool,
    /// What was planned when writing failed.
    given_up: u64,
}

/// The byte at an offset, by direction.
pub(crate) fn pattern(end: usize, offset: u64) -> u8 {
    let mixed = (offset ^ (end as u64) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8
}

impl App {
    pub(crate) fn run(&mut self, session: &mut Session, end: usize, now: Time) {
        self.read_all(session, end, now);
        self.write_all(session, end, now);
        self.next_at = [self.plan.front().map(|(at, _)| *at), self.read_again]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min();
    }

    /// A service that is connected to anew says everything again.
    pub(crate) fn begin_anew(&mut self, now: Time) {
        self.finished = false;
        self.ended = false;
        let said = std::mem::take(&mut self.written).max(self.given_up);
        if said > 0 {
            self.plan.push_front((now, said));
        }
    }

    fn read_all(&mut self, session: &mut Session, end: usize, now: Time) {
        if self.ended || self.read_again.is_some_and(|at| at > now) {
            return;
        }
        let mut buffer = [0; 16 * 1024];
        let mut budget = usize::MAX;
        if let Some((most, tick)) = self.slow {
            budget = most;
            self.read_again = Some(now + tick);
        }
        while budget > 0 {
            let most = buffer.len().min(budget);
            match session.read(&mut buffer[..most], now) {
                Ok(ReadOutcome::Data(n)) => {
                    for (i, byte) in buffer[..n].iter().enumerate() {
                        let offset = self.read + i as u64;
                        assert_eq!(*byte, pattern(1 - end, offset), "offset {offset}");
                    }
                    self.read += n as u64;
                    budget -= n;
                    self.read_at.push((now, self.read));
                    if self.echo {
                        self.plan.push_back((now, self.read));
                    }
                }
                Ok(ReadOutcome::Blocked) => break,
                Ok(ReadOutcome::End) => {
                    self.ended = true;
                    self.read_again = None;
                    if self.finish_after_peer {
                        self.finish_at = Some(self.plan.back().map_or(self.written, |(_, to)| *to));
                    }
                    break;
                }
                Err(error) => {
                    self.ended = true;
                    self.read_again = None;
                    self.error.get_or_insert(error);
                    break;
                }
            }
        }
    }

    fn write_all(&mut self, session: &mut Session, end: usize, now: Time) {
        while let Some((at, upto)) = self.plan.front().copied() {
            if at > now {
                break;
            }
            while self.written < upto {
                let n = (upto - self.written).min(8192);
                let bytes: Vec<u8> = (0..n).map(|i| pattern(end, self.written + i)).collect();
                match session.write(&bytes, now) {
                    Ok(0) => return,
                    Ok(n) => self.written += n as u64,
                    Err(error) => {
                        self.error.get_or_insert(error);
                        self.given_up = self.plan.iter().map(|(_, upto)| *upto).max().unwrap_or(0);
                        self.plan.clear();
                        return;
                    }
                }
            }
            self.plan.pop_front();
        }
        if !self.finished
            && self.finish_at.is_some_and(|at| self.written >= at)
            && self.plan.is_empty()
        {
            self.finished = true;
            session.finish(now);
        }
    }
}
