//! Looks at a connection while it lives, and says what it can claim.
//!
//! The kernel has no event for an unprivileged program: it has to be asked. A question costs some microseconds.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use twinpath_proto::{FailoverReason, LegDownReason, PathStats, Role, Stats, Time};
use twinpath_socket::mptcp::{MptcpInfo, Subflow, mptcp_info};

use super::claim::{Ends, claim, is_alive};
use super::course::Course;
use super::seen::Subflows;
use crate::clock;
use crate::detect::CLOSE;
use crate::mode::{Mode, ModeReason, Protection, Unprotected};
use crate::plain::PlainStream;
use crate::record::Record;

/// While bytes move, or a second subflow is awaited: what an answer shows has to be told within a second.
const BUSY: Duration = Duration::from_millis(100);
/// While nothing moves, only a reset can change something.
const IDLE: Duration = Duration::from_millis(500);
/// How long after the connect a second subflow is awaited: it is opened after the first answer.
const JOINING: Duration = Duration::from_secs(5);

/// Without any subflow for so long, none is coming: the kernel opens one from another endpoint at once.
const REOPENING: Duration = Duration::from_millis(500);

/// What is known of a connection over kernel MPTCP.
#[derive(Debug)]
pub(crate) struct Watcher {
    stream: Weak<PlainStream>,
    ends: Mutex<Ends>,
    /// The path of the first subflow.
    role: Role,
    began: Time,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What was last told of each path.
    paths: [PathStats; 2],
    subflows: Subflows,
    told: bool,
    /// The backup was taken in by the peer.
    joined: bool,
    /// No subflow has been left since then.
    gone_since: Option<Time>,
    /// The connection is MPTCP no more.
    over: bool,
    unacked: u64,
    /// The subflow that was found to be dead, by its address at this end, and why.
    condemned: Option<(SocketAddr, FailoverReason)>,
    course: Course,
}

/// What a look has shown.
#[derive(Debug)]
pub(crate) struct Look {
    /// When to look again.
    pub(super) pause: Duration,
    /// The subflow of the primary path that is, or should be, in use.
    pub(super) primary: Option<Subflow>,
    /// That of the backup.
    pub(super) backup: Option<Subflow>,
    /// Whether the primary has a subflow that answers.
    pub(super) primary_lives: bool,
    /// Where the connection goes.
    pub(super) server: Option<SocketAddr>,
    /// The paths at this end.
    pub(super) ends: Ends,
}

impl Watcher {
    /// Of a connection that begins on the path of that role.
    pub(crate) fn new(stream: &Arc<PlainStream>, role: Role, ends: Ends) -> Self {
        Self {
            stream: Arc::downgrade(stream),
            ends: Mutex::new(ends),
            role,
            began: clock::now(),
            state: Mutex::new(State::of(Course::from(role, clock::now()))),
        }
    }

    /// The paths have these addresses from now on.
    pub(crate) fn set_ends(&self, ends: Ends) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = ends;
        if let Some(stream) = self.stream.upgrade() {
            stream.stir();
        }
    }

    /// The addresses of both paths at this end, and how they are reached.
    pub(super) fn ends(&self) -> Ends {
        let ends = self.ends.lock();
        ends.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts the counters as of the last look into `stats`, and gives the path that new bytes take; `None` of what is
    /// MPTCP no more.
    pub(crate) fn counters(&self, stats: &mut Stats) -> Option<Role> {
        let state = self.lock();
        if state.over {
            return None;
        }
        [stats.primary, stats.backup] = state.paths;
        state.course.count(stats);
        Some(state.active())
    }

    /// Told when it is time to look.
    pub(super) fn stirred(&self) -> Option<Arc<Notify>> {
        self.stream.upgrade().map(|stream| stream.stirred())
    }

    /// A subflow was found to be dead, for this reason, or not to be so after all.
    pub(super) fn condemn(&self, subflow: Option<(SocketAddr, FailoverReason)>) {
        self.lock().condemned = subflow;
    }

    /// Looks now, and tells what has changed. `None` when there is nothing to look at any more.
    pub(crate) fn look(&self, record: &mut Record) -> Option<Look> {
        let stream = self.stream.upgrade()?;
        let mut state = self.lock();
        if state.over {
            return None;
        }
        let missing = || Err(std::io::ErrorKind::NotConnected.into());
        let info = match stream.with_tcp(mptcp_info).unwrap_or_else(missing) {
            Ok(Some(info)) => info,
            Ok(None) => {
                state.over = true;
                if !state.told {
                    record.subflow(self.role, None);
                }
                record.set_mode(Mode::PlainPair, ModeReason::FellBack);
                let reason = Unprotected::FellBack;
                record.set_protection(Protection::Unprotected { reason }, clock::now());
                return None;
            }
            Err(error) => {
                log::debug!("an MPTCP connection cannot be looked at: {error}");
                state.over = true;
                let reason = Unprotected::NoSubflow;
                record.set_protection(Protection::Unprotected { reason }, clock::now());
                return None;
            }
        };
        let now = clock::now();
        let gone = info.subflows.iter().all(|it| it.closed) && !stream.has_ended();
        if !gone {
            state.gone_since = None;
        } else if now.saturating_since(*state.gone_since.get_or_insert(now)) >= REOPENING {
            // The kernel waits up to a minute for a new subflow that nobody will open.
            stream.fail_without_subflow();
        }
        let ends = self.ends();
        let moved = state.count(&info, &ends, record, now);
        let mut settled = info.clone();
        for subflow in &mut settled.subflows {
            let first = info.subflows.first() == Some(&*subflow);
            subflow.established &= first || state.subflows.is_settled(subflow, now);
            state.joined |= subflow.established && ends.role_of(subflow) == Some(Role::Backup);
            subflow.established &= !state.is_condemned(subflow);
        }
        record.set_protection(claim(&settled, &ends, state.joined), now);
        let settling = settled.subflows != info.subflows;
        let awaited =
            gone || settling || !state.joined && now.saturating_since(self.began) < JOINING;
        let newest = |role| {
            let of_path = |it: &&Subflow| it.established && ends.role_of(it) == Some(role);
            info.subflows.iter().rfind(of_path).copied()
        };
        let stalled = state.course.is_stalled(state.active());
        let pause = match (moved, awaited) {
            (true, _) if stalled => CLOSE,
            (false, false) => IDLE,
            _ => BUSY,
        };
        if pause == IDLE {
            stream.rest();
        }
        Some(Look {
            pause,
            primary: newest(Role::Primary),
            backup: newest(Role::Backup),
            primary_lives: state.paths[0].up,
            server: info
                .subflows
                .iter()
                .rfind(|it| !it.closed)
                .map(|it| it.remote),
            ends,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(course: Course) -> Self {
        Self {
            paths: Default::default(),
            subflows: Subflows::default(),
            told: false,
            joined: false,
            gone_since: None,
            over: false,
            unacked: 0,
            condemned: None,
            course,
        }
    }

    /// The path that new bytes take.
    const fn active(&self) -> Role {
        if self.paths[0].up || !self.paths[1].up {
            Role::Primary
        } else {
            Role::Backup
        }
    }

    /// Takes the counters over, and tells of subflows that came or went. True if bytes move.
    fn count(&mut self, info: &MptcpInfo, ends: &Ends, record: &mut Record, now: Time) -> bool {
        let due = info.unacked > 0 || self.unacked > 0;
        self.unacked = info.unacked;
        self.subflows.forget_the_gone(info);
        self.told = true;
        let mut moved = [false; 2];
        for role in Role::ALL {
            let of_path = |it: &&Subflow| ends.role_of(it) == Some(role);
            for subflow in info.subflows.iter().filter(of_path) {
                moved[role.index()] |= self.subflows.count(role, subflow, now);
            }
            let on_path = || info.subflows.iter().filter(of_path);
            let newest = on_path().rfind(|it| is_alive(it) && !self.is_condemned(it));
            let reason = match on_path().any(|it| it.established) {
                true => LegDownReason::Silent,
                false => LegDownReason::Ended,
            };
            let path = &mut self.paths[role.index()];
            (path.sent, path.received) = self.subflows.carried(role);
            path.srtt = newest.and_then(|it| it.health.srtt).or(path.srtt);
            path.last_heard = newest.and_then(|it| it.health.last_ack_recv);
            if path.up != newest.is_some() {
                path.up = newest.is_some();
                path.legs += u32::from(path.up);
                record.subflow(role, (!path.up).then_some(reason));
            }
        }
        let is_silent = |it: &Subflow| it.established && ends.role_of(it) == Some(Role::Primary);
        let reason = match self.condemned {
            Some((_, reason)) => reason,
            None if info.subflows.iter().any(is_silent) => FailoverReason::Silent,
            None => FailoverReason::LegLost,
        };
        if let Some(event) = self.course.follow(self.active(), reason, moved, due, now) {
            record.hear(event, now);
        }
        due || moved.contains(&true)
    }

    fn is_condemned(&self, subflow: &Subflow) -> bool {
        self.condemned
            .is_some_and(|(local, _)| local == subflow.local)
    }
}
