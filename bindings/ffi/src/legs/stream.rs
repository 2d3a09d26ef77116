//! The leg as the core sees it.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use twinpath::driver::ByteStream;

use super::pipe::{self, LegPipe, PIECE, UNSENT};
use super::{LegFacts, PlatformLeg};
use crate::block::Block;
use crate::error::Failure;

/// Closes the leg when it is dropped.
pub(super) struct PipeStream {
    leg: Arc<dyn PlatformLeg>,
    pipe: Arc<LegPipe>,
    peer_address: Option<IpAddr>,
    rtt: Option<Duration>,
    is_finished: bool,
}

impl PipeStream {
    pub(super) fn new(leg: Arc<dyn PlatformLeg>, pipe: Arc<LegPipe>) -> Self {
        Self {
            leg,
            pipe,
            peer_address: None,
            rtt: None,
            is_finished: false,
        }
    }

    pub(super) fn poll_connected(&self, cx: &Context<'_>) -> Poll<io::Result<LegFacts>> {
        self.pipe.poll_connected(cx)
    }

    pub(super) fn know(&mut self, peer_address: Option<IpAddr>, rtt: Option<Duration>) {
        (self.peer_address, self.rtt) = (peer_address, rtt);
    }

    fn receive(&self) -> io::Result<()> {
        let piece = u32::try_from(PIECE).unwrap_or(u32::MAX);
        self.leg.receive(piece).map_err(as_io)
    }

    /// Hands over what there is room for; nothing is locked while the platform is called, for it may answer at once.
    fn send(&self, cx: &Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let room = {
            let mut state = self.pipe.lock();
            if let Some(error) = state.error() {
                return Poll::Ready(Err(error));
            }
            let room = UNSENT - state.unsent.min(UNSENT);
            if room == 0 {
                return state.wait_to_write(cx);
            }
            room
        };
        let wanted = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let mut bytes = Block::with_capacity(wanted.min(room));
        for piece in pieces {
            let left = room - bytes.len();
            bytes.extend_from_slice(&piece[..piece.len().min(left)]);
        }
        let size = bytes.len();
        if size > 0 {
            self.pipe.lock().unsent += size;
            self.leg.send(bytes).map_err(as_io)?;
        }
        Poll::Ready(Ok(size))
    }

    fn end(&mut self) {
        if std::mem::replace(&mut self.is_finished, true) {
            return;
        }
        if let Err(error) = self.leg.finish() {
            log::debug!("a leg of the platform did not end its direction: {error}");
        }
    }

    fn close(&mut self, aborted: bool) {
        if std::mem::replace(&mut self.pipe.lock().is_closed, true) {
            return;
        }
        if let Err(error) = self.leg.close(aborted) {
            log::debug!("a leg of the platform could not be closed: {error}");
        }
    }
}

impl AsyncRead for PipeStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut state = self.pipe.lock();
            let size = state.unread.len().min(buffer.remaining());
            if size > 0 {
                buffer.put_slice(&state.unread.split_to(size));
            }
            let outcome = match (size, state.error()) {
                (1.., _) => Poll::Ready(Ok(())),
                (0, Some(error)) => return Poll::Ready(Err(error)),
                (0, None) if state.is_ended || buffer.remaining() == 0 => {
                    return Poll::Ready(Ok(()));
                }
                (0, None) => state.wait_to_read(cx),
            };
            // Ahead, so that the platform receives while this is used.
            let is_due = state.unread.len() < PIECE && !state.is_ended && state.error().is_none();
            if !is_due || std::mem::replace(&mut state.is_asked, true) {
                return outcome;
            }
            drop(state);
            let asked = self.receive();
            if outcome.is_ready() {
                // An error is told by the next read.
                return outcome;
            }
            asked?;
        }
    }
}

impl AsyncWrite for PipeStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.send(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl ByteStream for PipeStream {
    fn abort(&mut self) {
        self.close(true);
    }

    fn finish(&mut self) {
        self.end();
    }

    fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    fn peer_address(&self) -> Option<IpAddr> {
        self.peer_address
    }
}

impl Drop for PipeStream {
    fn drop(&mut self) {
        self.close(false);
    }
}

impl fmt::Debug for PipeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeStream").finish_non_exhaustive()
    }
}

/// What the platform threw.
pub(super) fn as_io(failure: Failure) -> io::Error {
    let Failure::Failed {
        kind,
        reason,
        os_code,
        ..
    } = failure;
    match os_code {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(pipe::io_kind(kind), reason),
    }
}
