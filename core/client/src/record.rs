//! What a connection keeps about itself: mode, names of its paths, protection over time, and who wants to hear of it.

use std::sync::Arc;
use std::time::Duration;

use twinpath_proto::{FailoverReason, LegDownReason, Role, Stats, Time, UnprotectedReason};
use twinpath_socket::Cost;

use crate::error::ErrorKind;
use crate::events::{Event, EventBus, PathName};
use crate::mode::{Mode, ModeReason, PathInfo, Protection, Unprotected};
use crate::pair::InterruptedCause;
use crate::stats::{ConnectionStats, ConnectionSummary, PathStats, PathSummary};

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) bus: EventBus,
    started: Time,
    mode: Mode,
    mode_reason: ModeReason,
    paths: [Option<Arc<PathInfo>>; 2],
    protection: Protection,
    protection_since: Time,
    protected: Duration,
    unprotected: Vec<(Unprotected, Duration)>,
    error: Option<ErrorKind>,
    /// Everything of this end has arrived, so that how the peer takes its leave is not an error of this connection.
    complete: bool,
    summary: Option<ConnectionSummary>,
}

impl Record {
    pub(crate) fn new(
        mode: Mode,
        mode_reason: ModeReason,
        protection: Protection,
        now: Time,
    ) -> Self {
        Self {
            bus: EventBus::default(),
            started: now,
            mode,
            mode_reason,
            paths: [None, None],
            protection,
            protection_since: now,
            protected: Duration::ZERO,
            unprotected: Vec::new(),
            error: None,
            complete: false,
            summary: None,
        }
    }

    pub(crate) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) const fn mode_reason(&self) -> &ModeReason {
        &self.mode_reason
    }

    pub(crate) const fn protection(&self) -> Protection {
        self.protection
    }

    pub(crate) const fn final_summary(&self) -> Option<&ConnectionSummary> {
        self.summary.as_ref()
    }

    pub(crate) fn set_mode(&mut self, mode: Mode, reason: ModeReason) {
        if self.mode == mode && self.mode_reason == reason {
            return;
        }
        log::info!("connection runs as {mode}: {reason}");
        self.mode = mode;
        self.mode_reason = reason.clone();
        self.bus.send(&Event::Mode { mode, reason });
    }

    pub(crate) fn name_path(&mut self, role: Role, path: Option<Arc<PathInfo>>) {
        if path.is_some() {
            self.paths[role.index()] = path;
        }
    }

    pub(crate) fn set_protection(&mut self, mut protection: Protection, now: Time) {
        const NO_SECOND: Unprotected = Unprotected::Session(UnprotectedReason::NoSecondPath);
        self.account_protection(now);
        // There may well be a second path; it is not used, which is another thing to tell.
        if protection == (Protection::Unprotected { reason: NO_SECOND })
            && self.mode_reason.is_mandate()
        {
            protection = Protection::Unprotected {
                reason: Unprotected::OnePathMandated,
            };
        }
        if self.protection != protection {
            self.protection = protection;
            log::info!("connection is {protection}");
            self.bus.send(&Event::Protection(protection));
        }
    }

    /// Tells what a connection that has no session knows from its start: its one leg, and what it can claim.
    pub(crate) fn announce(&mut self, role: Role) {
        let path = self.name(role);
        self.bus.send(&Event::LegUp { path });
        self.bus.send(&Event::Protection(self.protection));
    }

    /// Tells of a subflow that came up, or went for that reason.
    pub(crate) fn subflow(&mut self, role: Role, down: Option<LegDownReason>) {
        let path = self.name(role);
        self.bus.send(&match down {
            None => Event::LegUp { path },
            Some(reason) => Event::LegDown { path, reason },
        });
    }

    /// The bytes go on over another leg, after so long.
    pub(crate) fn moved(&mut self, from: Role, to: Role, cause: InterruptedCause, stall: Duration) {
        self.subflow(from, Some(cause.into()));
        self.subflow(to, None);
        let (from_path, to_path) = (self.name(from), self.name(to));
        if from == to {
            let path = to_path;
            return self.bus.send(&Event::Recovered { path, stall });
        }
        let (reason, millis) = (FailoverReason::from(cause), stall.as_millis());
        log::info!("failover from {from} to {to}: {reason}, after {millis} ms");
        self.bus.send(&Event::Failover {
            from: from_path,
            to: to_path,
            reason,
            stall,
        });
    }

    /// Keeps what ended the connection; what fails after that follows from it.
    pub(crate) fn fail(&mut self, kind: ErrorKind) {
        self.error.get_or_insert(kind);
    }

    /// Everything of this end has arrived, and the application has left: the end is in order, even if the peer has to
    /// be cut off.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    /// Takes an event of the session and tells the listeners.
    pub(crate) fn hear(&mut self, event: twinpath_proto::Event, now: Time) {
        use twinpath_proto::Event as Heard;
        let event = match event {
            Heard::Established => Event::Established,
            Heard::LegUp { role } => Event::LegUp {
                path: self.name(role),
            },
            Heard::LegDown { role, reason } => Event::LegDown {
                path: self.name(role),
                reason,
            },
            Heard::Hedge { from, to } => Event::Hedge {
                from: self.name(from),
                to: self.name(to),
            },
            Heard::Recovered { role, stall } => Event::Recovered {
                path: self.name(role),
                stall,
            },
            Heard::Failover {
                from,
                to,
                reason,
                stall,
            } => {
                let (from, to) = (self.name(from), self.name(to));
                log::info!(
                    "failover from {from} to {to}: {reason}, after {} ms",
                    stall.as_millis()
                );
                Event::Failover {
                    from,
                    to,
                    reason,
                    stall,
                }
            }
            Heard::Failback { from, to } => {
                let (from, to) = (self.name(from), self.name(to));
                log::info!("failback from {from} to {to}");
                Event::Failback { from, to }
            }
            Heard::Protection(protection) => return self.set_protection(protection.into(), now),
            Heard::BudgetExhausted => Event::BudgetExhausted,
            Heard::GoingAway { within } => Event::GoingAway { within },
            Heard::Closed(result) => {
                let result = if self.complete { Ok(()) } else { result };
                if let Err(error) = &result {
                    self.fail(ErrorKind::of_session(error));
                }
                Event::Closed(result)
            }
            other => {
                log::debug!("an event that is not passed on: {other:?}");
                return;
            }
        };
        self.bus.send(&event);
    }

    pub(crate) fn stats(&self, active: Role, session: &Stats, now: Time) -> ConnectionStats {
        let path = |role: Role| {
            let counters = session.path(role);
            PathStats {
                role,
                interface: self.paths[role.index()].as_deref().cloned(),
                sent: counters.sent,
                received: counters.received,
                srtt: counters.srtt,
                legs: counters.legs,
                up: counters.up,
                last_heard: counters.last_heard,
            }
        };
        ConnectionStats {
            mode: self.mode,
            protection: self.protection,
            active,
            age: now.saturating_since(self.started),
            paths: Role::ALL.map(path).into(),
            hedges: session.hedges,
            needless_hedges: session.needless_hedges,
            failovers: session.failovers,
            failbacks: session.failbacks,
            worst_stall: session.worst_stall,
            written: session.written,
            acknowledged: session.acknowledged,
            read: session.read,
        }
    }

    pub(crate) fn summary(&mut self, session: &Stats, now: Time) -> ConnectionSummary {
        self.account_protection(now);
        let path = |role: Role| {
            let info = self.paths[role.index()].as_deref();
            let counters = session.path(role);
            PathSummary {
                role,
                kind: info.map(|info| info.kind),
                cost: info.map_or(Cost::Unknown, |info| info.cost),
                sent: counters.sent,
                received: counters.received,
            }
        };
        ConnectionSummary {
            mode: self.mode,
            mode_reason: self.mode_reason.clone(),
            duration: now.saturating_since(self.started),
            protected: self.protected,
            unprotected: self.unprotected.clone(),
            hedges: session.hedges,
            needless_hedges: session.needless_hedges,
            failovers: session.failovers,
            failbacks: session.failbacks,
            worst_stall: session.worst_stall,
            paths: Role::ALL.map(path).into(),
            written: session.written,
            read: session.read,
            error: self.error,
        }
    }

    /// The connection is over: the last event, and no more.
    pub(crate) fn end(&mut self, summary: ConnectionSummary) {
        if self.summary.is_none() {
            self.bus.send(&Event::Summary(Box::new(summary.clone())));
            self.summary = Some(summary);
            self.bus.end();
        }
    }

    fn name(&self, role: Role) -> PathName {
        let interface = self.paths[role.index()]
            .as_ref()
            .map(|path| Arc::clone(&path.name));
        PathName { role, interface }
    }

    /// Books the time since the last change.
    fn account_protection(&mut self, now: Time) {
        let span = now.saturating_since(self.protection_since);
        self.protection_since = now;
        match self.protection {
            Protection::Protected => self.protected += span,
            Protection::Unprotected { reason } => {
                match self
                    .unprotected
                    .iter_mut()
                    .find(|(known, _)| *known == reason)
                {
                    Some((_, total)) => *total += span,
                    None => self.unprotected.push((reason, span)),
                }
            }
        }
    }
}
