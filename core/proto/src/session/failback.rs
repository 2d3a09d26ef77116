//! Going back to the primary: proving it, and for how long the backup is kept first.

use std::time::Duration;

use super::Session;
use crate::config::{
    FAILBACK_HOLD, FAILBACK_HOLD_MAX, FAILBACK_PROOFS, FAILBACK_STEADY, FLAP_MEMORY,
};
use crate::leg::Leg;
use crate::time::Time;
use crate::types::{LegId, Role, Side};

/// A proof that is older says nothing of a path that may have died since.
const PROOF_AGE: Duration = Duration::from_secs(1);
/// A primary whose round trips are below this is good, whatever it was before.
const PROOF_FLOOR: Duration = Duration::from_millis(100);
/// After a round trip that proved nothing the next is asked for this much later.
const PROOF_PAUSE: Duration = Duration::from_secs(1);

/// The client's way back to the primary.
#[derive(Debug)]
pub(super) struct Failback {
    /// On the backup since.
    since: Option<Time>,
    hold: Duration,
    last_failover: Option<Time>,
    /// Round trip time of the primary before it was left, if it was ever known.
    old_srtt: Option<Duration>,
    /// The same of the last leg on the primary that is gone: often it goes before the switch.
    last_srtt: Option<Duration>,
}

impl Failback {
    pub(super) const fn new() -> Self {
        Self {
            since: None,
            hold: FAILBACK_HOLD,
            last_failover: None,
            old_srtt: None,
            last_srtt: None,
        }
    }

    /// The primary was left; `srtt` if its leg was still there.
    pub(super) fn left_primary(&mut self, srtt: Option<Duration>, now: Time) {
        match self.last_failover {
            Some(last) if now.saturating_since(last) < FLAP_MEMORY => {
                self.hold = (self.hold * 2).min(FAILBACK_HOLD_MAX);
            }
            Some(_) => self.hold = FAILBACK_HOLD,
            None => {}
        }
        self.last_failover = Some(now);
        self.since = Some(now);
        self.old_srtt = srtt.or(self.last_srtt);
    }

    /// The primary is active.
    pub(super) const fn done(&mut self) {
        self.since = None;
    }

    fn take_at(&self) -> Option<Time> {
        self.since.map(|since| since + self.hold)
    }
}

impl Session {
    /// A leg is gone: what was measured on it is of use for the next one on the primary.
    pub(super) fn remember_leg(&mut self, leg: &Leg) {
        if leg.role == Role::Primary {
            self.failback.last_srtt = leg.rtt.measured().or(self.failback.last_srtt);
        }
    }

    /// Starts proving a primary while the backup carries.
    pub(super) fn prove(&mut self, leg: LegId, now: Time) {
        self.leg_mut(leg, |leg| {
            leg.proofs = 0;
            leg.prove_at = Some(now);
        });
    }

    /// A PONG took `rtt` on a leg of the primary while the backup carries. A primary that is slower
    /// than it was proves itself by being no slower than itself, for far longer.
    pub(super) fn take_proof_of_primary(&mut self, leg: LegId, rtt: Duration, now: Time) {
        let old = self.failback.old_srtt;
        // Interactive would leave it again.
        let too_slow = self
            .leg_on(Role::Primary)
            .is_some_and(|primary| self.is_too_slow(primary));
        self.leg_mut(leg, |leg| {
            let own = (leg.rtt.shortest().unwrap_or_default() * 2).max(PROOF_FLOOR);
            let limit = old.map_or(own, |old| (old * 2).max(PROOF_FLOOR));
            if rtt <= own {
                leg.steady_since = leg.steady_since.or(Some(now));
            } else {
                leg.steady_since = None;
            }
            let steady = leg
                .steady_since
                .is_some_and(|since| now.saturating_since(since) >= FAILBACK_STEADY);
            if rtt <= limit && !too_slow {
                leg.proofs += 1;
                leg.prove_at = Some(now);
            } else {
                leg.proofs = if steady && !too_slow {
                    FAILBACK_PROOFS
                } else {
                    0
                };
                leg.prove_at = Some(now + PROOF_PAUSE);
            }
        });
    }

    fn is_proving(&self, leg: &Leg) -> bool {
        self.side == Side::Client
            && self.active == Role::Backup
            && leg.role == Role::Primary
            && leg.is_healthy()
            && leg.proofs < FAILBACK_PROOFS
            && leg.pings.is_empty()
    }

    /// When that leg is asked for its next proof.
    pub(super) fn proof_deadline(&self, leg: &Leg) -> Option<Time> {
        leg.prove_at.filter(|_| self.is_proving(leg))
    }

    fn check_proofs(&mut self, now: Time) {
        for index in 0..self.legs.len() {
            if self
                .proof_deadline(&self.legs[index])
                .is_some_and(|at| at <= now)
            {
                self.legs[index].ping(now);
            }
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

    pub(super) fn check_failback(&mut self, now: Time) {
        if self.active == Role::Primary {
            return;
        }
        if self.failback.since.is_none() {
            // It began on the backup.
            self.failback.since = Some(now);
            self.paths[Role::Primary.index()].begin_failback(now);
        }
        self.check_proofs(now);
        if self.failback_deadline().is_none_or(|at| at > now) {
            return;
        }
        let stale = self
            .proven_primary()
            .filter(|leg| now.saturating_since(leg.last_progress) > PROOF_AGE)
            .map(|leg| leg.id);
        if let Some(leg) = stale {
            self.prove(leg, now);
            return self.check_proofs(now);
        }
        self.fail_back(now);
    }
}
