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
use crate::error::ErrorKind;
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
        record.announce(role);
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
        let mut record = self.record();
        match record.final_summary() {
            Some(summary) => summary.clone(),
            None => record.summary(&counters, now),
        }
    }

    pub(crate) fn end(&self) {
        let summary = self.summary(clock::now());
        self.record().end(summary);
    }

    /// Keeps the first error for the account.
    pub(crate) fn note(&self, kind: ErrorKind) {
        self.record().fail(kind);
    }

    fn look_at<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.note(match error.kind() {
                // What writing gives once the peer has sent its end and then a reset.
                io::ErrorKind::BrokenPipe => ErrorKind::Reset,
                _ => ErrorKind::of_io(error),
            });
        }
        polled
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
pub(crate) struct PlainRead {
    stream: ReadStream,
    shared: Arc<Shared>,
}

/// The writing half of the stream.
pub(crate) struct PlainWrite {
    stream: WriteStream,
    shared: Arc<Shared>,
}

enum ReadStream {
    Tcp(OwnedReadHalf),
    Other(tokio::io::ReadHalf<Foreign>),
}

enum WriteStream {
    Tcp(OwnedWriteHalf),
    Other(tokio::io::WriteHalf<Foreign>),
}

pub(crate) fn split(stream: LegStream, shared: &Arc<Shared>) -> (PlainRead, PlainWrite) {
    let (read, write) = match stream {
        LegStream::Tcp(tcp) => {
            let (read, write) = tcp.into_split();
            (ReadStream::Tcp(read), WriteStream::Tcp(write))
        }
        LegStream::Other(other) => {
            let (read, write) = tokio::io::split(other);
            (ReadStream::Other(read), WriteStream::Other(write))
        }
    };
    let read = PlainRead {
        stream: read,
        shared: Arc::clone(shared),
    };
    let write = PlainWrite {
        stream: write,
        shared: Arc::clone(shared),
    };
    (read, write)
}

/// Ends the stream of both halves at once.
pub(crate) fn abort(read: Option<PlainRead>, write: Option<PlainWrite>) {
    let (Some(read), Some(write)) = (read, write) else {
        return;
    };
    match (read.stream, write.stream) {
        (ReadStream::Tcp(read), WriteStream::Tcp(write)) => {
            if let Ok(tcp) = read.reunite(write) {
                LegStream::Tcp(tcp).abort();
            }
        }
        (ReadStream::Other(read), WriteStream::Other(write)) if read.is_pair_of(&write) => {
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
        let this = self.get_mut();
        let polled = match &mut this.stream {
            ReadStream::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            ReadStream::Other(other) => Pin::new(other).poll_read(cx, buf),
        };
        this.shared.look_at(polled)
    }
}

impl AsyncWrite for PlainWrite {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            WriteStream::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            WriteStream::Other(other) => Pin::new(other).poll_write(cx, buf),
        };
        this.shared.look_at(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            WriteStream::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            WriteStream::Other(other) => Pin::new(other).poll_write_vectored(cx, bufs),
        };
        this.shared.look_at(polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            WriteStream::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            WriteStream::Other(other) => Pin::new(other).poll_flush(cx),
        }
    }

    // An error is not noted: a socket that both ends have closed in order refuses a second shutdown as one that was
    // reset does.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            WriteStream::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            WriteStream::Other(other) => Pin::new(other).poll_shutdown(cx),
        }
    }
}
