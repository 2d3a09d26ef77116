//! A plain connection whose leg can be taken from under it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use twinpath_proto::Role;

use super::interrupted::{Interrupted, InterruptedCause};
use super::replay::Replay;
use super::tally::Tally;
use crate::driver::LegStream;

/// The leg, and what is known of what went over it. Its halves, and the keeper, look at it through one lock.
#[derive(Debug)]
pub(crate) struct PairStream {
    state: Mutex<State>,
    tally: Arc<Tally>,
    stirred: Arc<Notify>,
}

#[derive(Debug)]
pub(super) struct State {
    /// `None` once it was given up, until there is another or a verdict.
    pub(super) leg: Option<LegStream>,
    pub(super) role: Role,
    pub(super) verdict: Option<Interrupted>,
    /// What shows that the leg is lost; the keeper has to see what can be done.
    pub(super) failing: Option<InterruptedCause>,
    /// What may be said again over another leg.
    pub(super) replay: Option<Replay>,
    /// The application has ended its direction.
    pub(super) finished: bool,
    waiting: [Option<Waker>; 2],
    /// Somebody waits for bytes.
    reading: bool,
    /// Something was written since bytes last came.
    asked: bool,
    /// The peer has ended its direction.
    ended: bool,
    /// Whoever knows says when an answer is due, and how many are.
    awaited: Option<usize>,
    /// Nobody is looking closely: what changes that has to be told.
    resting: bool,
}

impl PairStream {
    pub(crate) fn new(leg: LegStream, role: Role, tally: Arc<Tally>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                leg: Some(leg),
                role,
                verdict: None,
                failing: None,
                replay: None,
                finished: false,
                waiting: [None, None],
                reading: false,
                asked: false,
                ended: false,
                awaited: None,
                resting: false,
            }),
            tally,
            stirred: Arc::default(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Told when it is time to look.
    pub(super) fn stirred(&self) -> Arc<Notify> {
        Arc::clone(&self.stirred)
    }

    /// The system, or a read or write, says that the leg is lost.
    pub(crate) fn fail(&self, cause: InterruptedCause) {
        let mut state = self.lock();
        if state.leg.is_some() {
            state.failing.get_or_insert(cause);
            drop(state);
            self.stirred.notify_one();
        }
    }

    /// It is time to look.
    pub(crate) fn stir(&self) {
        self.stirred.notify_one();
    }

    /// An answer is due, or one less is.
    pub(crate) fn await_answer(&self, is_due: bool) {
        let mut state = self.lock();
        let count = state.awaited.unwrap_or_default();
        state.awaited = Some(match is_due {
            true => count + 1,
            false => count.saturating_sub(1),
        });
        self.rouse(&mut state);
    }

    /// From now on, and until something of the answer was read, what is written may be said again over another leg.
    pub(crate) fn begin_exchange(&self) {
        self.lock().replay = Some(Replay::default());
    }

    /// Has the next change that means something be told.
    pub(super) fn rest(&self) {
        self.lock().resting = true;
    }

    fn rouse(&self, state: &mut State) {
        if std::mem::take(&mut state.resting) {
            self.stirred.notify_one();
        }
    }

    /// The first poll of an operation: an error if it never will be ready, pending if it cannot be now.
    fn admit(&self, state: &mut State, direction: usize, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if let Some(verdict) = &state.verdict {
            return Poll::Ready(Err(verdict.clone().into()));
        }
        let waker = &mut state.waiting[direction];
        if !waker.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        match state.leg {
            Some(_) if state.failing.is_none() => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }

    /// What an error of the leg means: that it is lost, which the keeper sees to, or just what it says.
    fn judge<T>(&self, state: &mut State, error: io::Error) -> Poll<io::Result<T>> {
        match cause_of(&error, state.can_replay()) {
            Some(cause) => {
                log::debug!("the leg of a plain connection is lost: {error}");
                state.failing = Some(cause);
                self.stirred.notify_one();
                Poll::Pending
            }
            None => Poll::Ready(Err(error)),
        }
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let state = &mut *state;
        match self.admit(state, 0, cx) {
            Poll::Ready(admitted) => admitted?,
            Poll::Pending => return Poll::Pending,
        }
        let Some(leg) = &mut state.leg else {
            return Poll::Pending;
        };
        let before = buf.filled().len();
        match Pin::new(leg).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let size = buf.filled().len() - before;
                (state.reading, state.asked) = (false, false);
                state.ended |= size == 0 && buf.remaining() > 0;
                // The server has begun to answer: from here on nothing may be said twice.
                state.replay = None;
                self.tally.count_received(state.role, size);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => self.judge(state, error),
            Poll::Pending => {
                state.reading = true;
                if state.asked {
                    self.rouse(state);
                }
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let state = &mut *state;
        match self.admit(state, 1, cx) {
            Poll::Ready(admitted) => admitted?,
            Poll::Pending => return Poll::Pending,
        }
        let Some(leg) = &mut state.leg else {
            return Poll::Pending;
        };
        match Pin::new(leg).poll_write_vectored(cx, bufs) {
            Poll::Ready(Ok(size)) => {
                state.asked = true;
                if let Some(replay) = state.replay.take() {
                    state.replay = replay.keep(bufs, size);
                }
                self.tally.count_sent(state.role, size);
                self.rouse(state);
                Poll::Ready(Ok(size))
            }
            Poll::Ready(Err(error)) => self.judge(state, error),
            Poll::Pending => Poll::Pending,
        }
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let state = &mut *state;
        match self.admit(state, 1, cx) {
            Poll::Ready(admitted) => admitted?,
            Poll::Pending => return Poll::Pending,
        }
        state.finished = true;
        match &mut state.leg {
            Some(leg) => Pin::new(leg).poll_shutdown(cx),
            None => Poll::Pending,
        }
    }

    /// Ends the sending direction without waiting.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        state.finished = true;
        if let Some(LegStream::Tcp(tcp)) = &state.leg {
            if let Err(error) = twinpath_socket::finish(tcp) {
                log::debug!("a plain connection did not end its direction: {error}");
            }
        }
    }

    /// Ends the leg with a reset, now.
    pub(crate) fn abort(&self) {
        if let Some(leg) = self.lock().leg.take() {
            leg.abort();
        }
    }
}

impl Drop for PairStream {
    fn drop(&mut self) {
        // The keeper ends as well, and not at its next look.
        self.stirred.notify_one();
    }
}

impl State {
    /// Whether an answer is due, as far as one can know.
    pub(super) fn is_awaiting(&self) -> bool {
        match self.awaited {
            Some(due) => due > 0,
            None => self.reading && self.asked && !self.ended,
        }
    }

    /// Whether somebody else says when answers are due, so that nothing has to be guessed.
    pub(super) const fn is_told(&self) -> bool {
        self.awaited.is_some()
    }

    fn can_replay(&self) -> bool {
        self.replay.is_some()
    }

    /// Has both directions look again.
    pub(super) fn wake(&mut self) {
        for waker in self.waiting.iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }
}

/// Errors of a leg that say that its path is lost, and not that the server has ended the connection. What may be said
/// again may also be so after a reset, which whatever is on the way can make.
fn cause_of(error: &io::Error, can_replay: bool) -> Option<InterruptedCause> {
    match error.kind() {
        io::ErrorKind::TimedOut => Some(InterruptedCause::TimedOut),
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::ConnectionAborted => Some(InterruptedCause::PathGone),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe if can_replay => {
            Some(InterruptedCause::Reset)
        }
        _ => None,
    }
}

/// The reading half.
#[derive(Debug)]
pub(crate) struct PairRead(pub(crate) Arc<PairStream>);

/// The writing half. Dropping it ends the direction.
#[derive(Debug)]
pub(crate) struct PairWrite(pub(crate) Arc<PairStream>);

impl AsyncRead for PairRead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

impl AsyncWrite for PairWrite {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_with(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_with(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

impl Drop for PairWrite {
    fn drop(&mut self) {
        self.0.finish();
    }
}
