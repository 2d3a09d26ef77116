//! The connection as the application holds it.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use twinpath_proto::ResetCode;

use crate::driver::Shared;
use crate::error::{ConnectError, ErrorKind};
use crate::events::Events;
use crate::mode::{Mode, ModeReason, PathInfo, Protection};
use crate::monitor::Monitor;
use crate::plain::{self, PlainStream};
use crate::split::{ReadHalf, WriteHalf};
use crate::stats::{ConnectionStats, ConnectionSummary};

/// A byte stream to a peer that, where the peer is a gateway, outlives the path it runs over.
///
/// It implements [`AsyncRead`] and [`AsyncWrite`], so that whatever takes a `TcpStream` of tokio takes it as well:
/// hyper, rustls, `tokio::io::copy_bidirectional`.
///
/// * A **write** is accepted into a send buffer, where it stays until the peer has acknowledged it. Flushing does
///   nothing, for nothing is held back.
/// * **Shutdown** ends this direction and waits until the peer has acknowledged everything, or has sent something that
///   waits to be read: a peer may need to be read before it goes on reading.
/// * An **error** of a read or write holds a [`SessionError`](crate::SessionError) inside, which says what arrived and
///   what to do; see also [`ErrorKind::of_io`](crate::ErrorKind::of_io).
///
/// # Cancel safety
///
/// Reads and writes are cancel-safe: a future that is dropped before it is ready has read or written nothing.
///
/// # Dropping
///
/// A connection that is dropped without [`close`](Self::close) still delivers what was written, in the background, for
/// at most 60 s and as long as its tokio runtime lives. To throw the rest away, call [`abort`](Self::abort).
pub struct Connection {
    read: ReadHalf,
    write: WriteHalf,
}

/// What both halves of a connection know.
#[derive(Debug)]
pub(crate) enum Inner {
    Session {
        shared: Arc<Shared>,
        linger: Duration,
    },
    Plain(Arc<plain::Shared>),
}

impl Drop for Inner {
    fn drop(&mut self) {
        match self {
            Self::Session { shared, linger } => shared.leave(*linger),
            Self::Plain(shared) => shared.end(),
        }
    }
}

impl Connection {
    pub(crate) fn over_session(shared: Arc<Shared>, linger: Duration) -> Self {
        let inner = Arc::new(Inner::Session { shared, linger });
        Self {
            read: ReadHalf::over_session(Arc::clone(&inner)),
            write: WriteHalf::over_session(inner),
        }
    }

    /// Plain TCP or what takes its place on this platform, or MPTCP of the kernel.
    pub(crate) fn over_stream(stream: Arc<PlainStream>, shared: Arc<plain::Shared>) -> Self {
        let (read, write) = plain::split(stream, &shared);
        let inner = Arc::new(Inner::Plain(shared));
        Self {
            read: ReadHalf::over_plain(Arc::clone(&inner), read),
            write: WriteHalf::over_plain(inner, write),
        }
    }

    /// How the connection runs.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.monitor().mode()
    }

    /// Why it runs so.
    #[must_use]
    pub fn mode_reason(&self) -> ModeReason {
        self.monitor().mode_reason()
    }

    /// What the connection can claim at this moment.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.monitor().protection()
    }

    /// The interface of the active path, where it is known.
    #[must_use]
    pub fn active_path(&self) -> Option<PathInfo> {
        self.monitor().active_path()
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        self.monitor().stats()
    }

    /// A second hold on the connection, for looking only: it does not keep it open, and stays usable after its end.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.inner().monitor()
    }

    /// What will happen to this connection, and the last of what has. May be called several times, for several
    /// listeners; see [`Events`] for what each of them gets.
    #[must_use]
    pub fn events(&self) -> Events {
        self.monitor().events()
    }

    /// Waits until the gateway has answered and proven itself; at once on a plain connection.
    ///
    /// `connect` returns when TCP is up, so as to lose no round trip: that a peer is no gateway is learnt here, or from
    /// the first read or write that fails.
    ///
    /// # Errors
    ///
    /// What ended the session, with a [`SessionError`](crate::SessionError) inside.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn established(&self) -> io::Result<()> {
        self.inner().established().await
    }

    /// Waits until everything that was written is acknowledged by the gateway; at once on a plain connection, which
    /// cannot know.
    ///
    /// # Errors
    ///
    /// What ended the session, with a [`SessionError`](crate::SessionError) inside.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn acknowledged(&self) -> io::Result<()> {
        self.inner().acknowledged().await
    }

    /// Bytes that were written and are not known to have arrived at the gateway.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.inner().unacknowledged()
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
        self.read.read_chunk(max).await
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
    pub async fn write_bytes(&mut self, data: Bytes) -> io::Result<()> {
        self.write.write_bytes(data).await
    }

    /// Sends one request that may be repeated, and waits for the first bytes of its answer, at most `max`; `None` if the
    /// peer ends the stream instead. The rest of the answer is had from reads.
    ///
    /// On a plain connection ([`Mode::PlainPair`]) the request is sent again over the other path if its path dies before
    /// anything of the answer was read, invisibly but for an [`Event::Failover`](crate::Event::Failover). The server may
    /// then get it twice, so call this only for what does no harm when it is done twice. Requests beyond 256 KiB are not
    /// sent again; nor is anything inside of TLS, which begins anew with each TCP connection. In the other modes nothing
    /// has to be sent again.
    ///
    /// # Errors
    ///
    /// As for reads and writes; [`Interrupted`](crate::Interrupted) inside if the path died and the request could not be
    /// sent again.
    ///
    /// # Cancel safety
    ///
    /// Not safe: a part of the request may have been sent when the future is dropped.
    pub async fn exchange(&mut self, request: Bytes, max: usize) -> io::Result<Option<Bytes>> {
        if let Inner::Plain(shared) = &**self.inner() {
            if let Some(pair) = shared.pair() {
                pair.begin_exchange();
            }
        }
        self.write_bytes(request).await?;
        self.read_chunk(max).await
    }

    /// Another connection to the same server, over the path that leads there: to go on after an
    /// [`Interrupted`](crate::Interrupted) error where that is safe.
    ///
    /// # Errors
    ///
    /// As for [`Connector::connect`](crate::Connector::connect); [`ConnectError::Unsupported`] for what is not a
    /// connection to any server that a connector has made.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempts.
    pub fn fresh_leg(&self) -> impl Future<Output = Result<Self, ConnectError>> + Send + use<> {
        self.read.fresh_leg()
    }

    /// Both directions, to be used at the same time from one task.
    pub fn split(&mut self) -> (&mut ReadHalf, &mut WriteHalf) {
        (&mut self.read, &mut self.write)
    }

    /// Both directions, to be used from two tasks. Dropping the write half ends that direction; dropping both drops the
    /// connection.
    #[must_use = "dropping both halves drops the connection"]
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
    }

    /// The connection of two halves again.
    ///
    /// # Errors
    ///
    /// Gives both back if they are not of the same connection.
    pub fn reunite(read: ReadHalf, write: WriteHalf) -> Result<Self, (ReadHalf, WriteHalf)> {
        if read.is_pair_of(&write) {
            Ok(Self { read, write })
        } else {
            Err((read, write))
        }
    }

    /// Ends the connection in order and gives its account: everything written is delivered, then the end of the stream;
    /// what the peer still sends is discarded, for at most a second after the last acknowledgement.
    ///
    /// If not everything could be delivered, [`ConnectionSummary::error`] says why.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection, which then ends in the background.
    pub async fn close(self) -> ConnectionSummary {
        let inner = Arc::clone(self.inner());
        let (read, mut write) = self.into_split();
        if let Inner::Session { shared, linger } = &*inner {
            shared.leave(*linger);
            std::future::poll_fn(|cx| {
                shared.poll_watch(cx, |state| state.is_finished().then_some(()))
            })
            .await;
        } else {
            write.shutdown_plain().await;
        }
        drop((read, write));
        inner.monitor().summary()
    }

    /// Ends the connection at once: what is not yet delivered is thrown away, and the peer's reads fail.
    pub fn abort(self) {
        self.abort_with(ResetCode::Aborted);
    }

    /// Ends the connection at once, and tells the peer why.
    pub fn abort_with(self, code: ResetCode) {
        if let Inner::Session { shared, .. } = &**self.inner() {
            shared.with(|state, now| state.session.abort(code, now));
            return;
        }
        if let Inner::Plain(shared) = &**self.inner() {
            shared.note(ErrorKind::Reset);
        }
        let (read, write) = self.into_split();
        plain::abort(read.into_plain(), write.into_plain());
    }

    /// The account so far; [`close`](Self::close) gives the whole.
    #[must_use]
    pub fn summary(&self) -> ConnectionSummary {
        self.monitor().summary()
    }

    pub(crate) const fn inner(&self) -> &Arc<Inner> {
        self.write.inner()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("mode", &self.mode())
            .field("protection", &self.protection())
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().write).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().write).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().write).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().write).poll_shutdown(cx)
    }
}
