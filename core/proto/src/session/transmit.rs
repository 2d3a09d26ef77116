//! What goes out on a leg, when its socket takes some.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Session;
use crate::allowance::CONTROL_RESERVE;
use crate::config::IDLE;
use crate::leg::{Leg, Phase};
use crate::time::Time;
use crate::types::{LegId, Role, Side};
use crate::wire::frame::{DATA_HEADER_LEN, Frame, MAX_DATA_SENT, data_header};

/// An ACK frame.
const ACK_LEN: u64 = 20;
/// The guess of what the peer lacks begins this much too early.
const GUESS_MARGIN: u64 = 4096;
/// The first flight of an idle TCP connection: more would only stand before what is missing.
const FIRST_COPIES: u64 = 14 * 1024;

impl Session {
    /// Appends to `out` what that leg shall send, about `max` bytes in whole frames, and gives
    /// their number: 0 when there is nothing to send on it. Call it right before writing, when
    /// all of the last call is written: what was pulled counts as sent at `now`.
    pub fn poll_transmit(
        &mut self,
        leg: LegId,
        max: usize,
        out: &mut VecDeque<Bytes>,
        now: Time,
    ) -> usize {
        let Some(index) = self.position(leg) else {
            return 0;
        };
        self.last_now = self.last_now.max(now);
        let may_send_data = self.may_send_data(leg);
        let active = self.active;
        let likely_missing = self.likely_missing();
        let from = self.send.acked();
        let ack = Frame::Ack {
            next: self.recv.ack(),
            limit: self.recv.limit(),
        };
        let window = Frame::Window {
            limit: self.recv.limit(),
        };
        let spendable = self.spendable(index);
        let leg = &mut self.legs[index];
        let mut pulled = 0;
        if spendable < leg.control.len() as u64 + ACK_LEN {
            // Without credit nothing may pile up either.
            return 0;
        }
        if leg.ack_due && leg.is_up() {
            leg.ack_due = false;
            leg.window_due = false;
            leg.push_control(&ack);
        }
        if leg.window_due && leg.is_up() {
            leg.window_due = false;
            leg.push_control(&window);
        }
        if !leg.control.is_empty() {
            let control = std::mem::take(&mut leg.control).freeze();
            pulled += control.len();
            out.push_back(control);
        }
        if may_send_data {
            if !leg.sending {
                let copies = leg.role != active && leg.phase == Phase::Up;
                let start = if copies { likely_missing } else { from };
                leg.cover(start);
                leg.sending = true;
                leg.copies_until = copies.then_some(leg.cursor + FIRST_COPIES);
            }
            pulled += self.pull_data(index, max, pulled, out, now);
        } else {
            leg.sending = false;
        }
        if pulled > 0 {
            let leg = &mut self.legs[index];
            leg.last_sent = now;
            let role = leg.role;
            self.stats.path_mut(role).sent += pulled as u64;
            if role == Role::Backup {
                self.budget.on_sent(pulled as u64);
                self.credit_used += pulled as u64;
            }
        }
        pulled
    }

    /// From where on the peer probably lacks what is unacknowledged. In a bulk transfer over a path
    /// that just died much of it has arrived and only its acknowledgements are lost; the first
    /// copies are few, and shall be of use. The peer's answer to them corrects a wrong guess.
    fn likely_missing(&self) -> u64 {
        let from = self.send.acked();
        let suspected = self
            .leg_on(self.active)
            .filter(|leg| leg.suspicion.is_some());
        let Some(leg) = suspected.filter(|_| self.send.end() - from > FIRST_COPIES) else {
            return from;
        };
        let under_way = leg
            .in_flight
            .front()
            .is_some_and(|sent| sent.at <= leg.last_progress);
        if !under_way {
            // A new message after a pause: the rate of late says nothing of it.
            return from;
        }
        let guess = from + leg.taken_unheard().saturating_sub(GUESS_MARGIN);
        guess.clamp(from, self.send.end() - FIRST_COPIES)
    }

    /// Bytes that may still be sent on that leg.
    fn spendable(&self, index: usize) -> u64 {
        if self.legs[index].role == Role::Primary {
            return u64::MAX;
        }
        match self.side {
            Side::Client => self.budget.may_send(),
            Side::Gateway => self.credit.saturating_sub(self.credit_used),
        }
    }

    fn pull_data(
        &mut self,
        index: usize,
        max: usize,
        before: usize,
        out: &mut VecDeque<Bytes>,
        now: Time,
    ) -> usize {
        let max = max.saturating_sub(before);
        let end = self.send.end();
        let mut limit = end.min(self.peer_limit);
        if self.keys.is_none() {
            limit = limit.min(crate::config::EARLY_LIMIT);
        }
        let reserved = CONTROL_RESERVE + before as u64;
        let mut spendable = self.spendable(index).saturating_sub(reserved);
        let mut pulled = 0;
        let mut hedged = 0;
        let gateway_push = self.side == Side::Gateway
            && self.legs[index].in_flight.is_empty()
            && now.saturating_since(self.legs[index].last_received) >= IDLE
            && now.saturating_since(self.legs[index].last_sent) >= IDLE;
        while pulled < max {
            let leg = &mut self.legs[index];
            let cursor = leg.cursor.max(self.send.acked());
            leg.cursor = cursor;
            // Never so little that no answer of this leg would come.
            let least = self.send.acked() + FIRST_COPIES;
            let limit = leg
                .copies_until
                .map_or(limit, |until| limit.min(until.max(least)));
            if cursor >= limit {
                break;
            }
            let most = (limit - cursor)
                .min(MAX_DATA_SENT as u64)
                .min(spendable.saturating_sub(DATA_HEADER_LEN as u64))
                as usize;
            if most == 0 {
                break;
            }
            let payload = self.send.slice(cursor, most);
            if payload.is_empty() {
                break;
            }
            let n = payload.len();
            out.push_back(Bytes::copy_from_slice(&data_header(cursor, n)));
            out.push_back(payload);
            if leg.in_flight.is_empty() {
                leg.push_grace = gateway_push;
            }
            leg.cursor = cursor + n as u64;
            leg.record(leg.cursor, now);
            spendable -= (n + DATA_HEADER_LEN) as u64;
            pulled += n + DATA_HEADER_LEN;
            hedged += n as u64;
        }
        let leg = &mut self.legs[index];
        if self.send.is_finished() && leg.cursor >= end && !leg.fin_sent && !self.fin_acked {
            let mut frame = bytes::BytesMut::new();
            Frame::Fin { offset: end }.encode(&mut frame);
            if spendable >= frame.len() as u64 {
                leg.fin_sent = true;
                leg.record(end + 1, now);
                pulled += frame.len();
                out.push_back(frame.freeze());
            }
        }
        let id = leg.id;
        if pulled > 0 && self.keys.is_none() {
            self.note_early_data();
        }
        if hedged > 0 {
            self.count_hedged(id, hedged);
        }
        pulled
    }

    /// Bytes went on a leg that is not the active one: the active one's suspicion pays for them.
    pub(super) fn count_hedged(&mut self, leg: LegId, bytes: u64) {
        let active = self.active;
        let Some(index) = self.position(leg) else {
            return;
        };
        if self.legs[index].role == active {
            return;
        }
        for candidate in &mut self.legs {
            if candidate.role == active {
                if let Some(suspicion) = &mut candidate.suspicion {
                    suspicion.hedged += bytes;
                }
            }
        }
    }

    /// Whether that leg carries stream bytes at this moment.
    pub(super) fn may_send_data(&self, id: LegId) -> bool {
        let Some(leg) = self.position(id).map(|index| &self.legs[index]) else {
            return false;
        };
        let ready = match leg.phase {
            Phase::Up | Phase::AwaitJoined { .. } => true,
            Phase::AwaitWelcome => self.may_send_early(),
            Phase::AwaitProof => false,
        };
        if self.closed.is_some() || !ready || (leg.role == Role::Backup && self.backup_spent()) {
            return false;
        }
        leg.role == self.active || self.is_hedging()
    }

    fn backup_spent(&self) -> bool {
        match self.side {
            Side::Client => self.budget.is_exhausted(),
            Side::Gateway => self.credit.saturating_sub(self.credit_used) <= CONTROL_RESERVE,
        }
    }

    /// The active path is missing or suspected: everything unacknowledged goes on the other too.
    pub(super) fn is_hedging(&self) -> bool {
        let mut on_active = self
            .legs
            .iter()
            .filter(|leg| leg.role == self.active)
            .peekable();
        if on_active.peek().is_none() {
            return true;
        }
        on_active.all(|leg| leg.suspicion.is_some_and(|s| s.hedge) || leg.given_up)
    }

    /// The leg, worked on by `f`.
    pub(super) fn leg_mut<R>(&mut self, id: LegId, f: impl FnOnce(&mut Leg) -> R) -> Option<R> {
        let index = self.position(id)?;
        Some(f(&mut self.legs[index]))
    }
}
