//! Silence: suspecting early, condemning late. The rules are in PROTOCOL.md, "Detection".

use std::time::Duration;

use super::Session;
use crate::config::{CLOCK_JUMP, CONDEMN_PINGS, IDLE, PUSH_GRACE, SUSPECT_PINGS};
use crate::event::Event;
use crate::leg::{Leg, Phase, Suspicion};
use crate::time::Time;
use crate::types::{LegId, Role, Side};

/// PINGs on a suspected leg are not closer together than this.
const PING_FLOOR: Duration = Duration::from_millis(30);
/// A HELLO may wait at least this long for its answer.
const OPENING_FLOOR: Duration = Duration::from_millis(150);
/// A leg that never answered is given up after this long at the earliest.
const OPENING_CONDEMN: Duration = Duration::from_secs(3);
/// More frames in flight on a young leg are a bulk transfer in slow start.
const YOUNG_FRAMES: usize = 3;
/// For this long after a switch the path that was left still brings what was under way on it.
const SWITCH_TAIL: Duration = Duration::from_secs(1);
/// A peer's suspicion is taken over at most this often.
const MIRROR_PAUSE: Duration = Duration::from_secs(1);
/// Silence of the peer is asked about after this long at the latest.
const SILENCE_WINDOW: Duration = IDLE;
/// A closed window is asked about at most this rarely.
const WINDOW_PROBE_MAX: Duration = Duration::from_secs(30);

impl Session {
    /// Takes note of the time. A clock that jumped ahead means that the machine slept: what was
    /// outstanding is timed anew, and every leg has to answer.
    pub(super) fn observe(&mut self, now: Time) {
        let due = self.next_deadline();
        let late = match due {
            Some(due) if due < now => now.saturating_since(due.max(self.last_now)),
            _ => Duration::ZERO,
        };
        self.last_now = self.last_now.max(now);
        if self.legs.iter().any(Leg::may_answer) {
            self.last_answering = self.last_now;
        }
        if late >= CLOCK_JUMP {
            log::debug!("the clock jumped by {late:?}: probing all legs");
            for path in &mut self.paths {
                path.reset(now);
            }
            self.probe_legs(None, now);
        }
    }

    /// Asks the legs (of one path) whether they are alive, and times what is outstanding anew.
    pub(super) fn probe_legs(&mut self, role: Option<Role>, now: Time) {
        for leg in &mut self.legs {
            if role.is_some_and(|role| role != leg.role) {
                continue;
            }
            for sent in &mut leg.in_flight {
                sent.at = now;
            }
            leg.pings.clear();
            leg.opened_at = now;
            leg.last_progress = now;
            leg.suspicion = None;
            if leg.is_up() {
                leg.ping(now);
            }
        }
    }

    /// The first limit of that leg.
    pub(super) fn suspect_after(&self, leg: &Leg, now: Time) -> Duration {
        let mut d1 = self.allowance.patience(leg.rtt.suspect(), now);
        if leg.phase == Phase::AwaitWelcome {
            // The gateway agrees on keys before it answers.
            d1 = d1.max(OPENING_FLOOR);
        } else if leg.rtt.is_young() && leg.in_flight.len() > YOUNG_FRAMES {
            d1 = d1.max(leg.rtt.srtt() * 7 / 2);
        }
        let d1 = if leg.push_grace { d1 + PUSH_GRACE } else { d1 };
        let cold_dials_spent = self.side == Side::Client
            && self.leg_on(leg.role.other()).is_none()
            && !self.allowance.may_dial_early(now);
        if cold_dials_spent {
            return leg.rtt.condemn();
        }
        d1.min(leg.rtt.condemn())
    }

    pub(super) fn suspect_deadline(&self, leg: &Leg) -> Option<Time> {
        if leg.suspicion.is_some() {
            return None;
        }
        let d1 = self.suspect_after(leg, self.last_now);
        let oldest = leg.oldest_unanswered()?;
        // The last good answer arrives after the oldest lost byte has left, so that "nothing was
        // heard since it was sent" would add a round trip.
        let heard = leg.last_progress + d1.saturating_sub(leg.rtt.srtt());
        Some((oldest + d1).max(heard))
    }

    pub(super) fn check_suspect(&mut self, now: Time) {
        for index in 0..self.legs.len() {
            let leg = &self.legs[index];
            match self.suspect_deadline(leg) {
                Some(at) if at <= now => self.suspect(index, now),
                _ => {}
            }
        }
    }

    fn suspect(&mut self, index: usize, now: Time) {
        let leg = &self.legs[index];
        let (role, id, phase) = (leg.role, leg.id, leg.phase);
        let Some(base) = leg.silent_since() else {
            return;
        };
        let after_idle = leg
            .in_flight
            .front()
            .is_some_and(|sent| sent.at.saturating_since(leg.last_received.min(sent.at)) >= IDLE);
        let overdrawn = self.allowance.is_empty(now) && !after_idle;
        let silence = self.due_from.is_none();
        let leg = &mut self.legs[index];
        leg.suspicion = Some(Suspicion {
            base,
            next_ping: None,
            pings: 0,
            hedged: 0,
            hedge: !overdrawn,
            by_peer: false,
        });
        if phase == Phase::Up || phase == Phase::AwaitProof {
            Self::ping_suspect(&mut self.legs[index], now);
        }
        if role != self.active {
            return;
        }
        log::debug!(
            "{id} on the {role} path is suspected, hedging: {}",
            !overdrawn
        );
        if silence {
            self.due_from = Some(self.last_progress);
        }
        self.hedge_stall = Duration::ZERO;
        if !overdrawn {
            self.hedge_begins(role);
        }
    }

    /// New bytes came on a leg that only stands by: the peer suspects the active one. Its answers
    /// would be late if this end had to find that out by itself.
    pub(super) fn suspect_with_peer(&mut self, arrived_on: Role, now: Time) {
        let active = self.active;
        let after_switch = self
            .switched_at
            .is_some_and(|at| now.saturating_since(at) < SWITCH_TAIL);
        // Copies that answer copies must not go on calling for each other.
        let just_done = self
            .mirrored_at
            .is_some_and(|at| now.saturating_since(at) < MIRROR_PAUSE);
        if arrived_on == active || after_switch || just_done {
            return;
        }
        let index = self
            .legs
            .iter()
            .position(|leg| leg.role == active && leg.is_healthy());
        let Some(leg) = index.and_then(|index| self.legs.get_mut(index)) else {
            return;
        };
        self.mirrored_at = Some(now);
        leg.suspicion = Some(Suspicion {
            base: now,
            next_ping: None,
            pings: 0,
            hedged: 0,
            hedge: true,
            by_peer: true,
        });
        Self::ping_suspect(leg, now);
        self.hedge_stall = Duration::ZERO;
        self.hedge_begins(active);
    }

    fn hedge_begins(&mut self, role: Role) {
        let to = role.other();
        let dialled = self.side == Side::Client
            && role == Role::Primary
            && self.paths[to.index()].usable()
            && !self.budget.is_exhausted();
        if !dialled && !self.legs.iter().any(|leg| leg.role == to) {
            // There is no other leg, and none will be opened for this.
            return;
        }
        self.stats.hedges += 1;
        self.emit(Event::Hedge { from: role, to });
        // A window update or an acknowledgement may be what got lost.
        for leg in &mut self.legs {
            if leg.role != role && leg.is_up() {
                leg.ack_due = true;
            }
        }
    }

    fn ping_suspect(leg: &mut Leg, now: Time) {
        let every = leg.rtt.srtt().max(PING_FLOOR);
        leg.ping(now);
        if let Some(suspicion) = &mut leg.suspicion {
            suspicion.pings += 1;
            suspicion.next_ping = (suspicion.pings < SUSPECT_PINGS).then(|| now + every);
        }
    }

    pub(super) fn check_pings(&mut self, now: Time) {
        for index in 0..self.legs.len() {
            let leg = &mut self.legs[index];
            let Some(suspicion) = &leg.suspicion else {
                continue;
            };
            let overdue = !suspicion.hedge && now >= suspicion.base + leg.rtt.condemn();
            if suspicion.next_ping.is_some_and(|at| at <= now) && leg.is_up() {
                Self::ping_suspect(leg, now);
            }
            let role = leg.role;
            if overdue {
                if let Some(suspicion) = &mut leg.suspicion {
                    suspicion.hedge = true;
                }
                if role == self.active {
                    self.hedge_begins(role);
                }
            }
        }
    }

    /// When that leg's second limit is over, given that its PINGs went unanswered.
    pub(super) fn condemn_deadline(leg: &Leg) -> Option<Time> {
        let suspicion = leg.suspicion.as_ref().filter(|_| !leg.given_up)?;
        let limit = suspicion.base + leg.rtt.condemn();
        if !leg.is_up() {
            // A proxy may have answered the handshake for a gateway that is far behind it; other
            // legs are tried from the first limit on.
            return Some(suspicion.base + leg.rtt.condemn().max(OPENING_CONDEMN));
        }
        if suspicion.pings >= CONDEMN_PINGS {
            // The last of them must have had time to be answered.
            let third = leg
                .pings
                .get(CONDEMN_PINGS as usize - 1)
                .map(|ping| ping.at);
            return Some(third.map_or(limit, |at| limit.max(at + leg.rtt.srtt())));
        }
        None
    }

    pub(super) fn check_condemn(&mut self, now: Time) {
        let due: Vec<LegId> = self
            .legs
            .iter()
            .filter(|leg| Self::condemn_deadline(leg).is_some_and(|at| at <= now))
            .map(|leg| leg.id)
            .collect();
        for leg in due {
            self.condemn(leg, now);
        }
    }

    /// When a receiver whose data stopped coming asks whether the leg is alive. Asked once, it would
    /// not notice a path that answers and then dies while the peer is about to go on: it asks again
    /// each time that the silence has doubled, until the leg counts as idle.
    pub(super) fn silence_deadline(&self, leg: &Leg) -> Option<Time> {
        let last = leg
            .last_data
            .filter(|_| leg.phase == Phase::Up && !self.recv.is_finished())?;
        let silence = match leg.silence_asked {
            None => self
                .suspect_after(leg, self.last_now)
                .max(leg.largest_gap * 4),
            Some(asked) if asked < last + SILENCE_WINDOW => asked.saturating_since(last) * 2,
            Some(_) => return None,
        };
        Some(last + silence.min(SILENCE_WINDOW))
    }

    pub(super) fn check_silence(&mut self, now: Time) {
        for index in 0..self.legs.len() {
            match self.silence_deadline(&self.legs[index]) {
                Some(at) if at <= now => {}
                _ => continue,
            }
            let leg = &mut self.legs[index];
            leg.silence_asked = Some(now);
            if !leg.is_asked() {
                leg.ping(now);
            }
        }
    }

    /// When to ask about a window that has closed.
    pub(super) fn window_deadline(&self) -> Option<Time> {
        self.window_probe.map(|(at, _)| at)
    }

    pub(super) fn check_window(&mut self, now: Time) {
        if !self.window_blocked() {
            self.window_probe = None;
            return;
        }
        self.due_from = None;
        let active = self.active;
        let up = self.legs.iter_mut().filter(|leg| leg.phase == Phase::Up);
        let Some(leg) = up.max_by_key(|leg| (leg.role == active, leg.is_healthy())) else {
            // The leg that comes next restates the window.
            self.window_probe = None;
            return;
        };
        match self.window_probe {
            None => self.window_probe = Some((now + leg.rtt.condemn(), 0)),
            Some((at, times)) if at <= now => {
                if !leg.is_asked() {
                    leg.ping(now);
                }
                let pause = Duration::from_secs(1 << times.min(5)).min(WINDOW_PROBE_MAX);
                self.window_probe = Some((now + pause, times + 1));
            }
            Some(_) => {}
        }
    }
}
