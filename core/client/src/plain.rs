//! A connection that is one plain stream: towards a server that is no gateway.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use twinpath_proto::{Role, Stats, Time};

use crate::clock;
use crate::connection::Inner;
use crate::driver::{ByteStream, LegStream};
use crate::mode::{Mode, ModeReason, PathInfo, Protection, Unprotected};
use crate::record::Record;
use crate::stats::{ConnectionStats, ConnectionSummary};

/// What both halves of a plain connection know.
#[derive(Debug)]
pub(crate) struct Shared {
    record: Mutex<Record>,
    role: Role,
    written: AtomicU64,
    read: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        mode: Mode,
        reason: ModeReason,
        role: Role,
        path: Option<Arc<PathInfo>>,
    ) -> Self {
        let protection = Protection::Unprotected {
            reason: Unprotected::NotAGateway,
        };
        let mut record = Record::new(mode, reason, protection, clock::now());
        record.name_path(role, path);
        Self {
            record: Mutex::new(record),
            role,
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self, now: Time) -> ConnectionStats {
        self.record().stats(self.role, &self.counters(), now)
    }

    pub(crate) fn summary(&self, now: Time) -> ConnectionSummary {
        let counters = self.counters();
        self.record().summary(&counters, now)
    }

    pub(crate) fn end(&self) {
        let summary = self.summary(clock::now());
        self.record().end(summary);
    }

    fn counters(&self) -> Stats {
        let (written, read) = (
            self.written.load(Ordering::Relaxed),
            self.read.load(Ordering::Relaxed),
        );
        let mut stats = Stats {
            written,
            read,
            ..Stats::default()
        };
        let path = match self.role {
            Role::Primary => &mut stats.primary,
            Role::Backup => &mut stats.backup,
        };
        path.sent = written;
        path.received = read;
        path.legs = 1;
        path.up = true;
        stats
    }
}

impl Inner {
    pub(crate) fn count_read(&self, size: usize) {
        if let Self::Plain(shared) = self {
            shared.read.fetch_add(size as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn count_written(&self, size: usize) {
        if let Self::Plain(shared) = self {
            shared.written.fetch_add(size as u64, Ordering::Relaxed);
        }
    }
}

type Foreign = Box<dyn ByteStream>;

/// The reading half of the stream.
pub(crate) enum PlainRead {
    Tcp(OwnedReadHalf),
    Other(tokio::io::ReadHalf<Foreign>),
}

/// The writing half of the stream.
pub(crate) enum PlainWrite {
    Tcp(OwnedWriteHalf),
    Other(tokio::io::WriteHalf<Foreign>),
}

pub(crate) fn split(stream: LegStream) -> (PlainRead, PlainWrite) {
    match stream {
        LegStream::Tcp(tcp) => {
            let (read, write) = tcp.into_split();
            (PlainRead::Tcp(read), PlainWrite::Tcp(write))
        }
        LegStream::Other(other) => {
            let (read, write) = tokio::io::split(other);
            (PlainRead::Other(read), PlainWrite::Other(write))
        }
    }
}

/// Ends the stream of both halves at once.
pub(crate) fn abort(read: Option<PlainRead>, write: Option<PlainWrite>) {
    match (read, write) {
        (Some(PlainRead::Tcp(read)), Some(PlainWrite::Tcp(write))) => {
            if let Ok(tcp) = read.reunite(write) {
                LegStream::Tcp(tcp).abort();
            }
        }
        (Some(PlainRead::Other(read)), Some(PlainWrite::Other(write)))
            if read.is_pair_of(&write) =>
        {
            LegStream::Other(read.unsplit(write)).abort();
        }
        _ => {}
    }
}

impl AsyncRead for PlainRead {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Other(other) => Pin::new(other).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for PlainWrite {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Other(other) => Pin::new(other).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Other(other) => Pin::new(other).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Other(other) => Pin::new(other).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Other(other) => Pin::new(other).poll_shutdown(cx),
        }
    }
}
