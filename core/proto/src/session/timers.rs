//! What is due when.

use super::Session;
use crate::error::SessionError;
use crate::leg::Leg;
use crate::time::Time;

impl Session {
    /// When `handle_timeout` is to be called at the latest; ask again after every other call.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.next_deadline()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        if self.closed.is_some() {
            return None;
        }
        let of_legs = self.legs.iter().flat_map(|leg| {
            [
                self.suspect_deadline(leg),
                Self::condemn_deadline(leg),
                self.silence_deadline(leg),
                self.proof_deadline(leg),
                leg.suspicion
                    .and_then(|s| s.next_ping)
                    .filter(|_| leg.is_up()),
                leg.suspicion
                    .filter(|s| !s.hedge)
                    .map(|s| s.base + leg.rtt.condemn()),
            ]
        });
        let of_session = [
            self.dial_deadline(),
            self.linger_deadline(),
            self.failback_deadline(),
            self.missing_deadline(),
            self.slow_deadline(),
            self.welcome_deadline(),
            self.window_deadline(),
            self.ttl_deadline(),
        ];
        of_legs.chain(of_session).flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.closed.is_some() {
            return;
        }
        self.observe(now);
        self.check_silence(now);
        self.check_suspect(now);
        self.check_pings(now);
        self.check_condemn(now);
        self.check_linger(now);
        self.settle(now);
        if self.welcome_deadline().is_some_and(|at| at <= now) {
            self.no_welcome(now);
        }
        if self.ttl_deadline().is_some_and(|at| at <= now) {
            let error = SessionError::TimedOut {
                after: self.ttl,
                sent: self.send.end(),
                acknowledged: self.send.acked(),
            };
            self.fail(error, now);
        }
    }

    /// The time to live runs while no leg answers. A leg that idled until it was lost counts as one
    /// that answered: idleness must not use the time up.
    fn ttl_deadline(&self) -> Option<Time> {
        if self.keys.is_none() || self.legs.iter().any(Leg::may_answer) {
            return None;
        }
        Some(self.last_authentic.max(self.last_answering) + self.ttl)
    }
}
