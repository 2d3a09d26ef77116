//! What hedges may cost while the primary turns out to be alive, and what the backup may cost.

use std::time::Duration;

use crate::time::Time;

/// Tokens per byte that the primary carries: 2 %.
const SHARE: u64 = 50;
/// Tokens per hour, and the most that can be saved up.
const PER_HOUR: u64 = 64 * 1024;
/// A needless suspicion multiplies the first limit by 3/2, at most five times.
const BACKOFF_STEPS: u32 = 5;
const BACKOFF_HALF_LIFE: Duration = Duration::from_secs(60);
/// Needless dials in a minute, beyond which a cold standby waits for the second limit.
const NEEDLESS_DIALS: usize = 4;
const DIAL_MEMORY: Duration = Duration::from_secs(60);

/// The token bucket of needless hedges, and the patience learnt from them.
#[derive(Debug)]
pub(crate) struct Allowance {
    tokens: i64,
    filled_at: Time,
    /// Exponent of 3/2.
    steps: u32,
    stepped_at: Time,
    needless_dials: Vec<Time>,
}

impl Allowance {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            tokens: PER_HOUR as i64,
            filled_at: now,
            steps: 0,
            stepped_at: now,
            needless_dials: Vec::new(),
        }
    }

    /// The primary has carried that many bytes.
    pub(crate) fn earn(&mut self, bytes: u64) {
        // A share of what one call carries is far below i64::MAX.
        self.tokens = (self.tokens + (bytes / SHARE) as i64).min(PER_HOUR as i64 * 16);
    }

    /// A hedge of that many bytes was needless.
    pub(crate) fn charge(&mut self, bytes: u64, now: Time) {
        self.refill(now);
        self.tokens -= i64::try_from(bytes).unwrap_or(i64::MAX / 2);
        self.steps = (self.steps_at(now) + 1).min(BACKOFF_STEPS);
        self.stepped_at = now;
    }

    fn refill(&mut self, now: Time) {
        let passed = now.saturating_since(self.filled_at).as_micros() as u64;
        let tokens = (u128::from(passed) * u128::from(PER_HOUR) / 3_600_000_000) as i64;
        if tokens > 0 {
            self.tokens = (self.tokens + tokens).min((PER_HOUR as i64).max(self.tokens));
            self.filled_at = now;
        }
    }

    pub(crate) fn is_empty(&mut self, now: Time) -> bool {
        self.refill(now);
        self.tokens <= 0
    }

    fn steps_at(&self, now: Time) -> u32 {
        let minutes =
            now.saturating_since(self.stepped_at).as_micros() / BACKOFF_HALF_LIFE.as_micros();
        // Halving (3/2)^n takes off 1.7 of n.
        let off = (minutes as u32).saturating_mul(17) / 10;
        self.steps.saturating_sub(off)
    }

    /// The first limit, lengthened by what past suspicions taught.
    pub(crate) fn patience(&self, d1: Duration, now: Time) -> Duration {
        let steps = self.steps_at(now);
        d1 * 3u32.pow(steps) / 2u32.pow(steps)
    }

    pub(crate) fn needless_dial(&mut self, now: Time) {
        self.needless_dials
            .retain(|at| now.saturating_since(*at) < DIAL_MEMORY);
        if self.needless_dials.len() < NEEDLESS_DIALS {
            self.needless_dials.push(now);
        }
    }

    pub(crate) fn may_dial_early(&self, now: Time) -> bool {
        let recent = self
            .needless_dials
            .iter()
            .filter(|at| now.saturating_since(**at) < DIAL_MEMORY);
        recent.count() < NEEDLESS_DIALS
    }
}

/// Bytes granted at most to the gateway ahead of use.
const GRANT: u64 = 1024 * 1024;
/// The same without a limit: enough for a fast path's bandwidth times delay.
const GRANT_FREE: u64 = 16 * 1024 * 1024;
/// Kept back at the end of a credit for control frames.
pub(crate) const CONTROL_RESERVE: u64 = 4096;

/// The client's account of the backup: what it spent itself, and what it granted the gateway.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: Option<u64>,
    sent: u64,
    received: u64,
    granted: u64,
}

impl Budget {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        let mut budget = Self {
            limit,
            sent: 0,
            received: 0,
            granted: 0,
        };
        budget.granted = budget.next_grant();
        budget
    }

    pub(crate) const fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }

    pub(crate) const fn on_sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    pub(crate) const fn on_received(&mut self, bytes: u64) {
        self.received += bytes;
    }

    /// Bytes that are neither spent nor granted.
    fn left(&self) -> u64 {
        let spoken_for = self.sent.saturating_add(self.granted.max(self.received));
        self.limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(spoken_for))
    }

    /// Bytes that are not spent, granted or not.
    fn unspent(&self) -> u64 {
        self.limit.map_or(u64::MAX, |limit| {
            limit.saturating_sub(self.sent.saturating_add(self.received))
        })
    }

    const fn ahead(&self) -> u64 {
        self.granted.saturating_sub(self.received)
    }

    /// A grant cannot be taken back: with a limit set later, more may be granted than it allows.
    fn is_overcommitted(&self) -> bool {
        self.limit
            .is_some_and(|limit| self.sent.saturating_add(self.granted) > limit)
    }

    /// How much is granted at a time: a part of what is left, so that little is granted and unused
    /// when the budget ends, and enough is left for this end's own bytes.
    fn step(&self) -> u64 {
        let step = GRANT.min(self.left() / 4);
        if step < CONTROL_RESERVE { 0 } else { step }
    }

    fn next_grant(&self) -> u64 {
        match self.limit {
            None => self.received.saturating_add(GRANT_FREE),
            Some(_) => self.granted + self.step(),
        }
    }

    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// What the gateway may send on backup legs, counted since the start.
    pub(crate) const fn granted(&self) -> u64 {
        self.granted
    }

    /// Renews the grant when half of it is used; true when the gateway must be told.
    pub(crate) fn renew(&mut self) -> bool {
        let next = self.next_grant();
        let most = if self.limit.is_some() {
            self.step()
        } else {
            GRANT_FREE
        };
        // The gateway keeps a reserve of its grant for control frames.
        let low = (most / 2).max(2 * CONTROL_RESERVE);
        if next > self.granted && self.ahead() < low {
            self.granted = next;
            return true;
        }
        false
    }

    /// Bytes that this end may still send on the backup.
    pub(crate) fn may_send(&self) -> u64 {
        if self.is_overcommitted() {
            return self.unspent();
        }
        self.left()
    }

    /// Nothing of use can be done on the backup with what is left.
    pub(crate) fn is_exhausted(&self) -> bool {
        if self.limit.is_none() {
            return false;
        }
        if self.is_overcommitted() {
            return self.unspent() < 2 * CONTROL_RESERVE;
        }
        // Neither end sends stream bytes into its last reserve.
        let granted_is_used = self.step() == 0 && self.ahead() < 2 * CONTROL_RESERVE;
        self.left() < 2 * CONTROL_RESERVE || granted_is_used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_set_on_a_session_that_began_without_one_counts_what_was_spent() {
        let mut budget = Budget::new(None);
        budget.on_sent(1000);
        budget.on_received(2000);
        budget.set_limit(Some(1 << 20));
        assert!(!budget.is_exhausted());
        assert_eq!(budget.may_send(), (1 << 20) - 3000);
        budget.on_received(1 << 20);
        assert!(budget.is_exhausted());
        budget.set_limit(None);
        assert!(!budget.is_exhausted());
    }
}
