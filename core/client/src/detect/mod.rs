//! When a TCP connection's path has died: from the kernel's counters, and from questions on both paths.
//!
//! Suspected early, condemned late. To suspect costs a handshake on the primary path, which is asked whether it still
//! answers; only if it does not, the backup is asked as well, for a server that answers nowhere has died, not the path.
//! Condemned is a path that answers nothing while the other one does.

pub(crate) mod comeback;
pub(crate) mod probe;
pub(crate) mod silence;
mod suspicion;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use twinpath_proto::{Role, Time};
use twinpath_socket::TcpHealth;

use silence::{Counted, Silence, Timing};
use suspicion::Suspicion;

/// How often the counters are looked at while an answer is due.
pub(crate) const CLOSE: Duration = Duration::from_millis(10);

/// So many suspicions in a minute may turn out needless; then they begin later.
const NEEDLESS: usize = 4;
/// A server that answers on no path is asked again after this, and then ever more seldom.
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// An answer takes a server some time, however near it is.
const AWAITED: Duration = Duration::from_millis(100);
/// The same once the path has answered a question, at first; then up to a second, and so often.
const AWAITED_AGAIN: Duration = Duration::from_millis(300);
const PATIENT: u32 = 8;
/// The kernel asks the peer's this often while it is to ([`Detector::set_probed`]).
const PROBES: Duration = Duration::from_secs(1);
/// How often the counters are looked at meanwhile.
const PROBED: Duration = Duration::from_millis(100);
/// An acknowledgement that takes longer is suspicious though bytes come.
const LATE: Duration = Duration::from_secs(1);
/// What was sent several times and has not arrived for so long, on a path that lives, will not arrive.
const FLOW: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);
/// Looks of the last second in which bytes came, from which on a stream of bytes is one whose silence means something.
const STREAM: usize = 8;
const SECOND: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Ask whether the peer answers a handshake on that path.
    Ask(Role),
    /// The primary path is dead, and has been silent for so long.
    Condemn(Duration),
}

/// What a question came to. One that is not answered needs no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The peer's host answers, after so long.
    Heard(Duration),
    /// There is no such path any more, says this machine.
    Gone,
    /// Nothing could be learnt.
    Nothing,
}

/// Of one connection, or one subflow, over the primary path.
#[derive(Debug, Default)]
pub(crate) struct Detector {
    silence: Silence,
    /// What the backup's subflow has brought, where there is one.
    backup: Option<Counted>,
    /// When bytes came, in the last second.
    heard: VecDeque<Time>,
    /// The path has answered a question: as good as progress.
    answered: Option<Time>,
    suspicion: Option<Suspicion>,
    /// The server answered nowhere: nobody is asked until then, and so long a pause that is.
    rest: Option<(Time, Duration)>,
    needless: VecDeque<Time>,
    /// An answer is due, and nothing has come since then.
    awaited: Option<Time>,
    /// Questions that were answered while it did not come.
    patience: u32,
    is_told: bool,
    /// The kernel asks the peer's for a sign of life every second, and heard from it so long ago.
    probed: bool,
    acked: Option<Duration>,
    condemned: bool,
}

impl Detector {
    /// Takes the counters of both subflows in.
    pub(crate) fn look(&mut self, primary: &TcpHealth, backup: Option<&TcpHealth>, now: Time) {
        let was_due = self.silence.due().is_some();
        let progress = self.silence.look(primary, now);
        self.acked = primary.last_ack_recv;
        if progress.arrived || (progress.heard && !was_due) {
            self.acquit(now);
        }
        if progress.arrived || progress.heard {
            self.awaited = self.awaited.map(|_| now);
            self.patience = 0;
        }
        let is_old = |at: &Time| now.saturating_since(*at) > SECOND;
        while self.heard.front().is_some_and(is_old) {
            self.heard.pop_front();
        }
        if progress.heard {
            self.heard.push_back(now);
        }
        self.backup = backup.map(Counted::of);
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.look_at_backup(self.backup);
        }
    }

    /// Takes in what a question came to.
    pub(crate) fn answer(&mut self, role: Role, answer: Answer, now: Time) {
        let Some(suspicion) = &mut self.suspicion else {
            return;
        };
        match (role, answer) {
            (Role::Primary, Answer::Heard(_)) => {
                self.answered = Some(now);
                self.patience = self.patience.saturating_add(1);
                self.acquit(now);
            }
            (Role::Primary, Answer::Gone) => suspicion.primary_is_gone(),
            (Role::Backup, Answer::Heard(_)) => suspicion.backup_answered(),
            _ => {}
        }
    }

    /// Whoever asks for something says whether an answer is due: a silence means something then, though nothing of
    /// ours is on its way.
    pub(crate) fn set_awaited(&mut self, is_awaited: bool, now: Time) {
        if is_awaited != self.awaited.is_some() {
            self.awaited = is_awaited.then_some(now);
            self.patience = 0;
        }
    }

    /// Whether somebody says when answers are due, so that the end of a stream of bytes need not be looked into.
    pub(crate) const fn set_told(&mut self, is_told: bool) {
        self.is_told = is_told;
    }

    /// Whether the kernel asks the peer's for a sign of life every second.
    pub(crate) const fn set_probed(&mut self, is_probed: bool) {
        self.probed = is_probed;
    }

    /// Whether an answer is due that has not come though the path lives.
    pub(crate) const fn is_patient(&self) -> bool {
        self.awaited.is_some() && self.patience > 0
    }

    /// Whether a question is open.
    pub(crate) const fn is_suspicious(&self) -> bool {
        self.suspicion.is_some()
    }

    /// Whether the path lives, and what was sent does not arrive: the connection alone is lost.
    pub(crate) fn is_flow_lost(&self, now: Time) -> bool {
        let Some(due) = self.silence.due() else {
            return false;
        };
        let answered = self.answered.is_some_and(|answered| answered > due.since);
        answered && due.unanswered >= 3 && now.saturating_since(due.since) >= FLOW
    }

    /// When to look again, if nothing happens; `None` if there is nothing to look for.
    pub(crate) fn pause(&self, now: Time) -> Option<Duration> {
        if self.is_watchful() {
            return Some(CLOSE);
        }
        if let Some((until, _)) = self.rest.filter(|(until, _)| now < *until) {
            return Some(until.saturating_since(now).max(CLOSE));
        }
        let since = self.awaited?.max(self.answered.unwrap_or(Time::ZERO));
        let waited = now.saturating_since(since);
        if self.probed {
            return Some(PROBED);
        }
        Some(self.awaited_limit().saturating_sub(waited).max(CLOSE))
    }

    /// An answer that is due and has not come for so long is suspicious.
    fn awaited_limit(&self) -> Duration {
        if let Some(asked) = self.patience.checked_sub(1) {
            // Soon, for a path may die while its server takes its time; then ever more seldom, for that can be long.
            let early = AWAITED_AGAIN * 2_u32.pow(asked.min(2));
            let late = REST * 2_u32.pow(asked.saturating_sub(PATIENT).min(5));
            return match asked > PATIENT {
                true => late.min(LONGEST_REST),
                false => early.min(REST),
            };
        }
        let timing = self.silence.timing;
        let usual = self.usual_gap().unwrap_or_default();
        let early = timing.suspicious().max(AWAITED);
        let limit = match self.needless.len() >= NEEDLESS {
            true => timing.condemning().max(early),
            false => early,
        };
        limit.max(usual * 4)
    }

    /// Between the bytes that came in the last second.
    fn usual_gap(&self) -> Option<Duration> {
        let (first, last) = (*self.heard.front()?, *self.heard.back()?);
        let gaps = u32::try_from(self.heard.len()).ok()?.checked_sub(1)?;
        last.saturating_since(first).checked_div(gaps)
    }

    /// Whether the connection is dead, as far as it has been found out.
    pub(crate) const fn is_condemned(&self) -> bool {
        self.condemned
    }

    /// The system says that the path is gone. False if it was condemned before.
    pub(crate) fn give_up(&mut self) -> bool {
        self.suspicion = None;
        !std::mem::replace(&mut self.condemned, true)
    }

    /// Whether the next look should come soon.
    pub(crate) fn is_watchful(&self) -> bool {
        let is_due = self.silence.due().is_some() && self.rest.is_none();
        is_due || self.suspicion.is_some() || !self.heard.is_empty()
    }

    /// What is to be done now; to be called until there is nothing more.
    pub(crate) fn poll(&mut self, now: Time) -> Option<Order> {
        if self.condemned {
            return None;
        }
        let timing = self.silence.timing;
        let Some(suspicion) = &mut self.suspicion else {
            let since = self.suspicious_since(now)?;
            self.suspicion = Some(Suspicion::new(since, self.backup, now));
            return self.poll(now);
        };
        let unanswered = self.silence.due().map_or(0, |due| due.unanswered);
        let silence = now.saturating_since(suspicion.since);
        let comes = silence < LATE && comes_still(&self.heard, timing, now);
        if !comes && suspicion.is_proven(unanswered, now, timing) {
            self.condemned = true;
            self.suspicion = None;
            return Some(Order::Condemn(silence));
        }
        if suspicion.has_led_nowhere(now) {
            let pause = self
                .rest
                .map_or(REST, |(_, pause)| (pause * 2).min(LONGEST_REST));
            self.rest = Some((now + pause, pause));
            self.suspicion = None;
            return None;
        }
        suspicion.question(now, timing).map(Order::Ask)
    }

    /// Since when there has been a silence that is long enough to be suspicious.
    fn suspicious_since(&mut self, now: Time) -> Option<Time> {
        if self.rest.is_some_and(|(until, _)| now < until) {
            return None;
        }
        let is_old = |at: &Time| now.saturating_since(*at) > MINUTE;
        while self.needless.front().is_some_and(is_old) {
            self.needless.pop_front();
        }
        let patient = self.needless.len() >= NEEDLESS;
        let answered = self.answered.unwrap_or(Time::ZERO);
        let timing = self.silence.timing;
        if let Some(due) = self.silence.due() {
            let since = due.since.max(answered);
            // What is full of bytes delays acknowledgements; a path on which ours are lost brings no more than a window.
            if now.saturating_since(since) < LATE && comes_still(&self.heard, timing, now) {
                return None;
            }
            // A path that has just answered is believed for longer.
            let limit = if patient || answered > due.since {
                timing.condemning()
            } else {
                timing.suspicious()
            };
            return (now.saturating_since(since) >= limit).then_some(since);
        }
        if let Some(awaited) = self.awaited {
            let since = awaited.max(answered);
            let silence = now.saturating_since(since);
            let unheard = self.acked.filter(|_| self.probed).unwrap_or_default();
            let is_unheard = unheard.min(silence) >= PROBES + timing.suspicious();
            let is_late = is_unheard || silence >= self.awaited_limit();
            return is_late.then_some(since);
        }
        let last = *self.heard.back()?;
        if self.is_told {
            return None;
        }
        if self.heard.len() < STREAM || patient || answered > last {
            return None;
        }
        let usual = self.usual_gap()?;
        let limit = timing.suspicious().max(usual * 4);
        (now.saturating_since(last) >= limit).then_some(last)
    }

    /// The path lives.
    fn acquit(&mut self, now: Time) {
        if self.suspicion.take().is_some() {
            self.needless.push_back(now);
        }
        self.rest = None;
        self.condemned = false;
    }
}

/// Whether bytes have come so lately that the path can hardly be dead.
fn comes_still(heard: &VecDeque<Time>, timing: Timing, now: Time) -> bool {
    let last = heard.back();
    last.is_some_and(|last| now.saturating_since(*last) < timing.suspicious())
}
