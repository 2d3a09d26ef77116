//! How a request went: which paths carried it, and what was done to save it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use twinpath_proto::Role;

use super::link::Hold;
use crate::mode::{Mode, PathInfo};

/// What one path has carried of a request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathUse {
    /// Primary or backup.
    pub role: Role,
    /// Its interface, with what its bytes cost.
    pub path: Option<PathInfo>,
    /// Bytes of the answer's body.
    pub body: u64,
    /// Bytes of TCP payload sent over it, TLS and heads included. Where several requests share a connection of HTTP/2,
    /// each counts what all of them sent meanwhile.
    pub sent: u64,
    /// The same for what was received.
    pub received: u64,
}

/// The account of a request so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestSummary {
    /// How the newest connection of it runs.
    pub mode: Option<Mode>,
    /// What the paths have carried, in the order in which they came into use.
    pub paths: Vec<PathUse>,
    /// Times the request was sent again before anything of its answer was handed over.
    pub replays: u32,
    /// Times the answer was gone on with in its middle.
    pub resumes: u32,
    /// Times the answer was fetched from its start again, and compared up to where it had been.
    pub restarts: u32,
    /// Times it was sent on the backup as well, for want of an answer.
    pub hedges: u32,
    /// Times it left a dead path for another one.
    pub failovers: u32,
    /// Times it went back to the primary path.
    pub failbacks: u32,
    /// Redirects that were followed.
    pub redirects: u32,
    /// Times the server had asked to come back later.
    pub postponed: u32,
    /// Bytes of body that were received twice.
    pub fetched_again: u64,
    /// The longest time for which nothing came while the caller waited.
    pub worst_stall: Duration,
}

impl RequestSummary {
    /// Bytes of TCP payload, both ways, over backup paths: what the request has cost there.
    #[must_use]
    pub fn on_backup(&self) -> u64 {
        let backup = self.paths.iter().filter(|path| path.role == Role::Backup);
        backup.map(|path| path.sent + path.received).sum()
    }
}

/// Something that happened to a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RequestEvent {
    /// The head of an answer is there.
    Answered {
        /// Its status.
        status: StatusCode,
        /// The path that carried it.
        path: Option<PathInfo>,
        /// How the connection runs.
        mode: Mode,
    },
    /// The path died, and the request goes on over another one.
    Failover {
        /// The path that was left.
        from: Role,
        /// Why.
        why: Arc<str>,
    },
    /// A download has gone back to the primary path.
    Failback,
    /// The request was sent again; nothing of an answer had been handed over.
    Replayed,
    /// The answer goes on from this byte.
    Resumed {
        /// Bytes of it that were handed over.
        at: u64,
    },
    /// The answer is fetched from its start again, and compared with what was handed over.
    Restarted,
    /// There was no answer for long, and the request was sent on the backup as well.
    Hedged,
    /// The server asks to come back after that time.
    Postponed {
        /// Until the next attempt.
        by: Duration,
    },
    /// A redirect is followed.
    Redirected,
}

impl RequestEvent {
    /// The name as it stands in the output of the command line tool.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Failover { .. } => "failover",
            Self::Failback => "failback",
            Self::Replayed => "replayed",
            Self::Resumed { .. } => "resumed",
            Self::Restarted => "restarted",
            Self::Hedged => "hedge",
            Self::Postponed { .. } => "postponed",
            Self::Redirected => "redirected",
        }
    }
}

impl fmt::Display for RequestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Answered { status, path, mode } => {
                let status = status.as_u16();
                let name = path.as_ref().map_or("an unknown path", |path| &path.name);
                write!(f, ": {status} over {name}, {mode}")
            }
            Self::Failover { from, why } => write!(f, " from the {from} path: {why}"),
            Self::Resumed { at } => write!(f, " at byte {at}"),
            Self::Postponed { by } => write!(f, " by {} ms", by.as_millis()),
            Self::Failback | Self::Replayed | Self::Restarted | Self::Hedged | Self::Redirected => {
                Ok(())
            }
        }
    }
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of its body that were handed over, as they came on the way.
    pub received: u64,
    /// All there are, if that is known.
    pub total: Option<u64>,
    /// The path that carries it.
    pub role: Role,
}

pub(super) type OnEvent = Arc<dyn Fn(&RequestEvent) + Send + Sync>;
pub(super) type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// A live account of a request, which stays when the request is over.
#[derive(Clone, Default)]
pub struct Report {
    state: Arc<Mutex<State>>,
    pub(super) on_event: Option<OnEvent>,
    pub(super) on_progress: Option<OnProgress>,
}

#[derive(Default)]
struct State {
    summary: RequestSummary,
    waiting: Option<Instant>,
}

impl Report {
    /// The account so far.
    #[must_use]
    pub fn summary(&self) -> RequestSummary {
        self.lock().summary.clone()
    }

    pub(super) fn tell(&self, event: &RequestEvent) {
        log::debug!("a request: {event}");
        let mut state = self.lock();
        let summary = &mut state.summary;
        match event {
            RequestEvent::Answered { mode, .. } => summary.mode = Some(*mode),
            RequestEvent::Failover { .. } => summary.failovers += 1,
            RequestEvent::Failback => summary.failbacks += 1,
            RequestEvent::Replayed => summary.replays += 1,
            RequestEvent::Resumed { .. } => summary.resumes += 1,
            RequestEvent::Restarted => summary.restarts += 1,
            RequestEvent::Hedged => summary.hedges += 1,
            RequestEvent::Postponed { .. } => summary.postponed += 1,
            RequestEvent::Redirected => summary.redirects += 1,
        }
        drop(state);
        if let Some(on_event) = &self.on_event {
            on_event(event);
        }
    }

    /// The caller waits for something from now on.
    pub(super) fn waits(&self) {
        self.lock().waiting.get_or_insert_with(Instant::now);
    }

    /// Something came that the caller waited for.
    pub(super) fn came(&self) {
        let mut state = self.lock();
        if let Some(since) = state.waiting.take() {
            state.summary.worst_stall = state.summary.worst_stall.max(since.elapsed());
        }
    }

    pub(super) fn fetched_again(&self, bytes: u64) {
        self.lock().summary.fetched_again += bytes;
    }

    /// So many bytes of body were handed over that came over the path of `role`.
    pub(super) fn handed_over(&self, meter: &Meter, bytes: u64, progress: Progress) {
        self.with_path(meter.role, &meter.path, |path| path.body += bytes);
        if let Some(on_progress) = &self.on_progress {
            on_progress(progress);
        }
    }

    fn with_path(&self, role: Role, info: &Option<PathInfo>, act: impl FnOnce(&mut PathUse)) {
        let mut state = self.lock();
        let paths = &mut state.summary.paths;
        let known = paths
            .iter()
            .position(|it| it.role == role && it.path == *info);
        let index = known.unwrap_or_else(|| {
            paths.push(PathUse {
                role,
                path: info.clone(),
                body: 0,
                sent: 0,
                received: 0,
            });
            paths.len() - 1
        });
        act(&mut paths[index]);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

/// Counts what a connection carries while a request uses it.
#[derive(Debug)]
pub(super) struct Meter {
    report: Report,
    role: Role,
    path: Option<PathInfo>,
    counted: Vec<(u64, u64)>,
}

impl Meter {
    /// From now on; from the connection's beginning if this is its first request.
    pub(super) fn start(report: &Report, hold: &Hold, is_first: bool) -> Self {
        let mut meter = Self {
            report: report.clone(),
            role: hold.role(),
            path: hold.path(),
            counted: Vec::new(),
        };
        if !is_first {
            let paths = hold.stats().paths;
            meter.counted = paths
                .iter()
                .map(|path| (path.sent, path.received))
                .collect();
        }
        meter.settle(hold);
        meter
    }

    /// Counts what came and went since the last time, each path for itself.
    pub(super) fn settle(&mut self, hold: &Hold) {
        let paths = hold.stats().paths;
        self.counted.resize(paths.len(), (0, 0));
        for (path, counted) in paths.into_iter().zip(&mut self.counted) {
            let (sent, received) = (path.sent, path.received);
            let before = std::mem::replace(counted, (sent, received));
            let more = (
                sent.saturating_sub(before.0),
                received.saturating_sub(before.1),
            );
            if more != (0, 0) {
                self.report.with_path(path.role, &path.interface, |path| {
                    path.sent += more.0;
                    path.received += more.1;
                });
            }
        }
        (self.role, self.path) = (hold.role(), hold.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_request_is_said_in_words() {
        let why = "nothing came for 300 ms".into();
        let from = Role::Primary;
        for (event, words) in [
            (
                RequestEvent::Answered {
                    status: StatusCode::OK,
                    path: None,
                    mode: Mode::PlainPair,
                },
                "answered: 200 over an unknown path, plain-pair",
            ),
            (
                RequestEvent::Failover { from, why },
                "failover from the primary path: nothing came for 300 ms",
            ),
            (RequestEvent::Resumed { at: 7 }, "resumed at byte 7"),
            (
                RequestEvent::Postponed {
                    by: Duration::from_secs(2),
                },
                "postponed by 2000 ms",
            ),
            (RequestEvent::Hedged, "hedge"),
        ] {
            assert_eq!(event.to_string(), words);
        }
    }
}
