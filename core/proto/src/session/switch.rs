//! Which path is active: failing over, and going back.

use std::time::Duration;

use super::Session;
use crate::config::{
    FAILBACK_HOLD, FAILBACK_HOLD_MAX, FAILBACK_PROOFS, FLAP_MEMORY, SLOW_FOR, SLOW_SRTT,
};
use crate::event::{Event, FailoverReason, LegDownReason};
use crate::leg::Leg;
use crate::time::Time;
use crate::types::{LegId, Role, ServiceType, Side, Standby};
use crate::wire::frame::Frame;

/// Before anything of a leg is known.
const DEFAULT_CONDEMN: Duration = Duration::from_millis(800);
/// A proof that is older says nothing of a path that may have died since.
const PROOF_AGE: Duration = Duration::from_secs(1);
/// A primary whose round trips are below this is good, whatever it was before.
const PROOF_FLOOR: Duration = Duration::from_millis(100);

/// The client's way back to the primary.
#[derive(Debug)]
pub(super) struct Failback {
    /// On the backup since.
    since: Option<Time>,
    hold: Duration,
    last_failover: Option<Time>,
    /// Round trip time of the primary before it was left.
    old_srtt: Duration,
}

impl Failback {
    pub(super) const fn new() -> Self {
        Self {
            since: None,
            hold: FAILBACK_HOLD,
            last_failover: None,
            old_srtt: Duration::ZERO,
        }
    }

    /// Round trips of a primary that is proven are below this.
    pub(super) fn limit(&self) -> Duration {
        (self.old_srtt * 2).max(PROOF_FLOOR)
    }

    fn left_primary(&mut self, srtt: Duration, now: Time) {
        match self.last_failover {
            Some(last) if now.saturating_since(last) < FLAP_MEMORY => {
                self.hold = (self.hold * 2).min(FAILBACK_HOLD_MAX);
            }
            Some(_) => self.hold = FAILBACK_HOLD,
            None => {}
        }
        self.last_failover = Some(now);
        self.since = Some(now);
        self.old_srtt = srtt;
    }

    fn take_at(&self) -> Option<Time> {
        self.since.map(|since| since + self.hold)
    }
}

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
        let srtt = self
            .leg_on(from)
            .map_or(Duration::ZERO, |leg| leg.rtt.srtt());
        self.announce_switch(now);
        log::debug!(
            "switching to the {to} path ({reason}), epoch {}",
            self.epoch
        );
        let stall = self.current_stall(now).max(self.hedge_stall);
        // A slow path must not prove itself by its own slowness.
        let srtt = match reason {
            FailoverReason::Slow => srtt.min(SLOW_SRTT / 4),
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
            self.stats.failbacks += 1;
            self.emit(Event::Failback { from, to });
        }
    }

    fn after_switch(&mut self, from: Role, to: Role, old_srtt: Duration, now: Time) {
        self.active_missing = None;
        self.slow_since = None;
        self.switched_at = Some(now);
        if to == Role::Backup {
            self.failback.left_primary(old_srtt, now);
            self.paths[from.index()].begin_failback(now);
        } else {
            self.failback.since = None;
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
        let srtt = self
            .leg_on(from)
            .map_or(Duration::ZERO, |leg| leg.rtt.srtt());
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
        } else {
            self.stats.failbacks += 1;
            self.emit(Event::Failback { from, to: active });
        }
    }

    /// A suspicion of the active path ended well.
    pub(super) fn hedge_ended(&mut self, role: Role, now: Time) {
        let stall = self.current_stall(now).max(self.hedge_stall);
        self.hedge_stall = Duration::ZERO;
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

    /// Starts (or ends) proving a primary that joined while the backup carries.
    pub(super) fn prove(&mut self, leg: LegId, now: Time) {
        self.leg_mut(leg, |leg| {
            leg.proofs = 0;
            leg.ping(now);
        });
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

    fn proven_primary(&self) -> Option<&Leg> {
        self.leg_on(Role::Primary)
            .filter(|leg| leg.is_healthy() && leg.proofs >= FAILBACK_PROOFS)
    }

    pub(super) fn failback_deadline(&self) -> Option<Time> {
        if self.side == Side::Gateway || self.active == Role::Primary {
            return None;
        }
        self.proven_primary()?;
        self.failback.take_at()
    }

    fn check_failback(&mut self, now: Time) {
        if self.active == Role::Primary {
            return;
        }
        if self.failback.since.is_none() {
            // It began on the backup.
            self.failback.since = Some(now);
            self.paths[Role::Primary.index()].begin_failback(now);
        }
        if self.failback_deadline().is_none_or(|at| at > now) {
            return;
        }
        let stale = self
            .proven_primary()
            .filter(|leg| now.saturating_since(leg.last_progress) > PROOF_AGE)
            .map(|leg| leg.id);
        if let Some(leg) = stale {
            return self.prove(leg, now);
        }
        self.fail_back(now);
    }

    /// The primary becomes active again.
    pub(super) fn fail_back(&mut self, now: Time) {
        self.epoch = self.epoch.wrapping_add(1);
        self.active = Role::Primary;
        self.announce_switch(now);
        self.stats.failbacks += 1;
        log::debug!("going back to the primary path, epoch {}", self.epoch);
        self.after_switch(Role::Backup, Role::Primary, Duration::ZERO, now);
        self.emit(Event::Failback {
            from: Role::Backup,
            to: Role::Primary,
        });
    }

    pub(super) fn slow_deadline(&self) -> Option<Time> {
        self.slow_since.map(|since| since + SLOW_FOR)
    }

    /// Interactive: a primary that became slow is left for a backup that is far faster.
    fn check_slow(&mut self, now: Time) {
        let slow = self.service == ServiceType::Interactive
            && self.active == Role::Primary
            && self.usable_other(Role::Primary).is_some()
            && match (self.leg_on(Role::Primary), self.leg_on(Role::Backup)) {
                (Some(primary), Some(backup)) => {
                    let (slow, fast) = (primary.rtt.srtt(), backup.rtt.srtt());
                    primary.rtt.measured().is_some() && slow >= SLOW_SRTT && fast * 2 < slow
                }
                _ => false,
            };
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
