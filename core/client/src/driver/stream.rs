//! What a leg runs over: a TCP socket of ours, or any byte stream that the platform dialled.

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

/// A byte stream that can carry a leg.
///
/// Implement it for what a platform hands out (an `NWConnection`, a TLS tunnel, a test double); sockets of tokio are
/// carried as [`LegStream::Tcp`].
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Ends the stream at once: what is unsent is dropped, not sent later. The stream is dropped right after.
    fn abort(&mut self) {}

    /// Ends the sending direction, without waiting and after what was written; nothing is done where there is no such
    /// thing.
    fn finish(&mut self) {}

    /// The smoothed round-trip time, where the stream knows it.
    fn rtt(&self) -> Option<Duration> {
        None
    }

    /// The address of the peer's end, where the stream knows it. Further legs go to the same
    /// ([`Target::reached_at`](crate::Target::reached_at)).
    fn peer_address(&self) -> Option<IpAddr> {
        None
    }
}

impl ByteStream for DuplexStream {}

/// A TCP socket, and what has to be kept as long as it lives.
pub struct TcpLeg {
    stream: TcpStream,
    lease: Option<Box<dyn Any + Send + Sync>>,
}

impl TcpLeg {
    /// The socket alone; what was kept for it is let go of.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl From<TcpStream> for TcpLeg {
    fn from(stream: TcpStream) -> Self {
        let lease = None;
        Self { stream, lease }
    }
}

impl Deref for TcpLeg {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl DerefMut for TcpLeg {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl fmt::Debug for TcpLeg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpLeg")
            .field("leased", &self.lease.is_some())
            .finish_non_exhaustive()
    }
}

/// The stream under one leg.
#[non_exhaustive]
pub enum LegStream {
    /// A TCP socket.
    Tcp(TcpLeg),
    /// Anything else.
    Other(Box<dyn ByteStream>),
}

impl LegStream {
    /// Wraps a stream that is not a tokio TCP socket.
    pub fn other(stream: impl ByteStream + 'static) -> Self {
        Self::Other(Box::new(stream))
    }

    /// Keeps `lease` until the leg is gone: what its path needs of the platform for so long. Of a socket; other streams keep
    /// what they need themselves.
    #[must_use]
    pub fn with_lease(mut self, lease: impl Any + Send + Sync) -> Self {
        if let Self::Tcp(tcp) = &mut self {
            tcp.lease = Some(Box::new(lease));
        }
        self
    }

    /// The smoothed round-trip time so far, where it is known.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        match self {
            Self::Tcp(tcp) => twinpath_socket::tcp_health(tcp)
                .ok()
                .and_then(|health| health.srtt),
            Self::Other(other) => other.rtt(),
        }
    }

    /// The peer's end, of a TCP socket.
    pub(crate) fn peer_socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr().ok(),
            Self::Other(_) => None,
        }
    }

    /// The address of the peer's end, where it is known.
    pub(crate) fn peer_address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(tcp) => tcp
                .peer_addr()
                .ok()
                .map(|address| address.ip().to_canonical()),
            Self::Other(other) => other.peer_address(),
        }
    }

    /// Ends the stream at once, with a reset where there is such a thing.
    pub fn abort(self) {
        match self {
            Self::Tcp(tcp) => twinpath_socket::abort(tcp.into_stream()),
            Self::Other(mut other) => other.abort(),
        }
    }

    /// Ends the sending direction without waiting.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => twinpath_socket::finish(tcp),
            Self::Other(other) => {
                other.finish();
                Ok(())
            }
        }
    }

    /// Reads once into the spare capacity of the buffer that `buffer` provides, which is asked for only when there is
    /// something to read (or for foreign streams, which cannot tell beforehand).
    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        slot: &mut Option<BytesMut>,
        provide: impl FnOnce() -> BytesMut,
    ) -> Poll<io::Result<usize>> {
        if let Self::Tcp(tcp) = self {
            ready!(tcp.poll_read_ready(cx))?;
        }
        let buffer = slot.get_or_insert_with(provide);
        // `read_buf` keeps no state between polls, so that a future polled once and dropped loses nothing.
        match self {
            Self::Tcp(tcp) => poll_once(tcp.read_buf(buffer), cx),
            Self::Other(other) => poll_once(other.read_buf(buffer), cx),
        }
    }
}

fn poll_once<F: Future>(future: F, cx: &mut Context<'_>) -> Poll<F::Output> {
    std::pin::pin!(future).poll(cx)
}

impl From<TcpStream> for LegStream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream.into())
    }
}

impl From<Box<dyn ByteStream>> for LegStream {
    fn from(stream: Box<dyn ByteStream>) -> Self {
        Self::Other(stream)
    }
}

impl fmt::Debug for LegStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "LegStream::Tcp",
            Self::Other(_) => "LegStream::Other",
        })
    }
}

impl AsyncRead for LegStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(&mut tcp.stream).poll_read(cx, buf),
            Self::Other(other) => Pin::new(other).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for LegStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(&mut tcp.stream).poll_write(cx, buf),
            Self::Other(other) => Pin::new(other).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(&mut tcp.stream).poll_write_vectored(cx, bufs),
            Self::Other(other) => Pin::new(other).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Other(other) => other.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(&mut tcp.stream).poll_flush(cx),
            Self::Other(other) => Pin::new(other).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(&mut tcp.stream).poll_shutdown(cx),
            Self::Other(other) => Pin::new(other).poll_shutdown(cx),
        }
    }
}
