//! The stream of a connection that is no session: plain TCP, or MPTCP of the kernel. Its leg can be taken from under it.

use std::io;
use std::mem;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use twinpath_proto::Role;

use crate::driver::LegStream;
use crate::pair::{Interrupted, InterruptedCause, Replay, Tally};

/// More than the kernel holds for a connection unless told to.
const SAVED: usize = 8 * 1024 * 1024;
/// Of which so much is taken at once.
const SAVING: usize = 64 * 1024;

/// The leg, and what is known of what went over it. Its halves, and the keeper, look at it through one lock.
#[derive(Debug)]
pub(crate) struct PlainStream {
    state: Mutex<State>,
    tally: Arc<Tally>,
    stirred: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// `None` once it was given up, until there is another or a verdict.
    pub(crate) leg: Option<LegStream>,
    pub(crate) role: Role,
    verdict: Option<Verdict>,
    /// A keeper sees to it when the leg is lost.
    kept: bool,
    /// What shows that the leg is lost; the keeper has to see what can be done.
    pub(crate) failing: Option<InterruptedCause>,
    /// What may be said again over another leg.
    pub(crate) replay: Option<Replay>,
    /// What had come over a leg that was given up, and was not read yet.
    pub(crate) rest: Bytes,
    /// The application has ended its direction.
    pub(crate) finished: bool,
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

/// Why nothing will move any more, where the leg does not say so itself.
#[derive(Debug)]
enum Verdict {
    Interrupted(Interrupted),
    /// Of MPTCP, whose kernel keeps it to itself.
    NoSubflow,
}

impl PlainStream {
    pub(crate) fn new(leg: LegStream, role: Role, tally: Arc<Tally>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                leg: Some(leg),
                role,
                verdict: None,
                kept: false,
                failing: None,
                replay: None,
                rest: Bytes::new(),
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

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Told when it is time to look.
    pub(crate) fn stirred(&self) -> Arc<Notify> {
        Arc::clone(&self.stirred)
    }

    /// What `look` finds at the socket, if there is one.
    pub(crate) fn with_tcp<R>(&self, look: impl FnOnce(&TcpStream) -> R) -> Option<R> {
        match &self.lock().leg {
            Some(LegStream::Tcp(tcp)) => Some(look(tcp)),
            _ => None,
        }
    }

    /// The address of the peer's end, where it is known.
    pub(crate) fn peer_address(&self) -> Option<IpAddr> {
        self.lock().leg.as_ref()?.peer_address()
    }

    /// Whether the application has read the end of the stream.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Fails what waits, and will wait, for an MPTCP connection without subflows.
    pub(crate) fn fail_without_subflow(&self) {
        let mut state = self.lock();
        state.verdict.get_or_insert(Verdict::NoSubflow);
        let waiting = state.waiting();
        drop(state);
        waiting.for_each(Waker::wake);
    }

    /// The connection cannot be mended.
    pub(crate) fn interrupt(&self, verdict: Interrupted) {
        let mut state = self.lock();
        state.verdict = Some(Verdict::Interrupted(verdict));
        let waiting = state.waiting();
        drop(state);
        waiting.for_each(Waker::wake);
    }

    /// A keeper sees to it from now on when the leg is lost.
    pub(crate) fn keep(&self) {
        self.lock().kept = true;
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
    #[cfg(feature = "http")]
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
    pub(crate) fn rest(&self) {
        self.lock().resting = true;
    }

    fn rouse(&self, state: &mut State) {
        if mem::take(&mut state.resting) {
            self.stirred.notify_one();
        }
    }

    /// Before the leg is polled: pending if it cannot be now.
    fn admit(&self, state: &mut State, direction: usize, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let waker = &mut state.waiting[direction];
        if !waker.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        match state.leg {
            Some(_) if state.failing.is_none() => Poll::Ready(Ok(())),
            _ => state.poll_verdict(),
        }
    }

    /// What an error of the leg means: that it is lost, which the keeper sees to, or just what it says.
    fn judge<T>(&self, state: &mut State, error: io::Error) -> Poll<io::Result<T>> {
        match cause_of(&error, state.replay.is_some()) {
            Some(cause) if state.kept => {
                log::debug!("the leg of a plain connection is lost: {error}");
                state.failing = Some(cause);
                self.stirred.notify_one();
                Poll::Pending
            }
            _ => Poll::Ready(Err(error)),
        }
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let state = &mut *state;
        if !state.rest.is_empty() {
            let size = state.rest.len().min(buf.remaining());
            buf.put_slice(&state.rest.split_to(size));
            return Poll::Ready(Ok(()));
        }
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
                state.poll_verdict()
            }
        }
    }

    pub(crate) fn poll_write(
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
            Poll::Pending => state.poll_verdict(),
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
        if let Some(Err(error)) = state.leg.as_mut().map(LegStream::finish) {
            log::debug!("a plain connection did not end its direction: {error}");
        }
    }

    /// Ends the leg with a reset, now.
    pub(crate) fn abort(&self) {
        if let Some(leg) = self.lock().leg.take() {
            leg.abort();
        }
    }
}

impl Drop for PlainStream {
    fn drop(&mut self) {
        // The keeper ends as well, and not at its next look.
        self.stirred.notify_one();
    }
}

impl State {
    /// Whether an answer is due, as far as one can know.
    pub(crate) fn is_awaiting(&self) -> bool {
        match self.awaited {
            Some(due) => due > 0,
            None => self.reading && self.asked && !self.ended,
        }
    }

    /// Whether somebody else says when answers are due, so that nothing has to be guessed.
    pub(crate) const fn is_told(&self) -> bool {
        self.awaited.is_some()
    }

    /// `Pending`, unless it is known that it would be for ever.
    fn poll_verdict<T>(&self) -> Poll<io::Result<T>> {
        match &self.verdict {
            None => Poll::Pending,
            Some(Verdict::Interrupted(verdict)) => Poll::Ready(Err(verdict.clone().into())),
            Some(Verdict::NoSubflow) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "every subflow of the MPTCP connection is gone",
            ))),
        }
    }

    /// Takes out of the leg what has come, so that it can be read when the leg is gone.
    pub(crate) fn save(&mut self) {
        let Some(leg) = &mut self.leg else {
            return;
        };
        let mut saved = BytesMut::new();
        let mut cx = Context::from_waker(Waker::noop());
        // An error, and the end, are told by what happens to the leg next.
        while saved.len() < SAVED {
            saved.reserve(SAVING);
            let taken = match leg {
                LegStream::Tcp(tcp) => tcp.try_read_buf(&mut saved).unwrap_or_default(),
                LegStream::Other(other) => match pin!(other.read_buf(&mut saved)).poll(&mut cx) {
                    Poll::Ready(Ok(taken)) => taken,
                    Poll::Ready(Err(_)) | Poll::Pending => 0,
                },
            };
            if taken == 0 {
                break;
            }
        }
        self.rest = saved.freeze();
    }

    /// Whoever waits, to look again once the lock is released: it may do so at once, on this thread.
    pub(crate) fn waiting(&mut self) -> impl Iterator<Item = Waker> + use<> {
        mem::take(&mut self.waiting).into_iter().flatten()
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
