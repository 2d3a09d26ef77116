//! Reading and writing one leg without waiting.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use twinpath_proto::{LegEnd, LegId};

use super::stream::LegStream;

/// One read takes at most this much. Larger ones did not gain in measurements on loopback.
const READ_BUFFER: usize = 64 * 1024;
/// A read up to this size is copied out, so that a small message does not hold a whole buffer while the application
/// lets it lie; a larger one keeps its buffer and is not copied.
const COPY_BELOW: usize = 4 * 1024;
/// How much is pulled from the session for one write: at first, when the socket has just blocked, and at most. What is
/// pulled cannot move to the other leg without being sent twice, so it is little while the path is slow.
const PULL_START: usize = 16 * 1024;
const PULL_BLOCKED: usize = 32 * 1024;
const PULL_MAX: usize = 256 * 1024;
/// Slices for one vectored write; a frame takes two (header and payload).
const SLICES: usize = 64;

thread_local! {
    /// An unused read buffer, kept per thread: an idle connection then holds none, and a busy one need not allocate.
    static SPARE: RefCell<Option<BytesMut>> = const { RefCell::new(None) };
}

/// One leg with what was pulled from the session for it and not yet taken by its socket.
#[derive(Debug)]
pub(super) struct LegIo {
    pub(super) id: LegId,
    stream: LegStream,
    outbox: VecDeque<Bytes>,
    pull: usize,
    blocked: bool,
    inbox: Option<BytesMut>,
    /// Read, and not yet given to the session.
    pub(super) received: Option<Bytes>,
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
            inbox: None,
            received: (!already_read.is_empty()).then_some(already_read),
            ended: None,
        }
    }

    /// How much to pull from the session now, and where to; nothing while the last pull is not written out.
    pub(super) fn wants(&mut self) -> Option<(usize, &mut VecDeque<Bytes>)> {
        (self.outbox.is_empty() && self.ended.is_none()).then_some((self.pull, &mut self.outbox))
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
        if self.ended.is_none() {
            self.poll_outgoing(cx);
        }
        if self.ended.is_none() && self.received.is_none() {
            self.poll_incoming(cx);
        }
        self.received.is_some() || self.ended.is_some()
    }

    fn poll_outgoing(&mut self, cx: &mut Context<'_>) {
        if self.outbox.is_empty() {
            return;
        }
        match poll_write_all(&mut self.stream, &mut self.outbox, cx) {
            Poll::Ready(Ok(())) => {
                if !self.blocked {
                    self.pull = (self.pull * 2).min(PULL_MAX);
                }
                self.blocked = false;
            }
            Poll::Ready(Err(error)) => self.end_by(&error),
            Poll::Pending => {
                self.blocked = true;
                self.pull = PULL_BLOCKED;
            }
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) {
        let provide = || {
            SPARE
                .take()
                .unwrap_or_else(|| BytesMut::with_capacity(READ_BUFFER))
        };
        match self.stream.poll_read_into(cx, &mut self.inbox, provide) {
            Poll::Ready(Ok(0)) => {
                self.ended = Some(LegEnd::Eof);
                self.keep_spare();
            }
            Poll::Ready(Ok(size)) => self.received = Some(self.take_received(size)),
            Poll::Ready(Err(error)) => {
                self.end_by(&error);
                self.keep_spare();
            }
            Poll::Pending => self.keep_spare(),
        }
    }

    fn take_received(&mut self, size: usize) -> Bytes {
        let Some(inbox) = &mut self.inbox else {
            return Bytes::new();
        };
        if size <= COPY_BELOW {
            let data = Bytes::copy_from_slice(inbox);
            inbox.clear();
            return data;
        }
        let data = inbox.split().freeze();
        // A rest too small for a good read goes with the data that was read.
        if inbox.capacity() < READ_BUFFER / 4 {
            self.inbox = None;
        }
        data
    }

    /// Gives back an untouched buffer; one that shares its memory with data on its way is let go.
    fn keep_spare(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            if inbox.capacity() >= READ_BUFFER {
                SPARE.set(Some(inbox));
            }
        }
    }

    fn end_by(&mut self, error: &io::Error) {
        log::debug!("leg {:?} ended: {error}", self.id);
        self.ended = Some(leg_end(error));
    }
}

/// Writes out everything in `outbox`; `Pending` leaves the rest in it.
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
