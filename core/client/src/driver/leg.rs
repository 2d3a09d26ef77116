//! Reading and writing one leg without waiting.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use twinpath_proto::{LegEnd, LegId};

use super::stream::LegStream;
use crate::pool;

/// A read up to this size is copied out, so that it does not hold a whole buffer while the application lets it lie; a
/// larger one keeps its buffer and is not copied.
const COPY_BELOW: usize = pool::SIZE / 4;
/// How much is pulled from the session for one write: at first, when the socket has just blocked, and at most. What is
/// pulled cannot move to the other leg without being sent twice, so it is little while the path is slow.
const PULL_START: usize = 16 * 1024;
const PULL_BLOCKED: usize = 32 * 1024;
const PULL_MAX: usize = 256 * 1024;
/// Slices for one vectored write; a frame takes two (header and payload).
const SLICES: usize = 64;

/// Full reads in one turn. Each turn sends one acknowledgement, which costs a packet and a wake-up of the peer; while
/// bytes wait in the kernel, one for several reads took 8 % off the processor time per byte on loopback.
const READS: usize = 4;

/// What one read gave.
enum Incoming {
    /// Nothing, or the end.
    Nothing,
    /// Likely everything that was there.
    Short,
    /// As much as there was room for.
    More,
}

/// One leg with what was pulled from the session for it and not yet taken by its socket.
#[derive(Debug)]
pub(super) struct LegIo {
    pub(super) id: LegId,
    stream: LegStream,
    outbox: VecDeque<Bytes>,
    pull: usize,
    blocked: bool,
    /// The stream has taken everything and not yet passed it on.
    flushing: bool,
    inbox: Option<BytesMut>,
    /// Read, and not yet given to the session.
    pub(super) received: Vec<Bytes>,
    /// Why nothing more can be written; what the peer had sent before is still to be read.
    write_failed: Option<LegEnd>,
    pub(super) ended: Option<LegEnd>,
}

impl LegIo {
    pub(super) fn new(id: LegId, stream: LegStream, already_read: Bytes) -> Self {
        Self {
            id,
            stream,
            outbox: VecDeque::new(),
            pull: PULL_START,
            blocked: false,
            flushing: false,
            inbox: None,
            received: if already_read.is_empty() {
                Vec::new()
            } else {
                vec![already_read]
            },
            write_failed: None,
            ended: None,
        }
    }

    /// How much to pull from the session now, and where to; nothing while the last pull is not written out.
    pub(super) fn wants(&mut self) -> Option<(usize, &mut VecDeque<Bytes>)> {
        (self.outbox.is_empty() && self.is_writable()).then_some((self.pull, &mut self.outbox))
    }

    /// Pulls the last that the session has for a leg that it closes, behind what is not yet written.
    pub(super) fn pull_last(&mut self, mut pull: impl FnMut(usize, &mut VecDeque<Bytes>) -> usize) {
        let mut rest = PULL_MAX;
        while rest > 0 {
            let pulled = pull(rest.min(PULL_BLOCKED), &mut self.outbox);
            if pulled == 0 {
                break;
            }
            rest = rest.saturating_sub(pulled);
        }
    }

    /// The stream and what has still to be written to it.
    pub(super) fn into_parts(self) -> (LegStream, VecDeque<Bytes>) {
        (self.stream, self.outbox)
    }

    /// Writes and reads what is possible without waiting. True if the session has something to hear.
    pub(super) fn poll_io(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_writable() {
            self.poll_outgoing(cx);
        }
        while self.ended.is_none() && self.received.len() < READS {
            match (self.poll_incoming(cx), self.write_failed) {
                (Incoming::More, _) | (Incoming::Short, Some(_)) => {}
                (Incoming::Nothing, Some(end)) => self.ended = self.ended.or(Some(end)),
                _ => break,
            }
        }
        !self.received.is_empty() || self.ended.is_some()
    }

    const fn is_writable(&self) -> bool {
        self.ended.is_none() && self.write_failed.is_none()
    }

    fn poll_outgoing(&mut self, cx: &mut Context<'_>) {
        if self.outbox.is_empty() && !self.flushing {
            return;
        }
        self.flushing = true;
        match poll_write_all(&mut self.stream, &mut self.outbox, cx) {
            Poll::Ready(Ok(())) => {
                if !self.blocked {
                    self.pull = (self.pull * 2).min(PULL_MAX);
                }
                self.blocked = false;
                self.flushing = false;
            }
            Poll::Ready(Err(error)) => {
                log::debug!("writing on {} failed: {error}", self.id);
                self.write_failed = Some(leg_end(&error));
            }
            Poll::Pending => {
                self.blocked = true;
                self.pull = PULL_BLOCKED;
            }
        }
    }

    /// Reads once.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Incoming {
        let room = self
            .inbox
            .as_ref()
            .map_or(pool::SIZE, |inbox| inbox.capacity() - inbox.len());
        let size = match self.stream.poll_read_into(cx, &mut self.inbox, pool::take) {
            Poll::Ready(Ok(0)) => {
                self.ended = self.write_failed.or(Some(LegEnd::Eof));
                0
            }
            Poll::Ready(Ok(size)) => size,
            Poll::Ready(Err(error)) => {
                self.end_by(&error);
                0
            }
            Poll::Pending => 0,
        };
        if size == 0 {
            self.keep_spare();
            return Incoming::Nothing;
        }
        self.take_received(size);
        if size == room {
            Incoming::More
        } else {
            Incoming::Short
        }
    }

    fn take_received(&mut self, size: usize) {
        let Some(inbox) = &mut self.inbox else {
            return;
        };
        if size <= COPY_BELOW {
            self.received.push(Bytes::copy_from_slice(inbox));
            inbox.clear();
            return;
        }
        self.received.push(inbox.split().freeze());
        // A rest too small for a good read is as good as none.
        if inbox.capacity() < pool::SIZE / 4 {
            self.keep_spare();
        }
    }

    fn keep_spare(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            pool::give(inbox);
        }
    }

    fn end_by(&mut self, error: &io::Error) {
        log::debug!("{} ended: {error}", self.id);
        self.ended = self.write_failed.or_else(|| Some(leg_end(error)));
    }
}

/// Writes out everything in `outbox` and flushes; `Pending` leaves the rest in it, and has to be polled again even if
/// there is none.
pub(super) fn poll_write_all(
    stream: &mut LegStream,
    outbox: &mut VecDeque<Bytes>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !outbox.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(outbox.iter()) {
            *slice = IoSlice::new(chunk);
            filled += 1;
        }
        let written = match Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..filled]) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        consume(outbox, written);
    }
    if matches!(stream, LegStream::Other(_)) {
        // A foreign stream may buffer; ours are sockets, for which this would be an empty call.
        return Pin::new(stream).poll_flush(cx);
    }
    Poll::Ready(Ok(()))
}

fn consume(outbox: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(chunk) = outbox.front_mut() {
        if chunk.len() > written {
            chunk.advance(written);
            return;
        }
        written -= chunk.len();
        outbox.pop_front();
    }
}

/// What a socket's error says about the path under it.
fn leg_end(error: &io::Error) -> LegEnd {
    use io::ErrorKind;
    /// `ENODEV`, the same number on every Unix: the interface that the socket is bound to has been removed.
    const NO_DEVICE: i32 = 19;
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => LegEnd::Reset,
        ErrorKind::NetworkUnreachable
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable
        | ErrorKind::ConnectionAborted => LegEnd::PathGone,
        _ if error.raw_os_error() == Some(NO_DEVICE) => LegEnd::PathGone,
        _ => LegEnd::Error,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Waker;

    use tokio::io::{AsyncRead, ReadBuf};

    use super::*;
    use crate::driver::ByteStream;

    fn leg_id() -> LegId {
        use twinpath_proto::{ClientConfig, Role, Session, Time};
        let now = Time::from_duration(std::time::Duration::from_secs(1));
        let mut session = Session::client(ClientConfig::default(), [1; 32], now);
        session.leg_opened(Role::Primary, None, now)
    }

    /// Takes whatever it is given, and needs several flushes to pass it on.
    struct Buffering {
        flushes_left: Arc<AtomicU32>,
    }

    impl ByteStream for Buffering {}

    impl AsyncRead for Buffering {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Buffering {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(data.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let left = self.flushes_left.load(Ordering::Relaxed).saturating_sub(1);
            self.flushes_left.store(left, Ordering::Relaxed);
            if left == 0 {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Takes nothing more, but has still something to read, a piece at a time.
    struct HalfDead {
        pieces: u8,
        at_the_end: fn() -> Poll<io::Result<()>>,
    }

    impl ByteStream for HalfDead {}

    impl AsyncRead for HalfDead {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Some(left) = self.pieces.checked_sub(1) else {
                return (self.at_the_end)();
            };
            self.pieces = left;
            buf.put_slice(&[left; 20]);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for HalfDead {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_leg_that_cannot_be_written_is_read_to_its_end_first() {
        let ends: [fn() -> Poll<io::Result<()>>; 3] = [
            || Poll::Pending,
            || Poll::Ready(Ok(())),
            || Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        ];
        for (at_the_end, pieces) in ends.into_iter().flat_map(|end| [(end, 3), (end, 9)]) {
            let stream = LegStream::other(HalfDead { pieces, at_the_end });
            let mut leg = LegIo::new(leg_id(), stream, Bytes::new());
            leg.outbox.push_back(Bytes::from_static(b"word"));
            let mut cx = Context::from_waker(Waker::noop());
            let mut read = 0;
            while leg.ended.is_none() {
                assert!(leg.poll_io(&mut cx), "it would wait for ever");
                read += leg
                    .received
                    .drain(..)
                    .map(|piece| piece.len())
                    .sum::<usize>();
            }
            assert_eq!(read, usize::from(pieces) * 20);
            assert_eq!(leg.ended, Some(LegEnd::Reset));
        }
    }

    #[test]
    fn a_stream_is_flushed_until_it_has_passed_everything_on() {
        let id = leg_id();
        let flushes_left = Arc::new(AtomicU32::new(3));
        let stream = LegStream::other(Buffering {
            flushes_left: Arc::clone(&flushes_left),
        });
        let mut leg = LegIo::new(id, stream, Bytes::new());
        leg.outbox.push_back(Bytes::from_static(b"word"));
        let mut cx = Context::from_waker(Waker::noop());
        for left in [2, 1, 0, 0] {
            leg.poll_io(&mut cx);
            assert!(leg.outbox.is_empty());
            assert_eq!(flushes_left.load(Ordering::Relaxed), left);
        }
    }
}
