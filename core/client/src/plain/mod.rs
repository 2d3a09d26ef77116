//! A connection that is one plain stream: towards a server that is no gateway.

mod halves;
mod stream;

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use twinpath_proto::{Role, Stats, Time};

use crate::budget::Budget;
use crate::clock;
use crate::connection::Inner;
use crate::error::ErrorKind;
use crate::events::Event;
use crate::kernel::{self, Ends, Watcher};
use crate::mode::{Mode, ModeReason, PathInfo, Protection, Unprotected};
use crate::pair::{Interrupted, InterruptedCause, Tally, Ways};
use crate::record::Record;
use crate::stats::{ConnectionStats, ConnectionSummary};

pub(crate) use halves::{PlainRead, PlainWrite, abort, split};
pub(crate) use stream::PlainStream;

/// Makes a connection that is MPTCP no more one that is looked after otherwise.
pub(crate) type FallBack = Box<dyn FnOnce(&Arc<Shared>) + Send>;

/// What both halves of a plain connection know.
pub(crate) struct Shared {
    record: Mutex<Record>,
    tally: Arc<Tally>,
    written: AtomicU64,
    read: AtomicU64,
    /// Of a connection whose leg can be taken from under it.
    pair: OnceLock<(Weak<PlainStream>, Weak<dyn Ways>)>,
    /// Of a connection over kernel MPTCP.
    kernel: OnceLock<Watcher>,
    interrupted: OnceLock<Interrupted>,
    kept: Mutex<Option<Kept>>,
    fall_back: Mutex<Option<FallBack>>,
}

/// What has to live as long as the connection.
struct Kept(Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.type_id())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Of a connection that begins on the path of that role; what it spends on the backup is charged to `budget`. If it
    /// is MPTCP, it is so by a platform that tells nothing of it.
    pub(crate) fn new(
        mode: Mode,
        reason: ModeReason,
        role: Role,
        paths: Vec<(Role, Arc<PathInfo>)>,
        budget: Option<Budget>,
    ) -> Self {
        let protection = Protection::Unprotected {
            reason: match &reason {
                _ if mode == Mode::KernelMptcp => Unprotected::PlatformDoesNotTell,
                ModeReason::FellBack => Unprotected::FellBack,
                _ => Unprotected::NotAGateway,
            },
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
    pub(crate) fn attach(&self, stream: &Arc<PlainStream>, ways: &Arc<dyn Ways>) {
        // There is but one in the life of a connection.
        let _ = self
            .pair
            .set((Arc::downgrade(stream), Arc::downgrade(ways)));
    }

    pub(crate) fn pair(&self) -> Option<Arc<PlainStream>> {
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
    pub(crate) fn interrupt(&self, interrupted: &Interrupted) {
        let cause = interrupted.cause;
        // There is but one in the life of a connection.
        let _ = self.interrupted.set(interrupted.clone());
        let mut record = self.record();
        record.subflow(interrupted.role, Some(cause.into()));
        if cause == InterruptedCause::BudgetExhausted {
            record.bus.send(&Event::BudgetExhausted);
        }
        record.fail(ErrorKind::Interrupted);
    }

    /// That its path is lost, if it is.
    #[cfg(feature = "http")]
    pub(crate) fn interrupted(&self) -> Option<&Interrupted> {
        self.interrupted.get()
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

    /// It is MPTCP, and is looked at from now on.
    pub(crate) fn watch(self: &Arc<Self>, watcher: Watcher) {
        if self.kernel.set(watcher).is_ok() {
            kernel::keep(self);
        }
    }

    /// What is to be done if the connection turns out to be MPTCP no more.
    pub(crate) fn on_fall_back(&self, act: FallBack) {
        *self.fall_back() = Some(act);
    }

    /// The connection is MPTCP no more.
    pub(crate) fn fell_back(self: &Arc<Self>) {
        let act = self.fall_back().take();
        let is_plain = self.record().mode() == Mode::PlainPair;
        if let Some(act) = act.filter(|_| is_plain) {
            act(self);
        }
    }

    fn fall_back(&self) -> MutexGuard<'_, Option<FallBack>> {
        let fall_back = self.fall_back.lock();
        fall_back.unwrap_or_else(PoisonError::into_inner)
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
            interrupted: OnceLock::new(),
            kept: Mutex::default(),
            fall_back: Mutex::default(),
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
        let fall_back = self.fall_back().take();
        drop(fall_back);
    }

    /// An answer is due, beside those that are, or one less is.
    #[cfg(feature = "http")]
    pub(crate) fn await_answer(&self, is_due: bool) {
        if let Some(pair) = self.pair() {
            pair.await_answer(is_due);
        }
    }

    /// Keeps the first error for the account.
    pub(crate) fn note(&self, kind: ErrorKind) {
        self.record().fail(kind);
    }

    pub(crate) fn look_at<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
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
