//! Which paths a client dials, and when.

use std::time::Duration;

use super::Session;
use crate::config::COLD_LINGER;
use crate::event::{Action, DialError, Event, LegDownReason};
use crate::leg::{Leg, Phase};
use crate::time::Time;
use crate::types::{Role, Side, Standby};
use crate::wire::frame::Frame;

const URGENT_FIRST: Duration = Duration::from_millis(250);
const URGENT_MAX: Duration = Duration::from_secs(5);
const RELAXED_FIRST: Duration = Duration::from_secs(1);
const RELAXED_MAX: Duration = Duration::from_secs(30);
/// A leg that was up for this long was a good one.
const LIVED: Duration = Duration::from_secs(1);

/// What is known of a path, and when it is dialled next.
#[derive(Debug)]
pub(super) struct PathDial {
    available: bool,
    /// The operating system says that it is gone.
    pub(super) gone: bool,
    pub(super) dialling: bool,
    next: Time,
    pause: Duration,
    /// The last dial failed.
    pub(super) failed: bool,
    /// Failures in a row, and when the last was.
    failures: u32,
    failed_at: Time,
    /// Was dialled at once after a refusal that a new counter mends. REFUSED is not authentic: once
    /// until a leg joins.
    hurried: bool,
    /// Since when its leg has been up.
    up_since: Option<Time>,
}

impl PathDial {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            available: true,
            gone: false,
            dialling: false,
            next: now,
            pause: Duration::ZERO,
            failed: false,
            failures: 0,
            failed_at: now,
            hurried: false,
            up_since: None,
        }
    }

    pub(super) const fn usable(&self) -> bool {
        self.available && !self.gone
    }

    /// Something else answers there: not dialled again for a while.
    pub(super) fn shun(&mut self, now: Time) {
        self.failed = true;
        self.failures = 0;
        self.next = now + RELAXED_MAX;
        self.pause = RELAXED_MAX;
    }

    /// May be dialled at once again.
    pub(super) const fn reset(&mut self, now: Time) {
        self.next = now;
        self.pause = Duration::ZERO;
        self.failures = 0;
    }

    /// It is there (again), says the operating system.
    pub(super) const fn renewed(&mut self, now: Time) {
        self.failed = false;
        self.reset(now);
    }

    pub(super) const fn dialled(&mut self, now: Time) {
        self.dialling = false;
        self.next = now;
    }

    /// A leg joined. That it can be joined does not yet make it a good path: the pause stays.
    pub(super) const fn up(&mut self, now: Time) {
        self.failed = false;
        self.next = now;
        self.hurried = false;
        self.up_since = Some(now);
    }

    /// True once until a leg joins.
    pub(super) const fn may_hurry(&mut self) -> bool {
        !std::mem::replace(&mut self.hurried, true)
    }

    /// A leg ended. True if it had lived, so that its path may be dialled at once again.
    pub(super) fn lived(&mut self, now: Time) -> bool {
        let since = self.up_since.take();
        let lived = since.is_some_and(|since| now.saturating_since(since) > LIVED);
        if lived {
            self.reset(now);
        }
        lived
    }

    /// A leg, or the attempt at one, failed: pauses grow.
    pub(super) fn back_off(&mut self, now: Time) {
        self.lived(now);
        self.failed = true;
        self.failures = self.failures.saturating_add(1);
        self.failed_at = now;
        self.next = now + self.pause.max(URGENT_FIRST);
        self.pause = (self.pause.max(URGENT_FIRST) * 2).min(RELAXED_MAX);
    }

    /// Bytes wait for it: a pause that was made when nothing did is not waited for.
    fn urge(&mut self, now: Time) {
        self.pause = self.pause.min(URGENT_MAX);
        self.next = self.next.min(now + URGENT_MAX);
        if let Some(before) = self.failures.checked_sub(1) {
            let pause = (URGENT_FIRST * (1 << before.min(8))).min(URGENT_MAX);
            self.next = self.next.min(self.failed_at + pause);
        }
    }

    /// Dialled at 1, 2, 4 … 30 s from here on.
    pub(super) fn begin_failback(&mut self, now: Time) {
        self.next = now + RELAXED_FIRST;
        self.pause = RELAXED_FIRST;
    }
}

/// How much a path is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Want {
    No,
    /// To be ready, or to go back.
    Relaxed,
    /// Bytes wait for it.
    Urgent,
}

impl Session {
    /// Whether there is a usable interface for that role.
    pub fn path_available(&mut self, role: Role, available: bool, now: Time) {
        let path = &mut self.paths[role.index()];
        if path.available != available {
            path.available = available;
            path.reset(now);
        }
        self.settle(now);
    }

    /// A dial that was asked for failed.
    pub fn dial_failed(&mut self, role: Role, error: DialError, now: Time) {
        self.observe(now);
        log::debug!("dialling the {role} path failed: {error:?}");
        self.paths[role.index()].dialling = false;
        self.paths[role.index()].back_off(now);
        if self.keys.is_none() && self.legs.is_empty() && self.opening.is_some() {
            if self.was_foreign() {
                return self.no_welcome(now);
            }
            let other = &mut self.paths[role.other().index()];
            if !other.failed {
                // It may do, as long as there is time; both failing must not hurry each other.
                other.reset(now);
            }
        }
        self.settle(now);
    }

    fn want(&self, role: Role) -> Want {
        let path = &self.paths[role.index()];
        if !path.usable() || (role == Role::Backup && self.budget.is_exhausted()) {
            return Want::No;
        }
        let on_path = self.legs.iter().find(|leg| leg.role == role);
        if let Some(leg) = on_path {
            return match leg.given_up || (leg.suspicion.is_some() && self.keys.is_none()) {
                true if self.keys.is_some() => Want::Urgent,
                _ => Want::No,
            };
        }
        let in_trouble = self.is_hedging();
        if self.keys.is_none() {
            let possible = self.opening.is_some() && self.may_retry_opening() && in_trouble;
            return if possible { Want::Urgent } else { Want::No };
        }
        if role == self.active {
            return Want::Urgent;
        }
        match role {
            Role::Primary => Want::Relaxed,
            Role::Backup if in_trouble => Want::Urgent,
            Role::Backup if self.standby == Standby::Warm => Want::Relaxed,
            Role::Backup => Want::No,
        }
    }

    /// Asks for the dials that are due.
    pub(super) fn plan_dials(&mut self, now: Time) {
        if self.side == Side::Gateway || self.closed.is_some() || self.is_over() {
            return;
        }
        for role in Role::ALL {
            let want = self.want(role);
            let target = self.dial_target();
            let path = &mut self.paths[role.index()];
            if want == Want::No {
                if path.dialling {
                    self.cancel_dial(role);
                }
                continue;
            }
            if want == Want::Urgent {
                path.urge(now);
            }
            if path.dialling || path.next > now {
                continue;
            }
            path.dialling = true;
            let (first, most) = match want {
                Want::Urgent => (URGENT_FIRST, URGENT_MAX),
                _ => (RELAXED_FIRST, RELAXED_MAX),
            };
            path.pause = path.pause.clamp(first, most);
            self.actions.push_back(Action::Dial { role, target });
        }
    }

    pub(super) fn dial_deadline(&self) -> Option<Time> {
        if self.side == Side::Gateway || self.closed.is_some() || self.is_over() {
            return None;
        }
        let waiting = Role::ALL
            .into_iter()
            .filter(|role| !self.paths[role.index()].dialling && self.want(*role) != Want::No);
        waiting.map(|role| self.paths[role.index()].next).min()
    }

    pub(super) fn cancel_dial(&mut self, role: Role) {
        self.paths[role.index()].dialling = false;
        self.actions
            .retain(|action| !matches!(action, Action::Dial { role: asked, .. } if *asked == role));
        self.actions.push_back(Action::CancelDial { role });
    }

    /// A leg of a cold standby stays for a while after it was needed.
    pub(super) fn linger(&mut self, now: Time) {
        if self.side == Side::Client && self.standby == Standby::Cold {
            self.warm_until = Some(now + COLD_LINGER);
        }
    }

    pub(super) fn linger_deadline(&self) -> Option<Time> {
        self.warm_until
    }

    pub(super) fn check_linger(&mut self, now: Time) {
        if self.warm_until.is_none_or(|at| at > now) {
            return;
        }
        self.warm_until = None;
        let calm =
            self.active == Role::Primary && self.leg_on(Role::Primary).is_some_and(Leg::is_healthy);
        if !calm {
            self.linger(now);
            return;
        }
        let backup = self.leg_on(Role::Backup).map(|leg| leg.id);
        if let Some(leg) = backup {
            self.close_leg(leg, false, LegDownReason::NotNeeded);
        }
    }

    /// A spent budget closes the backup; what it may still cost is told to the gateway.
    pub(super) fn check_budget(&mut self, now: Time) {
        if self.side == Side::Gateway {
            return;
        }
        self.renew_credit();
        if !self.budget.is_exhausted() {
            return;
        }
        self.drop_dial_to_backup();
        self.close_legs_on(Role::Backup, None, LegDownReason::Budget);
        if !self.budget_told && (self.stats.backup.sent > 0 || self.is_hedging()) {
            self.budget_told = true;
            self.emit(Event::BudgetExhausted);
        }
        if self.active == Role::Backup {
            // Nothing may flow there; a primary, if there is one or when one comes, is taken.
            self.paths[Role::Primary.index()].reset(now);
            self.fail_back(now);
        }
    }

    fn drop_dial_to_backup(&mut self) {
        if self.paths[Role::Backup.index()].dialling {
            self.cancel_dial(Role::Backup);
        }
    }

    pub(super) fn renew_credit(&mut self) {
        if self.side == Side::Client && self.budget.renew() {
            let total = self.budget.granted();
            // On every leg: nothing shows that one which is idle has died, and the gateway would
            // wait for ever for what was lost there.
            for leg in self.legs.iter_mut().filter(|leg| leg.phase == Phase::Up) {
                leg.push_control(&Frame::Credit { total });
            }
        }
    }

    /// Gateway: what it may send on backup legs, counted since the start.
    pub(super) fn take_credit(&mut self, total: u64) {
        self.credit = self.credit.max(total);
    }
}
