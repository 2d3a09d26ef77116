//! A connection that is one plain stream: towards a server that is no gateway.

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use twinpath_proto::{Role, Stats, Time};

use crate::clock;
use crate::connection::Inner;
use crate::driver::{ByteStream, LegStream};
use crate::error::ErrorKind;
use crate::kernel::{self, Ends, KernelRead, KernelWrite, SharedStream, Watcher};
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
    /// Answers that somebody waits for.
    awaited: AtomicU64,
    /// Of a connection over kernel MPTCP.
    kernel: OnceLock<Watcher>,
    kept: Mutex<Option<Kept>>,
}

/// What has to live as long as the connection.
struct Kept(Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.type_id())
    }
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
        Self::with(record, role)
    }

    /// Looks at what the kernel says of an MPTCP connection.
    pub(crate) fn look(&self) -> Option<kernel::Look> {
        self.kernel.get()?.look(&mut self.record())
    }

    /// Of an MPTCP connection.
    pub(crate) fn watcher(&self) -> Option<&Watcher> {
        self.kernel.get()
    }

    /// Of a connection over kernel MPTCP, whose watcher tells of its subflows.
    pub(crate) fn over_kernel(
        mode: Mode,
        reason: ModeReason,
        role: Role,
        paths: Vec<(Role, Arc<PathInfo>)>,
    ) -> Self {
        let protection = Protection::Unprotected {
            reason: Unprotected::NoBackupSubflow,
        };
        let mut record = Record::new(mode, reason, protection, clock::now());
        for (role, path) in paths {
            record.name_path(role, Some(path));
        }
        Self::with(record, role)
    }

    fn with(record: Record, role: Role) -> Self {
        Self {
            record: Mutex::new(record),
            role,
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            awaited: AtomicU64::new(0),
            kernel: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    /// Has `kept` live until the connection ends.
    pub(crate) fn keep(&self, kept: Arc<dyn Any + Send + Sync>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept(kept));
    }

    /// The primary path and the backup are these from now on.
    pub(crate) fn set_paths(&self, ends: Ends) {
        let mut record = self.record();
        for (role, path) in Role::ALL.into_iter().zip(&ends.paths) {
            record.name_path(role, path.as_ref().map(|path| Arc::new(path.info())));
        }
        drop(record);
        if let Some(watcher) = self.kernel.get() {
            watcher.set_ends(ends);
        }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self, now: Time) -> ConnectionStats {
        let (stats, active) = self.counters();
        self.record().stats(active, &stats, now)
    }

    pub(crate) fn summary(&self, now: Time) -> ConnectionSummary {
        let (counters, _) = self.counters();
        let mut record = self.record();
        match record.final_summary() {
            Some(summary) => summary.clone(),
            None => record.summary(&counters, now),
        }
    }

    pub(crate) fn end(&self) {
        self.look();
        let summary = self.summary(clock::now());
        self.record().end(summary);
        let kept = self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(kept);
    }

    /// An answer is due, beside those that are.
    pub(crate) fn begin_awaiting(&self) {
        self.awaited.fetch_add(1, Ordering::AcqRel);
    }

    /// One of the answers has come, or nobody waits for it any more.
    pub(crate) fn end_awaiting(&self) {
        self.awaited.fetch_sub(1, Ordering::AcqRel);
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

    /// The counters, and the path that carries the bytes.
    fn counters(&self) -> (Stats, Role) {
        let mut stats = Stats {
            written: self.written.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
            ..Stats::default()
        };
        let watcher = self.kernel.get();
        if let Some(active) = watcher.and_then(|it| it.counters(&mut stats)) {
            return (stats, active);
        }
        let path = match self.role {
            Role::Primary => &mut stats.primary,
            Role::Backup => &mut stats.backup,
        };
        path.sent = stats.written;
        path.received = stats.read;
        path.legs = 1;
        path.up = true;
        (stats, self.role)
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
    Kernel(KernelRead),
    Other(tokio::io::ReadHalf<Foreign>),
}

enum WriteStream {
    Tcp(OwnedWriteHalf),
    Kernel(KernelWrite),
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
    halves(read, write, shared)
}

/// The halves of an MPTCP connection, which is watched from now on.
pub(crate) fn split_kernel(
    stream: Arc<SharedStream>,
    watcher: Watcher,
    shared: &Arc<Shared>,
) -> (PlainRead, PlainWrite) {
    if shared.kernel.set(watcher).is_ok() {
        kernel::keep(shared);
    }
    let read = ReadStream::Kernel(KernelRead(Arc::clone(&stream)));
    halves(read, WriteStream::Kernel(KernelWrite(stream)), shared)
}

fn halves(read: ReadStream, write: WriteStream, shared: &Arc<Shared>) -> (PlainRead, PlainWrite) {
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
        (ReadStream::Kernel(read), WriteStream::Kernel(_)) => read.0.reset_on_drop(),
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
            ReadStream::Kernel(kernel) => Pin::new(kernel).poll_read(cx, buf),
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
            WriteStream::Kernel(kernel) => Pin::new(kernel).poll_write(cx, buf),
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
            WriteStream::Kernel(kernel) => Pin::new(kernel).poll_write_vectored(cx, bufs),
            WriteStream::Other(other) => Pin::new(other).poll_write_vectored(cx, bufs),
        };
        this.shared.look_at(polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            WriteStream::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            WriteStream::Kernel(kernel) => Pin::new(kernel).poll_flush(cx),
            WriteStream::Other(other) => Pin::new(other).poll_flush(cx),
        }
    }

    // An error is not noted: a socket that both ends have closed in order refuses a second shutdown as one that was
    // reset does.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            WriteStream::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            WriteStream::Kernel(kernel) => Pin::new(kernel).poll_shutdown(cx),
            WriteStream::Other(other) => Pin::new(other).poll_shutdown(cx),
        }
    }
}
