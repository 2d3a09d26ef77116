//! Which path is active: failing over, and switching at the peer's word.

use std::time::Duration;

use super::Session;
use crate::config::{SLOW_FOR, SLOW_SRTT};
use crate::event::{Event, FailoverReason, LegDownReason};
use crate::leg::Leg;
use crate::time::Time;
use crate::types::{LegId, Role, ServiceType, Side, Standby};
use crate::wire::frame::Frame;

/// Before anything of a leg is known.
const DEFAULT_CONDEMN: Duration = Duration::from_millis(800);

impl Session {
    /// A leg went unanswered beyond the second limit.
    pub(super) fn condemn(&mut self, id: LegId, now: Time) {
        let Some(index) = self.position(id) else {
            return;
        };
        let role = self.legs[index].role;
        if !self.legs[index].is_up() {
            // It never answered: opening it again may do better.
            self.close_leg(id, true, LegDownReason::Silent);
            self.paths[role.index()].back_off(now);
            if self.keys.is_none() {
                self.opening_leg_ended(false, now);
            }
            return;
        }
        if role != self.active {
            self.close_leg(id, true, LegDownReason::Silent);
            self.paths[role.index()].back_off(now);
            return;
        }
        if self.usable_other(role).is_some() {
            self.fail_over(FailoverReason::Silent, now);
        } else {
            // Nowhere to go: it stays, both paths are dialled, and the first leg that joins wins.
            self.legs[index].given_up = true;
        }
    }

    /// A leg on the other path that can take over.
    fn usable_other(&self, role: Role) -> Option<LegId> {
        let other = self.leg_on(role.other())?;
        other.is_healthy().then_some(other.id)
    }

    fn fail_over(&mut self, reason: FailoverReason, now: Time) {
        let from = self.active;
        let to = from.other();
        self.epoch = self.epoch.wrapping_add(1);
        self.active = to;
        self.stats.failovers += u32::from(to == Role::Backup);
        let srtt = self.leg_on(from).and_then(|leg| leg.rtt.measured());
        self.announce_switch(now);
        log::debug!(
            "switching to the {to} path ({reason}), epoch {}",
            self.epoch
        );
        let stall = self.current_stall(now).max(self.hedge_stall);
        // A slow path must not prove itself by its own slowness.
        let srtt = match reason {
            FailoverReason::Slow => srtt.map(|srtt| srtt.min(SLOW_SRTT / 4)),
            _ => srtt,
        };
        self.after_switch(from, to, srtt, now);
        self.close_legs_on(from, None, LegDownReason::Silent);
        if to == Role::Backup {
            self.emit(Event::Failover {
                from,
                to,
                reason,
                stall,
            });
        } else {
            self.tell_failback();
        }
        self.stall_ends_later(now);
    }

    /// What a switch ends is told as a stall when something moves again, or at once if it does.
    pub(super) fn stall_ends_later(&mut self, now: Time) {
        self.stall_untold = true;
        if self.due_from.is_none() {
            self.tell_stall(now);
        }
    }

    /// Something moves again after a switch.
    pub(super) fn tell_stall(&mut self, now: Time) {
        self.stall_untold = false;
        let stall = self.current_stall(now).max(self.hedge_stall);
        self.hedge_stall = Duration::ZERO;
        if !stall.is_zero() {
            let role = self.active;
            self.emit(Event::Recovered { role, stall });
        }
    }

    fn after_switch(&mut self, from: Role, to: Role, old_srtt: Option<Duration>, now: Time) {
        self.active_missing = None;
        self.slow_since = None;
        self.switched_at = Some(now);
        self.failback_untold = false;
        if to == Role::Backup {
            self.failback.left_primary(old_srtt, now);
            self.paths[from.index()].begin_failback(now);
        } else {
            self.failback.done();
            self.linger(now);
        }
    }

    /// Says on the active path which path that is; a PING makes sure that it is heard there.
    fn announce_switch(&mut self, now: Time) {
        let frame = Frame::Switch {
            epoch: self.epoch,
            active: self.active,
            next: self.recv.ack(),
            limit: self.recv.limit(),
        };
        for leg in &mut self.legs {
            if leg.is_up() && leg.role == self.active {
                leg.push_control(&frame);
                leg.ping(now);
            }
        }
    }

    /// The peer says which path is active, on `leg`, which stays in any case: a leg that joins a
    /// healed primary may overtake the SWITCH away from the old one.
    pub(super) fn take_switch(&mut self, leg: Option<LegId>, epoch: u32, active: Role, now: Time) {
        let ahead = epoch.wrapping_sub(self.epoch) as i32;
        let wins = ahead > 0 || (ahead == 0 && self.side == Side::Gateway);
        if !wins {
            return;
        }
        self.epoch = epoch;
        if active == self.active {
            return;
        }
        let from = self.active;
        self.active = active;
        let srtt = self.leg_on(from).and_then(|leg| leg.rtt.measured());
        self.after_switch(from, active, srtt, now);
        if active == Role::Backup {
            self.stats.failovers += 1;
            let stall = self.current_stall(now).max(self.hedge_stall);
            // Its socket is in back-off, and old bytes are in the way.
            self.close_legs_on(from, leg, LegDownReason::Silent);
            self.emit(Event::Failover {
                from,
                to: active,
                reason: FailoverReason::Peer,
                stall,
            });
            self.stall_ends_later(now);
        } else {
            self.tell_failback();
        }
    }

    /// A suspicion of the active path ended well.
    pub(super) fn hedge_ended(&mut self, role: Role, now: Time) {
        let stall = self.current_stall(now).max(self.hedge_stall);
        self.hedge_stall = Duration::ZERO;
        self.stall_untold = false;
        self.emit(Event::Recovered { role, stall });
        if role != Role::Primary {
            return;
        }
        if self.paths[Role::Backup.index()].dialling {
            if self.standby == Standby::Cold {
                self.allowance.needless_dial(now);
                self.cancel_dial(Role::Backup);
            }
        } else if self.legs.iter().any(|leg| leg.role == Role::Backup) {
            self.linger(now);
        }
    }

    /// Everything about the active path that depends on the state alone.
    pub(super) fn check_switch(&mut self, now: Time) {
        if !self.established || self.closed.is_some() {
            return;
        }
        self.check_missing(now);
        if self.side == Side::Client {
            self.check_slow(now);
            self.check_failback(now);
        }
        let active = self.active;
        let useless: Vec<LegId> = self
            .legs
            .iter()
            .filter(|leg| leg.given_up && leg.role != active)
            .map(|leg| leg.id)
            .collect();
        for leg in useless {
            self.close_leg(leg, true, LegDownReason::Silent);
        }
        // A path was condemned while there was nowhere to go; there may be by this time.
        let stuck = self
            .legs
            .iter()
            .any(|leg| leg.role == self.active && leg.given_up);
        if stuck && self.usable_other(self.active).is_some() {
            self.fail_over(FailoverReason::Silent, now);
        }
    }

    pub(super) fn missing_deadline(&self) -> Option<Time> {
        let since = self.active_missing?;
        self.usable_other(self.active)?;
        if self.paths[self.active.index()].gone {
            return Some(since);
        }
        let other = self.leg_on(self.active.other());
        Some(since + other.map_or(DEFAULT_CONDEMN, |leg| leg.rtt.condemn()))
    }

    /// The active path has no leg: at once when the path is gone, else after a while, the other
    /// becomes active. Until then it carries everything all the same.
    fn check_missing(&mut self, now: Time) {
        let missing = !self.legs.iter().any(|leg| leg.role == self.active);
        if !missing {
            self.active_missing = None;
            return;
        }
        if self.active_missing.is_none() {
            self.active_missing = Some(now);
        }
        if self.missing_deadline().is_some_and(|at| at <= now) {
            let reason = match self.paths[self.active.index()].gone {
                true => FailoverReason::PathGone,
                false => FailoverReason::LegLost,
            };
            self.fail_over(reason, now);
        }
    }

    /// The primary becomes active again.
    pub(super) fn fail_back(&mut self, now: Time) {
        self.epoch = self.epoch.wrapping_add(1);
        self.active = Role::Primary;
        self.announce_switch(now);
        log::debug!("going back to the primary path, epoch {}", self.epoch);
        self.after_switch(Role::Backup, Role::Primary, None, now);
        self.failback_untold = self.leg_on(Role::Primary).is_none();
        if !self.failback_untold {
            self.tell_failback();
        }
    }

    /// The primary is active, and there.
    pub(super) fn tell_failback(&mut self) {
        self.failback_untold = false;
        self.stats.failbacks += 1;
        self.emit(Event::Failback {
            from: Role::Backup,
            to: Role::Primary,
        });
    }

    pub(super) fn slow_deadline(&self) -> Option<Time> {
        self.slow_since.map(|since| since + SLOW_FOR)
    }

    /// Interactive: the backup is far faster than that leg of the primary.
    pub(super) fn is_too_slow(&self, primary: &Leg) -> bool {
        let slow = primary.rtt.measured().unwrap_or_default();
        let fast = self.leg_on(Role::Backup).map(|leg| leg.rtt.srtt());
        self.service == ServiceType::Interactive
            && slow >= SLOW_SRTT
            && fast.is_some_and(|fast| fast * 2 < slow)
    }

    /// Interactive: a primary that became slow is left for a backup that is far faster.
    fn check_slow(&mut self, now: Time) {
        let slow = self.active == Role::Primary
            && self.usable_other(Role::Primary).is_some()
            && self
                .leg_on(Role::Primary)
                .is_some_and(|primary| self.is_too_slow(primary));
        if !slow {
            self.slow_since = None;
            return;
        }
        if self.slow_since.is_none() {
            self.slow_since = Some(now);
        }
        if self.slow_deadline().is_some_and(|at| at <= now) {
            self.fail_over(FailoverReason::Slow, now);
        }
    }
}
