//! When the primary subflow has died: from the kernel's counters, and from questions on both paths.
//!
//! Suspected early, condemned late. To suspect costs a handshake on the primary path, which is asked whether it still
//! answers; only if it does not, the backup is asked as well, for a server that answers nowhere has died, not the path.
//! Condemned is a path that answers nothing while the other one does.

use std::collections::VecDeque;
use std::time::Duration;

use twinpath_proto::{Role, Time};
use twinpath_socket::TcpHealth;

/// How often the counters are looked at while an answer is due.
pub(super) const CLOSE: Duration = Duration::from_millis(10);

/// The shortest silence that is suspicious: peers put off an acknowledgement by 40 ms.
const SUSPICIOUS: Duration = Duration::from_millis(50);
/// What a condemned path has been silent for beyond the round trips in which it should have answered.
const GRACE: Duration = Duration::from_millis(100);
/// Between two questions.
const BETWEEN: Duration = Duration::from_millis(30);
/// Questions per path and suspicion.
const QUESTIONS: usize = 4;
/// Unanswered questions that condemn, with as many segments of data or more …
const FEW: usize = 2;
/// … and with fewer: one lost segment looks like a dead path otherwise.
const MORE: usize = 3;
/// So many suspicions in a minute may turn out needless; then they begin later.
const NEEDLESS: usize = 4;
const MINUTE: Duration = Duration::from_secs(60);
/// Looks of the last second in which bytes came, from which on a stream of bytes is one whose silence means something.
const STREAM: usize = 8;
const SECOND: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Ask whether the peer answers a handshake on that path.
    Ask(Role),
    /// The primary path is dead, and has been silent for so long.
    Condemn(Duration),
}

/// What a question came to. One that is not answered needs no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The peer's host answers, after so long.
    Heard(Duration),
    /// There is no such path any more, says this machine.
    Gone,
    /// Nothing could be learnt.
    Nothing,
}

/// Of one primary subflow.
#[derive(Debug, Default)]
pub(super) struct Detector {
    last: Option<Counted>,
    timing: Timing,
    /// Something of ours is on its way, and nothing of it has arrived since.
    due: Option<Due>,
    /// When bytes came, in the last second.
    heard: VecDeque<Time>,
    /// The path has answered a question: as good as progress.
    answered: Option<Time>,
    suspicion: Option<Suspicion>,
    needless: VecDeque<Time>,
    condemned: bool,
}

/// Counters that grow while all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    delivered: u32,
    acknowledged: u64,
    received: u64,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    since: Time,
    /// Segments that had been sent then.
    segments: u32,
    /// Segments that were sent since and have not arrived.
    unanswered: usize,
}

#[derive(Debug)]
struct Suspicion {
    began: Time,
    /// The silence began then.
    since: Time,
    asked: [VecDeque<Time>; 2],
    /// This machine says that there is no primary path.
    gone: bool,
    backup_answers: bool,
    /// What the backup's subflow had brought when this began.
    backup: Option<Counted>,
}

/// From the primary's round trips.
#[derive(Debug, Clone, Copy, Default)]
struct Timing {
    srtt: Duration,
    rttvar: Duration,
}

impl Timing {
    /// A silence of that length is suspicious.
    fn suspicious(self) -> Duration {
        let late = (self.srtt * 2).max(self.srtt + self.rttvar * 4);
        (late + Duration::from_millis(10)).max(SUSPICIOUS)
    }

    /// A path that has been silent for that long may be condemned.
    fn condemning(self) -> Duration {
        (self.srtt * 3).max(self.srtt + self.rttvar * 4) + GRACE
    }

    /// A question should have been answered by then.
    fn answering(self) -> Duration {
        (self.srtt + self.rttvar * 4).max(BETWEEN)
    }
}

impl Detector {
    /// Takes the counters of both subflows in.
    pub(super) fn look(&mut self, primary: &TcpHealth, backup: Option<&TcpHealth>, now: Time) {
        self.timing = Timing {
            srtt: primary.srtt.unwrap_or_default(),
            rttvar: primary.rttvar.unwrap_or_default(),
        };
        let counted = Counted::of(primary);
        let segments = primary.data_segments_sent.unwrap_or_default();
        let last = *self.last.get_or_insert(counted);
        self.last = Some(counted);
        let arrived =
            (counted.delivered, counted.acknowledged) != (last.delivered, last.acknowledged);
        let heard = counted.received != last.received;
        if arrived || (heard && self.due.is_none()) {
            self.acquit(now);
        }
        while self
            .heard
            .front()
            .is_some_and(|at| now.saturating_since(*at) > SECOND)
        {
            self.heard.pop_front();
        }
        if heard {
            self.heard.push_back(now);
        }
        match &mut self.due {
            _ if primary.unacked.unwrap_or_default() == 0 => self.due = None,
            Some(due) if !arrived => {
                due.unanswered = segments.wrapping_sub(due.segments) as usize;
            }
            due => {
                // What was sent before the first look is on its way as well.
                let unanswered = if due.is_none() { 1 } else { 0 };
                *due = Some(Due {
                    since: now,
                    segments: segments.wrapping_sub(unanswered),
                    unanswered: unanswered as usize,
                });
            }
        }
        let backup = backup.map(Counted::of);
        if let Some(suspicion) = &mut self.suspicion {
            let was = *suspicion
                .backup
                .get_or_insert_with(|| backup.unwrap_or(counted));
            suspicion.backup_answers |= backup.is_some_and(|it| it != was);
        }
    }

    /// Takes in what a question came to.
    pub(super) fn answer(&mut self, role: Role, answer: Answer, now: Time) {
        let Some(suspicion) = &mut self.suspicion else {
            return;
        };
        match (role, answer) {
            (Role::Primary, Answer::Heard(_)) => {
                self.answered = Some(now);
                self.acquit(now);
            }
            (Role::Primary, Answer::Gone) => suspicion.gone = true,
            (Role::Backup, Answer::Heard(_)) => suspicion.backup_answers = true,
            _ => {}
        }
    }

    /// Whether the subflow is dead, as far as it has been found out.
    pub(super) const fn is_condemned(&self) -> bool {
        self.condemned
    }

    /// The system says that the path is gone. False if it was condemned before.
    pub(super) fn give_up(&mut self) -> bool {
        self.suspicion = None;
        !std::mem::replace(&mut self.condemned, true)
    }

    /// Whether the next look should come soon.
    pub(super) fn is_watchful(&self) -> bool {
        self.due.is_some() || self.suspicion.is_some() || !self.heard.is_empty()
    }

    /// What is to be done now; to be called until there is nothing more.
    pub(super) fn poll(&mut self, now: Time) -> Option<Order> {
        if self.condemned {
            return None;
        }
        let timing = self.timing;
        let Some(suspicion) = &mut self.suspicion else {
            let since = self.suspicious_since(now)?;
            self.suspicion = Some(Suspicion {
                began: now,
                since,
                asked: Default::default(),
                gone: false,
                backup_answers: false,
                backup: None,
            });
            return self.poll(now);
        };
        let silence = now.saturating_since(suspicion.since);
        let enough = match self.due {
            Some(due) if due.unanswered > FEW => FEW,
            _ => MORE,
        };
        let in_vain = suspicion.in_vain(now, timing);
        let proven = in_vain >= enough && silence >= timing.condemning();
        if suspicion.backup_answers && (suspicion.gone || proven) {
            self.condemned = true;
            self.suspicion = None;
            return Some(Order::Condemn(silence));
        }
        suspicion.question(now, timing).map(Order::Ask)
    }

    /// Since when there has been a silence that is long enough to be suspicious.
    fn suspicious_since(&mut self, now: Time) -> Option<Time> {
        while self
            .needless
            .front()
            .is_some_and(|at| now.saturating_since(*at) > MINUTE)
        {
            self.needless.pop_front();
        }
        let patient = self.needless.len() >= NEEDLESS;
        let answered = self.answered.unwrap_or(Time::ZERO);
        if let Some(due) = self.due {
            let since = due.since.max(answered);
            // A path that has just answered is believed for longer.
            let limit = if patient || answered > due.since {
                self.timing.condemning()
            } else {
                self.timing.suspicious()
            };
            return (now.saturating_since(since) >= limit).then_some(since);
        }
        let (first, last) = (*self.heard.front()?, *self.heard.back()?);
        if self.heard.len() < STREAM || patient || answered > last {
            return None;
        }
        let usual = last.saturating_since(first) / (self.heard.len() as u32 - 1);
        let limit = self.timing.suspicious().max(usual * 4);
        (now.saturating_since(last) >= limit).then_some(last)
    }

    /// The path lives.
    fn acquit(&mut self, now: Time) {
        if self.suspicion.take().is_some() {
            self.needless.push_back(now);
        }
        self.condemned = false;
    }
}

impl Counted {
    fn of(health: &TcpHealth) -> Self {
        Self {
            delivered: health.delivered.unwrap_or_default(),
            acknowledged: health.bytes_acked.unwrap_or_default(),
            received: health.bytes_received.unwrap_or_default(),
        }
    }
}

impl Suspicion {
    /// Questions on the primary path that should have been answered by now.
    fn in_vain(&self, now: Time, timing: Timing) -> usize {
        let limit = timing.suspicious();
        let late = |at: &&Time| now.saturating_since(**at) >= limit;
        self.asked[0].iter().filter(late).count()
    }

    /// The path to ask now, if it is time to.
    fn question(&mut self, now: Time, timing: Timing) -> Option<Role> {
        let [primary, backup] = &mut self.asked;
        let due = |asked: &VecDeque<Time>, pause: Duration| {
            asked.len() < QUESTIONS
                && asked
                    .back()
                    .is_none_or(|last| now.saturating_since(*last) >= pause)
        };
        if !self.gone && due(primary, BETWEEN) {
            primary.push_back(now);
            return Some(Role::Primary);
        }
        let unanswered = self.gone || now.saturating_since(self.began) >= timing.answering();
        if unanswered && !self.backup_answers && due(backup, Duration::from_millis(200)) {
            backup.push_back(now);
            return Some(Role::Backup);
        }
        None
    }
}
