//! A leg over a path that has faults, as the session sees it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::watch;

use super::carrier::carry;
use super::condition::Seen;
use crate::driver::{ByteStream, LegStream};

/// What can be written before the carrier has taken any of it.
const PIPE: usize = 64 * 1024;

/// What became of the stream, at the end of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Used,
    /// What was written still has to arrive.
    Released,
    Aborted,
}

/// What the carrier and the stream tell each other beside the bytes.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) life: watch::Sender<Life>,
    error: Mutex<Option<io::ErrorKind>>,
}

impl Fate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            life: watch::Sender::new(Life::Used),
            error: Mutex::new(None),
        })
    }

    /// The end of the pipe is no end of the stream.
    pub(super) fn fail(&self, kind: io::ErrorKind) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
    }

    fn check(&self) -> io::Result<()> {
        let error = *self.error.lock().unwrap_or_else(PoisonError::into_inner);
        error.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

/// One end of a pipe, whose other end a task of its own carries to and from the true stream.
pub(super) struct FaultyStream {
    pipe: DuplexStream,
    fate: Arc<Fate>,
    path: Seen,
    rtt: Option<Duration>,
    peer_address: Option<IpAddr>,
}

impl FaultyStream {
    /// Has to be called within a runtime.
    pub(super) fn over(stream: LegStream, path: Seen) -> Self {
        let (pipe, far) = duplex(PIPE);
        let fate = Fate::new();
        let (rtt, peer_address) = (stream.rtt(), stream.peer_address());
        tokio::spawn(carry(stream, far, path.clone(), Arc::clone(&fate)));
        Self {
            pipe,
            fate,
            path,
            rtt,
            peer_address,
        }
    }
}

impl ByteStream for FaultyStream {
    fn abort(&mut self) {
        self.fate.life.send_replace(Life::Aborted);
    }

    fn finish(&mut self) {
        // A pipe's end is ready at once.
        let _ = Pin::new(&mut self.pipe).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }

    fn rtt(&self) -> Option<Duration> {
        Some(self.rtt? + self.path.now().delay() * 2)
    }

    fn peer_address(&self) -> Option<IpAddr> {
        self.peer_address
    }
}

impl Drop for FaultyStream {
    fn drop(&mut self) {
        self.fate.life.send_if_modified(|life| {
            let is_used = *life == Life::Used;
            if is_used {
                *life = Life::Released;
            }
            is_used
        });
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buffer))?;
        if buffer.filled().len() == before && buffer.remaining() > 0 {
            self.fate.check()?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.pipe).poll_write(cx, bytes));
        if written.is_err() {
            self.fate.check()?;
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

impl fmt::Debug for FaultyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStream").finish_non_exhaustive()
    }
}
