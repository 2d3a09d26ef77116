//! The two directions of a connection.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use twinpath_proto::SessionError;

use crate::chunks::Chunks;
use crate::connection::{Connection, Inner};
use crate::error::{ConnectError, session_to_io};
use crate::plain::{PlainRead, PlainWrite};

/// A plain connection has to copy what [`ReadHalf::read_chunk`] gives; at most this much at once.
const PLAIN_CHUNK: usize = 64 * 1024;

/// The reading direction of a [`Connection`](crate::Connection).
pub struct ReadHalf {
    inner: Arc<Inner>,
    plain: Option<PlainRead>,
    /// Reused between reads; empty between polls.
    pieces: Chunks,
}

/// The writing direction of a [`Connection`](crate::Connection). Dropping it ends the direction.
pub struct WriteHalf {
    inner: Arc<Inner>,
    plain: Option<PlainWrite>,
}

impl ReadHalf {
    pub(crate) fn over_session(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            plain: None,
            pieces: Chunks::default(),
        }
    }

    pub(crate) fn over_plain(inner: Arc<Inner>, read: PlainRead) -> Self {
        Self {
            inner,
            plain: Some(read),
            pieces: Chunks::default(),
        }
    }

    pub(crate) fn is_pair_of(&self, write: &WriteHalf) -> bool {
        Arc::ptr_eq(&self.inner, &write.inner)
    }

    pub(crate) fn into_plain(self) -> Option<PlainRead> {
        self.plain
    }

    /// Takes the next bytes without copying them, at most `max`; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// As for reads.
    ///
    /// # Cancel safety
    ///
    /// Safe: a future that is dropped before it is ready has taken nothing.
    pub async fn read_chunk(&mut self, max: usize) -> io::Result<Option<Bytes>> {
        if let Some(plain) = &mut self.plain {
            let mut buffer = BytesMut::with_capacity(max.min(PLAIN_CHUNK));
            let size = plain.read_buf(&mut buffer).await?;
            self.inner.count_read(size);
            return Ok((size > 0).then(|| buffer.freeze()));
        }
        poll_fn(|cx| match &*self.inner {
            Inner::Session { shared, .. } => shared.poll_read_chunk(cx, max).map_err(session_to_io),
            Inner::Plain(_) => Poll::Ready(Ok(None)),
        })
        .await
    }

    /// Takes the next bytes without copying them, in as many pieces as there are at this moment, together at most
    /// `max`, and appends them to `out`; gives their number, 0 at the end of the stream.
    ///
    /// # Errors
    ///
    /// As for reads.
    ///
    /// # Cancel safety
    ///
    /// Safe: a future that is dropped before it is ready has taken nothing.
    pub async fn read_chunks(&mut self, max: usize, out: &mut Chunks) -> io::Result<usize> {
        if let Inner::Session { shared, .. } = &*self.inner {
            let before = out.remaining();
            poll_fn(|cx| shared.poll_read(cx, max, out).map_err(session_to_io)).await?;
            return Ok(out.remaining() - before);
        }
        let chunk = self.read_chunk(max).await?.unwrap_or_default();
        let size = chunk.len();
        out.push(chunk);
        Ok(size)
    }
}

impl ReadHalf {
    /// As [`Connection::fresh_leg`](crate::Connection::fresh_leg).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempts.
    pub fn fresh_leg(
        &self,
    ) -> impl Future<Output = Result<Connection, ConnectError>> + Send + use<> {
        let ways = match &*self.inner {
            Inner::Plain(shared) => shared.ways(),
            Inner::Session { .. } => None,
        };
        async move {
            match ways {
                Some(ways) => ways.connect().await,
                None => Err(ConnectError::Unsupported {
                    what: "a fresh leg of a connection that goes on by itself",
                }),
            }
        }
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match &*this.inner {
            Inner::Session { shared, .. } => {
                // The pieces are copied after the lock is released, so that the driver need not wait for it.
                ready!(shared.poll_read(cx, buf.remaining(), &mut this.pieces))
                    .map_err(session_to_io)?;
                while let Some(piece) = this.pieces.pop() {
                    buf.put_slice(&piece);
                }
                Poll::Ready(Ok(()))
            }
            Inner::Plain(_) => {
                let Some(plain) = &mut this.plain else {
                    return Poll::Ready(Ok(()));
                };
                let before = buf.filled().len();
                ready!(Pin::new(plain).poll_read(cx, buf))?;
                this.inner.count_read(buf.filled().len() - before);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl WriteHalf {
    pub(crate) const fn over_session(inner: Arc<Inner>) -> Self {
        Self { inner, plain: None }
    }

    pub(crate) const fn over_plain(inner: Arc<Inner>, write: PlainWrite) -> Self {
        Self {
            inner,
            plain: Some(write),
        }
    }

    pub(crate) const fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn into_plain(mut self) -> Option<PlainWrite> {
        self.plain.take()
    }

    pub(crate) async fn shutdown_plain(&mut self) {
        if let Some(plain) = &mut self.plain {
            if let Err(error) = plain.shutdown().await {
                log::debug!("a plain connection did not close in order: {error}");
            }
        }
    }

    /// Writes all of `data`, without copying it where it is large.
    ///
    /// # Errors
    ///
    /// As for writes.
    ///
    /// # Cancel safety
    ///
    /// Not safe: a prefix of unknown length may have been written when the future is dropped.
    pub async fn write_bytes(&mut self, mut data: Bytes) -> io::Result<()> {
        if let Some(plain) = &mut self.plain {
            plain.write_all(&data).await?;
            self.inner.count_written(data.len());
            return Ok(());
        }
        while !data.is_empty() {
            poll_fn(|cx| match &*self.inner {
                Inner::Session { shared, .. } => shared
                    .poll_write(cx, |session, now| session.write_bytes(&mut data, now))
                    .map_err(session_to_io),
                Inner::Plain(_) => Poll::Ready(Ok(0)),
            })
            .await?;
        }
        Ok(())
    }

    /// Ends this direction without waiting for anything; a plain connection ends it when the half is shut down or
    /// dropped.
    pub fn finish(&mut self) {
        if let Inner::Session { shared, .. } = &*self.inner {
            shared.with(|state, now| state.session.finish(now));
        }
    }

    /// Waits until everything that was written is acknowledged by the gateway; at once on a plain connection.
    ///
    /// # Errors
    ///
    /// What ended the session.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn acknowledged(&self) -> io::Result<()> {
        self.inner.acknowledged().await
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match &*this.inner {
            Inner::Session { shared, .. } => {
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                shared
                    .poll_write(cx, |session, now| session.write(buf, now))
                    .map_err(session_to_io)
            }
            Inner::Plain(_) => {
                let Some(plain) = &mut this.plain else {
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                };
                let size = ready!(Pin::new(plain).poll_write(cx, buf))?;
                this.inner.count_written(size);
                Poll::Ready(Ok(size))
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match &*this.inner {
            Inner::Session { shared, .. } => {
                if bufs.iter().all(|buf| buf.is_empty()) {
                    return Poll::Ready(Ok(0));
                }
                shared
                    .poll_write(cx, |session, now| {
                        let mut total = 0;
                        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
                            let written = match session.write(buf, now) {
                                // What was taken is told first; the error is sticky and comes again.
                                Err(_) if total > 0 => break,
                                result => result?,
                            };
                            total += written;
                            if written < buf.len() {
                                break;
                            }
                        }
                        Ok::<_, SessionError>(total)
                    })
                    .map_err(session_to_io)
            }
            Inner::Plain(_) => {
                let Some(plain) = &mut this.plain else {
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                };
                let size = ready!(Pin::new(plain).poll_write_vectored(cx, bufs))?;
                this.inner.count_written(size);
                Poll::Ready(Ok(size))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().plain {
            Some(plain) => Pin::new(plain).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.plain {
            Some(plain) => Pin::new(plain).poll_shutdown(cx),
            None => {
                this.finish();
                this.inner.poll_shutdown(cx)
            }
        }
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHalf").finish_non_exhaustive()
    }
}

impl fmt::Debug for WriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteHalf").finish_non_exhaustive()
    }
}
