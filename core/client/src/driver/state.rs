//! What the application's side and the driver share: the session under a lock, and who waits for what.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use twinpath_proto::{ChunkOutcome, LegId, ResetCode, Session, SessionError, Time};

use super::stream::LegStream;
use crate::budget::BudgetShare;
use crate::chunks::Chunks;
use crate::clock;
use crate::record::Record;
use crate::stats::{ConnectionStats, ConnectionSummary};

/// How long a connection that is closed in order waits for the peer's end of the stream, once everything of its own is
/// acknowledged. A service that goes on sending to somebody who has left is cut off then.
const PEER_END_WAIT: Duration = Duration::from_secs(1);

/// Shared by the driver, the connection's halves and the handles.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) record: Record,
    pub(super) budget: Option<BudgetShare>,
    pub(super) attached: Vec<(LegId, LegStream, Bytes)>,
    pub(super) leaving: Option<Leaving>,
    /// The driver's waker, while it sleeps; taken by whoever wakes it, so that it is woken once.
    pub(super) driver: Option<Waker>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    watchers: Vec<Waker>,
    milestones: Milestones,
    /// The driver has ended: no leg is left, and nothing will move any more.
    pub(super) finished: bool,
}

/// The application has closed or dropped the connection; what it wrote is still delivered.
#[derive(Debug)]
pub(super) struct Leaving {
    until: Time,
    drained_at: Option<Time>,
}

/// What a watcher may wait for; watchers are woken only when one of these changes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Milestones {
    established: bool,
    drained: bool,
    acknowledged: bool,
    readable: bool,
    closed: bool,
    finished: bool,
}

/// Wakers to be woken once the lock is released, so that nobody wakes up to wait for it.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Wakes {
    reader: Option<Waker>,
    writer: Option<Waker>,
    watchers: Vec<Waker>,
}

impl Wakes {
    pub(super) fn wake(self) {
        for waker in self
            .reader
            .into_iter()
            .chain(self.writer)
            .chain(self.watchers)
        {
            waker.wake();
        }
    }
}

impl Shared {
    pub(super) fn new(session: Session, record: Record, budget: Option<BudgetShare>) -> Self {
        Self {
            state: Mutex::new(State {
                session,
                record,
                budget,
                attached: Vec::new(),
                leaving: None,
                driver: None,
                reader: None,
                writer: None,
                watchers: Vec::new(),
                milestones: Milestones::default(),
                finished: false,
            }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in one place must not make every other user of the connection panic as well.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `change` under the lock and has the driver carry out what follows from it.
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State, Time) -> R) -> R {
        let now = clock::now();
        let mut state = self.lock();
        let result = change(&mut state, now);
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// Reads whole pieces into `out` until `max` bytes are there or nothing is left. `Ok(true)`: the stream has ended.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        max: usize,
        out: &mut Chunks,
    ) -> Poll<Result<bool, SessionError>> {
        let now = clock::now();
        let mut state = self.lock();
        let mut size = 0;
        let mut ended = false;
        while size < max {
            match state.session.read_chunk(max - size, now) {
                Ok(ChunkOutcome::Data(chunk)) => {
                    size += chunk.len();
                    out.push(chunk);
                }
                Ok(ChunkOutcome::Blocked) => break,
                Ok(ChunkOutcome::End) => {
                    ended = true;
                    break;
                }
                // What was read is handed over first; the error is sticky and comes again.
                Err(_) if size > 0 => break,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if size == 0 && !ended && max > 0 {
            if state.finished {
                return Poll::Ready(Err(gone()));
            }
            register(&mut state.reader, cx);
            return Poll::Pending;
        }
        state.conclude(now);
        let driver = state.driver_if_needed();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Ready(Ok(size == 0 && ended))
    }

    /// Takes one piece of at most `max` bytes; `None` at the end of the stream.
    pub(crate) fn poll_read_chunk(
        &self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<Bytes>, SessionError>> {
        let now = clock::now();
        let mut state = self.lock();
        let chunk = match state.session.read_chunk(max, now)? {
            ChunkOutcome::Data(chunk) => Some(chunk),
            ChunkOutcome::End => None,
            ChunkOutcome::Blocked if state.finished => return Poll::Ready(Err(gone())),
            ChunkOutcome::Blocked => {
                register(&mut state.reader, cx);
                return Poll::Pending;
            }
        };
        state.conclude(now);
        let driver = state.driver_if_needed();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Ready(Ok(chunk))
    }

    /// Has `write` put something into the session; `Ok(0)` of it means that there is no room.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Session, Time) -> Result<usize, SessionError>,
    ) -> Poll<Result<usize, SessionError>> {
        let now = clock::now();
        let mut state = self.lock();
        let written = write(&mut state.session, now)?;
        if written == 0 {
            if state.finished {
                return Poll::Ready(Err(gone()));
            }
            register(&mut state.writer, cx);
            return Poll::Pending;
        }
        let driver = state.driver_if_needed();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Ready(Ok(written))
    }

    /// Waits until `look` gives something. It is asked again whenever the session is established, drained, readable,
    /// closed or finished.
    pub(crate) fn poll_watch<R>(
        &self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&mut State) -> Option<R>,
    ) -> Poll<R> {
        let mut state = self.lock();
        if let Some(result) = look(&mut state) {
            return Poll::Ready(result);
        }
        // What is compared with later is what this watcher has seen. Others that saw something else look again.
        let milestones = state.milestones();
        let mut stale = Vec::new();
        if milestones != state.milestones {
            state.milestones = milestones;
            stale = mem::take(&mut state.watchers);
        }
        if !state
            .watchers
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.watchers.push(cx.waker().clone());
        }
        drop(state);
        for waker in stale
            .into_iter()
            .filter(|waker| !waker.will_wake(cx.waker()))
        {
            waker.wake();
        }
        Poll::Pending
    }

    /// The application leaves: nothing more is read or written, what was written is delivered within `bound`.
    pub(crate) fn leave(&self, bound: Duration) {
        self.with(|state, now| {
            state.session.finish(now);
            let until = now + bound;
            if state.leaving.is_none() {
                state.leaving = Some(Leaving {
                    until,
                    drained_at: None,
                });
            }
            state.conclude(now);
        });
    }

    /// The driver is gone, for whatever reason: nobody may wait for it.
    pub(super) fn driver_ended(&self) {
        let mut state = self.lock();
        state.finished = true;
        state.driver = None;
        state.conclude(clock::now());
        let wakes = state.wakes();
        drop(state);
        wakes.wake();
    }
}

impl State {
    pub(crate) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// The driver's waker if the last call on the session left something for it to do.
    fn driver_if_needed(&mut self) -> Option<Waker> {
        if self.session.wants_driver() {
            self.driver.take()
        } else {
            None
        }
    }

    pub(crate) fn stats(&self, now: Time) -> ConnectionStats {
        self.record
            .stats(self.session.active_role(), &self.session.stats(now), now)
    }

    pub(crate) fn summary(&mut self, now: Time) -> ConnectionSummary {
        let stats = self.session.stats(now);
        self.record.summary(&stats, now)
    }

    pub(crate) fn end_exemption(&mut self) {
        if let Some(share) = &mut self.budget {
            share.end_exemption();
        }
    }

    pub(super) fn settle_budget(&mut self, now: Time) {
        if let Some(share) = &mut self.budget {
            share.settle(&mut self.session, now);
        }
    }

    /// Gives the final account once nothing can change it: the driver has ended, and the application has read what
    /// there was, or has left.
    fn conclude(&mut self, now: Time) {
        let unread = self.session.buffered_bytes() > self.session.unacked_bytes();
        if self.finished
            && (self.leaving.is_some() || !unread)
            && self.record.final_summary().is_none()
        {
            let summary = self.summary(now);
            self.record.end(summary);
        }
    }

    /// Who has something to do now.
    pub(super) fn wakes(&mut self) -> Wakes {
        let over = self.finished || self.session.is_closed();
        let readable = self.session.is_readable();
        let mut wakes = Wakes::default();
        if self.reader.is_some() && (readable || over) {
            wakes.reader = self.reader.take();
        }
        if self.writer.is_some() && (over || self.session.is_writable()) {
            wakes.writer = self.writer.take();
        }
        if !self.watchers.is_empty() {
            let milestones = self.milestones();
            if milestones != self.milestones {
                self.milestones = milestones;
                wakes.watchers = mem::take(&mut self.watchers);
            }
        }
        wakes
    }

    fn milestones(&self) -> Milestones {
        Milestones {
            established: self.session.is_established(),
            drained: self.session.is_drained(),
            acknowledged: self.session.unacked_bytes() == 0,
            readable: self.session.is_readable(),
            closed: self.finished || self.session.is_closed(),
            finished: self.finished,
        }
    }

    /// Moves a connection that the application has left towards its end; says when to look again.
    pub(super) fn progress_leaving(&mut self, now: Time) -> Option<Time> {
        let leaving = self.leaving.as_mut()?;
        // Nobody reads any more. The window must not close, or a peer that still writes would never come to its end.
        while let Ok(ChunkOutcome::Data(_)) = self.session.read_chunk(usize::MAX, now) {}
        if self.session.is_closed() {
            return None;
        }
        if leaving.drained_at.is_none() && self.session.is_drained() {
            leaving.drained_at = Some(now);
        }
        let until = match leaving.drained_at {
            Some(drained_at) => leaving.until.min(drained_at + PEER_END_WAIT),
            None => leaving.until,
        };
        if now >= until {
            if leaving.drained_at.is_some() {
                self.record.complete();
            }
            self.session.abort(ResetCode::Aborted, now);
            return None;
        }
        Some(until)
    }
}

fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// The driver ended without the session having an error: its runtime was shut down.
fn gone() -> SessionError {
    SessionError::Reset {
        code: ResetCode::Aborted,
        delivered: None,
        received: 0,
    }
}
