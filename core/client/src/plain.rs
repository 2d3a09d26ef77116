//! A connection that is one plain stream: towards a server that is no gateway.

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use twinpath_proto::{Role, Stats, Time};

use crate::budget::Budget;
use crate::clock;
use crate::connection::Inner;
use crate::error::ErrorKind;
use crate::events::Event;
use crate::kernel::{self, Ends, KernelRead, KernelWrite, SharedStream, Watcher};
use crate::mode::{Mode, ModeReason, PathInfo, Protection, Unprotected};
use crate::pair::{InterruptedCause, PairRead, PairStream, PairWrite, Tally, Ways};
use crate::record::Record;
use crate::stats::{ConnectionStats, ConnectionSummary};

/// What both halves of a plain connection know.
#[derive(Debug)]
pub(crate) struct Shared {
    record: Mutex<Record>,
    tally: Arc<Tally>,
    written: AtomicU64,
    read: AtomicU64,
    /// Of a connection whose leg can be taken from under it.
    pair: OnceLock<(Weak<PairStream>, Weak<dyn Ways>)>,
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
    /// Of a connection that begins on the path of that role; what it spends on the backup is charged to `budget`.
    pub(crate) fn new(
        mode: Mode,
        reason: ModeReason,
        role: Role,
        paths: Vec<(Role, Arc<PathInfo>)>,
        budget: Option<Budget>,
    ) -> Self {
        let protection = Protection::Unprotected {
            reason: Unprotected::NotAGateway,
        };
        let mut record = Record::new(mode, reason, protection, clock::now());
        for (role, path) in paths {
            record.name_path(role, Some(path));
        }
        record.announce(role);
        Self::with(record, Tally::new(role, budget))
    }

    /// The path that carries the bytes, of a connection that is not over MPTCP.
    pub(crate) fn role(&self) -> Role {
        self.tally.role()
    }

    pub(crate) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// The leg under it is looked after.
    pub(crate) fn attach(&self, stream: &Arc<PairStream>, ways: &Arc<dyn Ways>) {
        // There is but one in the life of a connection.
        let _ = self
            .pair
            .set((Arc::downgrade(stream), Arc::downgrade(ways)));
    }

    pub(crate) fn pair(&self) -> Option<Arc<PairStream>> {
        self.pair.get()?.0.upgrade()
    }

    /// The ways to its server.
    pub(crate) fn ways(&self) -> Option<Arc<dyn Ways>> {
        self.pair.get()?.1.upgrade()
    }

    /// Its bytes go on over another leg.
    pub(crate) fn moved(&self, from: Role, to: Role, cause: InterruptedCause, stall: Duration) {
        self.record().moved(from, to, cause, stall);
    }

    /// Its path is lost, and it with it.
    pub(crate) fn interrupted(&self, role: Role, cause: InterruptedCause) {
        let mut record = self.record();
        record.subflow(role, Some(cause.into()));
        if cause == InterruptedCause::BudgetExhausted {
            record.bus.send(&Event::BudgetExhausted);
        }
        record.fail(ErrorKind::Interrupted);
    }

    /// The paths are these from now on.
    pub(crate) fn rename_paths(&self, paths: [(Role, Option<PathInfo>); 2]) {
        let mut record = self.record();
        for (role, path) in paths {
            record.name_path(role, path.map(Arc::new));
        }
    }

    pub(crate) fn set_mode(&self, mode: Mode, reason: ModeReason) {
        self.record().set_mode(mode, reason);
    }

    pub(crate) fn end_exemption(&self, budget: &Budget) {
        self.tally.end_exemption(budget);
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
        Self::with(record, Tally::new(role, None))
    }

    fn with(record: Record, tally: Tally) -> Self {
        Self {
            record: Mutex::new(record),
            tally: Arc::new(tally),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            pair: OnceLock::new(),
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

    /// An answer is due, beside those that are, or one less is.
    pub(crate) fn await_answer(&self, is_due: bool) {
        if let Some(pair) = self.pair() {
            pair.await_answer(is_due);
        }
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
        let role = self.tally.count(&mut stats);
        (stats, role)
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
    Pair(PairRead),
    Kernel(KernelRead),
}

enum WriteStream {
    Pair(PairWrite),
    Kernel(KernelWrite),
}

/// The halves of a connection over one leg.
pub(crate) fn split(stream: Arc<PairStream>, shared: &Arc<Shared>) -> (PlainRead, PlainWrite) {
    let read = ReadStream::Pair(PairRead(Arc::clone(&stream)));
    halves(read, WriteStream::Pair(PairWrite(stream)), shared)
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
    match (&read.stream, &write.stream) {
        (ReadStream::Pair(read), WriteStream::Pair(_)) => read.0.abort(),
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
            ReadStream::Pair(pair) => Pin::new(pair).poll_read(cx, buf),
            ReadStream::Kernel(kernel) => Pin::new(kernel).poll_read(cx, buf),
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
            WriteStream::Pair(pair) => Pin::new(pair).poll_write(cx, buf),
            WriteStream::Kernel(kernel) => Pin::new(kernel).poll_write(cx, buf),
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
            WriteStream::Pair(pair) => Pin::new(pair).poll_write_vectored(cx, bufs),
            WriteStream::Kernel(kernel) => Pin::new(kernel).poll_write_vectored(cx, bufs),
        };
        this.shared.look_at(polled)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            WriteStream::Pair(pair) => Pin::new(pair).poll_flush(cx),
            WriteStream::Kernel(kernel) => Pin::new(kernel).poll_flush(cx),
        }
    }

    // An error is not noted: a socket that both ends have closed in order refuses a second shutdown as one that was
    // reset does.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            WriteStream::Pair(pair) => Pin::new(pair).poll_shutdown(cx),
            WriteStream::Kernel(kernel) => Pin::new(kernel).poll_shutdown(cx),
        }
    }
}
