//! A connection that speaks no session protocol: whatever it speaks is handed on untouched.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::census::RawGuard;
use crate::negotiated::RawSocket;

/// A plain TCP (or kernel MPTCP) connection, with the bytes that were read to find out that it is one.
///
/// Reading gives those bytes first. The connection counts against the limits of the listener until this is dropped.
#[derive(Debug)]
pub struct RawStream {
    stream: RawSocket,
    prefix: Bytes,
    guard: RawGuard,
}

impl RawStream {
    pub(crate) fn new(stream: RawSocket, prefix: Bytes, guard: RawGuard) -> Self {
        Self {
            stream,
            prefix,
            guard,
        }
    }

    /// The socket.
    ///
    /// Reading from it directly misses what [`prefix`](Self::prefix) holds.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// The bytes that were read already and will be read first.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    pub(crate) fn into_parts(self) -> (RawSocket, Bytes, RawGuard) {
        (self.stream, self.prefix, self.guard)
    }
}

impl AsyncRead for RawStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut *self.stream).poll_read(cx, buf);
        }
        let n = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix[..n]);
        self.prefix.advance(n);
        if self.prefix.is_empty() {
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for RawStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
