//! The two directions of a plain connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{PlainStream, Shared};

/// The reading half of the stream.
#[derive(Debug)]
pub(crate) struct PlainRead {
    stream: Arc<PlainStream>,
    shared: Arc<Shared>,
}

/// The writing half of the stream. Dropping it ends the direction.
#[derive(Debug)]
pub(crate) struct PlainWrite {
    stream: Arc<PlainStream>,
    shared: Arc<Shared>,
}

/// The halves of a stream.
pub(crate) fn split(stream: Arc<PlainStream>, shared: &Arc<Shared>) -> (PlainRead, PlainWrite) {
    let read = PlainRead {
        stream: Arc::clone(&stream),
        shared: Arc::clone(shared),
    };
    let write = PlainWrite {
        stream,
        shared: Arc::clone(shared),
    };
    (read, write)
}

/// Ends the stream of both halves at once.
pub(crate) fn abort(read: Option<PlainRead>, write: Option<PlainWrite>) {
    if let (Some(read), Some(_)) = (read, write) {
        read.stream.abort();
    }
}

impl AsyncRead for PlainRead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.shared.look_at(self.stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for PlainWrite {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.stream.poll_write(cx, &[IoSlice::new(buf)]);
        self.shared.look_at(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared.look_at(self.stream.poll_write(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    // An error is not noted: a socket that both ends have closed in order refuses a second shutdown as one that was
    // reset does.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}

impl Drop for PlainWrite {
    fn drop(&mut self) {
        self.stream.finish();
    }
}
