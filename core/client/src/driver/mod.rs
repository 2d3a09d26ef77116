//! What joins a [`Session`] with sockets and time: one task per connection.
//!
//! The session is a state machine without sockets; it lies under a lock that the application's side (the
//! [`Connection`]) and the driver share. The application's calls work on the session directly and wake the driver, so
//! reads and writes are cancel-safe by construction. The driver reads and writes the legs, gives the session what came
//! and carries out what it asks for. This module is public for ends that accept sessions; an application that connects
//! uses [`Connector`](crate::Connector).

mod closing;
mod dial;
mod leg;
mod state;
mod stream;
mod timer;
mod turn;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use twinpath_proto::{LegId, Session, Time};

pub use dial::{BoxFuture, DialFailure, DialedLeg, LegDialer};
pub(crate) use state::Shared;
pub use stream::{ByteStream, LegStream, TcpLeg};

use crate::budget::BudgetShare;
use crate::clock;
use crate::connection::Connection;
use crate::mode::{Mode, ModeReason, PathInfo};
use crate::record::Record;
use crate::stats::ConnectionStats;

/// How long what was written is still delivered after a connection was dropped, unless set otherwise.
const LINGER: Duration = Duration::from_secs(60);

/// What a driver is started with.
#[derive(Debug)]
#[must_use = "it does nothing until spawned"]
pub struct Setup {
    session: Session,
    legs: Vec<(LegId, LegStream, Bytes)>,
    dialer: Option<Arc<dyn LegDialer>>,
    mode: Mode,
    reason: ModeReason,
    paths: Vec<(twinpath_proto::Role, Arc<PathInfo>)>,
    budget: Option<BudgetShare>,
    linger: Duration,
}

impl Setup {
    /// A driver for `session`, without legs.
    pub const fn new(session: Session) -> Self {
        Self {
            session,
            legs: Vec::new(),
            dialer: None,
            mode: Mode::Emulated,
            reason: ModeReason::Accepted,
            paths: Vec::new(),
            budget: None,
            linger: LINGER,
        }
    }

    /// A leg that the session knows already, with what was read from it beforehand and not yet given to the session.
    pub fn leg(mut self, id: LegId, stream: impl Into<LegStream>, already_read: Bytes) -> Self {
        self.legs.push((id, stream.into(), already_read));
        self
    }

    /// Where new legs come from. Without one, requests for legs are ignored, as befits an end that accepts.
    pub fn dialer(mut self, dialer: Arc<dyn LegDialer>) -> Self {
        self.dialer = Some(dialer);
        self
    }

    /// The mode that the connection reports, and why.
    pub fn mode(mut self, mode: Mode, reason: ModeReason) -> Self {
        self.mode = mode;
        self.reason = reason;
        self
    }

    /// How long what was written is still delivered after the connection was dropped. Default: 60 s.
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// The interface under a path.
    pub(crate) fn path(mut self, role: twinpath_proto::Role, path: Arc<PathInfo>) -> Self {
        self.paths.push((role, path));
        self
    }

    pub(crate) fn budget(mut self, share: BudgetShare) -> Self {
        self.budget = Some(share);
        self
    }

    /// Starts the driver as a task of the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use = "dropping the connection closes it"]
    pub fn spawn(self) -> (Connection, Handle) {
        let protection = self.session.protection().into();
        let mut record = Record::new(self.mode, self.reason, protection, clock::now());
        for (role, path) in self.paths {
            record.name_path(role, Some(path));
        }
        let shared = Arc::new(Shared::new(self.session, record, self.budget));
        shared.lock().attached = self.legs;
        tokio::spawn(turn::Driver::new(Arc::clone(&shared), self.dialer));
        let handle = Handle {
            shared: Arc::clone(&shared),
        };
        (Connection::over_session(shared, self.linger), handle)
    }
}

/// A second hold on a connection, for what accepts legs or watches paths. It does not keep the connection open, and
/// stays usable after its end.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Runs `call` on the session, under its lock; the driver then carries out what follows from it.
    pub fn with_session<R>(&self, call: impl FnOnce(&mut Session, Time) -> R) -> R {
        self.shared.with(|state, now| call(&mut state.session, now))
    }

    /// Tells the session something that calls for no action, under its lock, without waking the driver.
    pub fn note<R>(&self, note: impl FnOnce(&mut Session) -> R) -> R {
        note(&mut self.shared.lock().session)
    }

    /// Looks at the session, under its lock, without waking the driver.
    pub fn inspect<R>(&self, look: impl FnOnce(&Session, Time) -> R) -> R {
        let now = clock::now();
        look(&self.shared.lock().session, now)
    }

    /// Hands over the stream of a leg that the session knows already, with what was read from it beforehand and not yet
    /// given to the session. After the session's end the stream is aborted.
    pub fn attach(&self, id: LegId, stream: impl Into<LegStream>, already_read: Bytes) {
        let stream = stream.into();
        self.shared.with(|state, _| {
            if state.is_finished() {
                stream.abort();
            } else {
                state.attached.push((id, stream, already_read));
            }
        });
    }

    /// Tells the peer that this end will be gone within `deadline`.
    pub fn go_away(&self, deadline: Duration) {
        self.with_session(|session, now| session.go_away(deadline, now));
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        let now = clock::now();
        self.shared.lock().stats(now)
    }

    /// Whether the session has ended and its legs are closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_finished()
    }

    /// Waits until the session has ended, whoever ended it, and its legs are closed.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn closed(&self) {
        std::future::poll_fn(|cx| {
            self.shared
                .poll_watch(cx, |state| state.is_finished().then_some(()))
        })
        .await;
    }

    /// For those who only want to look while the connection lives.
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
