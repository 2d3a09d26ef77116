//! A suspected path: who was asked, and what came of it.

use std::collections::VecDeque;
use std::time::Duration;

use twinpath_proto::{Role, Time};

use super::silence::{Counted, Timing};

/// Between two questions on the primary path.
const BETWEEN: Duration = Duration::from_millis(30);
/// The same on the backup, where they cost.
const BETWEEN_BACKUP: Duration = Duration::from_millis(200);
/// Questions per path.
pub(super) const QUESTIONS: usize = 4;
/// After this no question is answered any more.
const LATEST: Duration = Duration::from_secs(1);
/// Questions on both paths that are further apart do not compare them.
const APART: Duration = Duration::from_millis(100);
/// Unanswered questions that condemn, with more segments of data than this number …
const FEW: usize = 2;
/// … and with fewer: one lost segment looks like a dead path otherwise.
const MORE: usize = 3;

#[derive(Debug)]
pub(super) struct Suspicion {
    began: Time,
    /// The silence began then.
    pub(super) since: Time,
    /// On the primary path, and on the backup.
    asked: [VecDeque<Time>; 2],
    /// This machine says that there is no primary path.
    gone: bool,
    backup_answers: bool,
    /// What the backup's subflow had brought when this began.
    backup: Option<Counted>,
}

impl Suspicion {
    pub(super) fn new(since: Time, backup: Option<Counted>, now: Time) -> Self {
        Self {
            began: now,
            since,
            asked: Default::default(),
            gone: false,
            backup_answers: false,
            backup,
        }
    }

    pub(super) const fn primary_is_gone(&mut self) {
        self.gone = true;
    }

    /// Takes the counters of the backup's subflow in, which may answer by itself.
    pub(super) fn look_at_backup(&mut self, backup: Option<Counted>) {
        let both = self.backup.zip(backup);
        if both.is_some_and(|(was, is)| was != is) {
            self.backup_answered();
        }
    }

    /// The backup leads to the peer. What the primary was asked long before the backup proves nothing any more: perhaps
    /// nobody could answer then.
    pub(super) fn backup_answered(&mut self) {
        let [primary, backup] = &mut self.asked;
        let asked = backup.back().zip(primary.back());
        let is_old = asked.is_some_and(|(backup, last)| backup.saturating_since(*last) > APART);
        if is_old && !self.backup_answers {
            primary.clear();
        }
        self.backup_answers = true;
    }

    /// Whether the primary path is dead, with so many segments of data unanswered.
    pub(super) fn is_proven(&self, segments: u32, now: Time, timing: Timing) -> bool {
        let limit = timing.suspicious();
        let late = |at: &&Time| now.saturating_since(**at) >= limit;
        let in_vain = self.asked[0].iter().filter(late).count();
        let enough = if segments as usize > FEW { FEW } else { MORE };
        let silence = now.saturating_since(self.since);
        let is_silent = in_vain >= enough && silence >= timing.condemning();
        self.backup_answers && (self.gone || is_silent)
    }

    /// Whether nobody answers, and nobody is left to be asked.
    pub(super) fn has_led_nowhere(&self, now: Time) -> bool {
        let [_, backup] = &self.asked;
        let is_late = |last: &Time| now.saturating_since(*last) >= LATEST;
        !self.backup_answers && backup.len() == QUESTIONS && backup.back().is_some_and(is_late)
    }

    /// The path to ask now, if it is time to.
    pub(super) fn question(&mut self, now: Time, timing: Timing) -> Option<Role> {
        let [primary, backup] = &mut self.asked;
        let is_time = |asked: &VecDeque<Time>, pause: Duration| {
            let is_long_ago = |last: &Time| now.saturating_since(*last) >= pause;
            asked.len() < QUESTIONS && asked.back().is_none_or(is_long_ago)
        };
        if !self.gone && is_time(primary, BETWEEN) {
            primary.push_back(now);
            return Some(Role::Primary);
        }
        let waited = now.saturating_since(self.began) >= timing.answering().max(BETWEEN);
        let unanswered = self.gone || waited;
        if unanswered && !self.backup_answers && is_time(backup, BETWEEN_BACKUP) {
            backup.push_back(now);
            return Some(Role::Backup);
        }
        None
    }
}
