//! What comes in on a leg.

use bytes::Bytes;

use super::Session;
use crate::config::SUSPECT_PINGS;
use crate::error::{Refusal, SessionError, WireError};
use crate::event::{Event, LegDownReason};
use crate::leg::Phase;
use crate::time::Time;
use crate::types::{LegId, Role};
use crate::wire::frame::Frame;
use crate::wire::preamble::Kind;

impl Session {
    /// Bytes in the order in which they came on that leg. Legs are always read, whatever the
    /// window: a leg that is not read hides that it is alive.
    pub fn leg_received(&mut self, leg: LegId, mut data: Bytes, now: Time) {
        self.observe(now);
        let Some(index) = self.position(leg) else {
            return;
        };
        let role = self.legs[index].role;
        self.stats.path_mut(role).received += data.len() as u64;
        if role == Role::Backup {
            self.budget.on_received(data.len() as u64);
        }
        self.legs[index].last_received = now;
        let mut keep = None;
        while !data.is_empty() && self.closed.is_none() {
            let Some(index) = self.position(leg) else {
                return;
            };
            if !self.legs[index].is_up() {
                if !self.take_preamble(leg, &mut data, now) {
                    return;
                }
                continue;
            }
            let next = self.recv.ack();
            let reader = &mut self.legs[index].reader;
            let keep = *keep.get_or_insert_with(|| {
                reader.in_order_ahead(&data, next) >= data.len() - data.len() / 4
            });
            match reader.next(&mut data) {
                Ok(Some(frame)) => {
                    self.last_authentic = now;
                    let frame = let_go(frame, keep, next);
                    if let Err(WireError(why)) = self.take_frame(leg, frame, now) {
                        self.reset_for_violation(why, now);
                    }
                }
                Ok(None) => break,
                Err(WireError(why)) => self.reset_for_violation(why, now),
            }
        }
        self.settle(now);
    }

    /// Client: works on the gateway's preamble; false when the leg has nothing more to read.
    fn take_preamble(&mut self, leg: LegId, data: &mut Bytes, now: Time) -> bool {
        let Some(index) = self.position(leg) else {
            return false;
        };
        let (role, phase) = (self.legs[index].role, self.legs[index].phase);
        let cut = Self::cut_preamble(&mut self.legs[index].opening, data);
        let (header, whole) = match cut {
            Ok(Some(cut)) => cut,
            Ok(None) => return false,
            Err(error) => {
                if self.keys.is_none() {
                    self.foreign_answer(leg, role, error, now);
                } else {
                    // Something else answers on this path (a captive portal): not our session's
                    // end, the other path goes on.
                    self.refused_leg(leg, role, now);
                }
                return false;
            }
        };
        let result = match (header.kind, phase) {
            (Some(Kind::Welcome), Phase::AwaitWelcome) if header.version == crate::VERSION => {
                self.take_welcome(leg, &whole, now)
            }
            (Some(Kind::Joined), Phase::AwaitJoined { counter })
                if header.version == crate::VERSION =>
            {
                match self.take_joined(leg, counter, &whole, now) {
                    Ok(()) => Ok(()),
                    Err(_) => {
                        self.refused_leg(leg, role, now);
                        return false;
                    }
                }
            }
            (Some(Kind::Refused), _) => self.take_refused(leg, role, &whole, now),
            _ if self.keys.is_none() => Err(SessionError::Refused(Refusal::Version)),
            _ => {
                self.refused_leg(leg, role, now);
                return false;
            }
        };
        if let Err(error) = result {
            self.fail(error, now);
            return false;
        }
        self.position(leg).is_some()
    }

    fn refused_leg(&mut self, leg: LegId, role: Role, now: Time) {
        self.close_leg(leg, true, LegDownReason::Refused);
        self.paths[role.index()].back_off(now);
    }

    fn take_frame(&mut self, leg: LegId, frame: Frame, now: Time) -> Result<(), WireError> {
        match frame {
            Frame::Data { offset, payload } => {
                let role = self.leg_mut(leg, |leg| {
                    leg.ack_due = true;
                    leg.data_arrived(now);
                    leg.role
                });
                if self.recv.insert(offset, payload)? {
                    self.progressed(now);
                    if let Some(role) = role {
                        self.suspect_with_peer(role, now);
                    }
                }
            }
            Frame::Ack { next, limit } => self.take_ack(Some(leg), next, limit, now)?,
            Frame::Ping { id } => {
                self.leg_mut(leg, |leg| {
                    leg.push_control(&Frame::Pong { id });
                    leg.ack_due = true;
                });
            }
            Frame::Pong { id } => self.take_pong(leg, id, now),
            Frame::Switch {
                epoch,
                active,
                next,
                limit,
            } => {
                self.take_ack(Some(leg), next, limit, now)?;
                self.take_switch(Some(leg), epoch, active, now);
            }
            Frame::Fin { offset } => {
                self.leg_mut(leg, |leg| leg.ack_due = true);
                self.recv.finish(offset)?;
                self.progressed(now);
            }
            Frame::Reset { code, delivered } => {
                let received = self.recv.read_offset();
                self.end(
                    Err(SessionError::Reset {
                        code,
                        delivered: Some(delivered),
                        received,
                    }),
                    now,
                );
            }
            Frame::Window { limit } => {
                // The rest of an ACK would look like an answer of this very leg.
                let known = self.send.acked() + u64::from(self.fin_acked);
                self.take_ack(None, known, limit, now)?;
            }
            Frame::Credit { total } => self.take_credit(total),
            Frame::GoAway { within_ms } => {
                let within = std::time::Duration::from_millis(within_ms.into());
                self.emit(Event::GoingAway { within });
            }
            Frame::Proof { mac } => {
                if !self.take_proof(leg, &mac) {
                    self.close_leg(leg, true, LegDownReason::Refused);
                }
            }
        }
        Ok(())
    }

    /// An acknowledgement that came on `leg`, or with a JOIN before the leg was there.
    pub(super) fn take_ack(
        &mut self,
        leg: Option<LegId>,
        next: u64,
        limit: u64,
        now: Time,
    ) -> Result<(), WireError> {
        let end = self.send.end();
        let fin = end + 1;
        let everything_sent = self.send.is_finished();
        if next > end && !(everything_sent && next == fin) {
            return Err(WireError("acknowledges what was never sent"));
        }
        let before = self.send.acked() + u64::from(self.fin_acked);
        let opened = limit > self.peer_limit;
        self.peer_limit = self.peer_limit.max(limit);
        self.send
            .expect_window(self.peer_limit.saturating_sub(next));
        if opened {
            self.window_probe = None;
        }
        if next > before {
            if self.was_sent(next) {
                self.opening_done();
            }
            self.send.ack(next.min(end));
            if next == fin {
                self.fin_acked = true;
            }
        }
        let mut carried = 0;
        for candidate in &mut self.legs {
            let oldest_before = candidate.in_flight.front().map(|sent| sent.at);
            let newest = candidate.acknowledged(next);
            if Some(candidate.id) != leg {
                continue;
            }
            if candidate.copies_until.take().is_some() {
                candidate.cover(next.min(end));
            }
            if candidate.heard(next, now) {
                candidate.last_progress = now;
            }
            let Some(at) = newest else { continue };
            debug_assert!(oldest_before.is_some());
            if candidate.suspicion.is_none() {
                candidate.rtt.sample(now.saturating_since(at));
            }
            candidate.last_progress = now;
            candidate.note_rate(next, now);
            if candidate.role == Role::Primary {
                carried = next.saturating_sub(before);
            }
        }
        self.allowance.earn(carried);
        if let Some(leg) = leg {
            let progressed = self
                .position(leg)
                .is_some_and(|i| self.legs[i].last_progress == now);
            if progressed {
                self.leg_answered(leg, now);
            }
        }
        if next > before {
            self.progressed(now);
        }
        Ok(())
    }

    /// Everything below `next` has left on a leg: the peer can have it.
    fn was_sent(&self, next: u64) -> bool {
        let end = self.send.end();
        let sent = |leg: &crate::leg::Leg| leg.cursor >= next.min(end);
        let fin_sent = next <= end || self.legs.iter().any(|leg| leg.fin_sent);
        fin_sent && self.legs.iter().any(sent)
    }

    fn take_pong(&mut self, leg: LegId, id: u32, now: Time) {
        let answered = self.leg_mut(leg, |leg| {
            let at = leg.pong(id)?;
            let rtt = now.saturating_since(at);
            // Acknowledgements tell nothing sure of this leg while copies go on another; a PONG
            // does, and without it a path that became slower would be suspected for ever.
            leg.rtt.sample(rtt.min(leg.rtt.condemn()));
            leg.last_progress = now;
            Some((leg.role, rtt))
        });
        if let Some((role, rtt)) = answered.flatten() {
            self.opening_done();
            self.leg_answered(leg, now);
            if role == Role::Primary && self.active == Role::Backup {
                self.take_proof_of_primary(leg, rtt, now);
            }
        }
    }

    /// Progress on that very leg: an ACK that advanced what was outstanding on it, or a PONG.
    fn leg_answered(&mut self, id: LegId, now: Time) {
        let Some(index) = self.position(id) else {
            return;
        };
        let leg = &mut self.legs[index];
        leg.push_grace = false;
        leg.given_up = false;
        let Some(suspicion) = leg.suspicion.take() else {
            return;
        };
        debug_assert!(suspicion.pings <= SUSPECT_PINGS);
        leg.pings.clear();
        let role = leg.role;
        if role != self.active {
            return;
        }
        if !suspicion.by_peer && suspicion.hedged > 0 {
            self.stats.needless_hedges += 1;
            self.allowance.charge(suspicion.hedged, now);
        }
        self.hedge_ended(role, now);
    }

    /// Something moved for the application: bytes in order, or an acknowledgement.
    pub(super) fn progressed(&mut self, now: Time) {
        if let Some(due) = self.due_from {
            let stall = now.saturating_since(due.max(self.last_progress));
            self.stats.worst_stall = self.stats.worst_stall.max(stall);
            if self.is_in_trouble() {
                self.hedge_stall = self.hedge_stall.max(stall);
            }
        }
        if self.stall_untold {
            self.tell_stall(now);
        }
        self.last_progress = now;
        self.due_from = (!self.is_drained() && !self.window_blocked()).then_some(now);
    }

    /// What moves, or does not, is due to the loss of a path.
    fn is_in_trouble(&self) -> bool {
        let mut on_active = self.legs.iter().filter(|leg| leg.role == self.active);
        self.stall_untold || on_active.all(|leg| leg.suspicion.is_some() || leg.given_up)
    }

    /// Everything that the peer allows is sent and acknowledged: a slow reader, not a stall.
    pub(super) fn window_blocked(&self) -> bool {
        self.send.acked() >= self.peer_limit && self.send.end() > self.send.acked()
    }

    /// How long data has been due without progress.
    pub(super) fn current_stall(&self, now: Time) -> std::time::Duration {
        self.due_from
            .map(|due| now.saturating_since(due.max(self.last_progress)))
            .unwrap_or_default()
    }
}

/// A payload holds on to the whole of what it was read with. It is copied unless most of that carries the stream on
/// and will be held and let go together, so that nobody can make this end keep far more than is counted.
fn let_go(frame: Frame, keep: bool, next: u64) -> Frame {
    match frame {
        Frame::Data { offset, payload } if !keep || offset > next => Frame::Data {
            offset,
            payload: Bytes::copy_from_slice(&payload),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_payload_in_order_keeps_what_it_was_read_with() {
        let read = Bytes::from(vec![7; 65536]);
        let is_copied = |offset, keep| {
            let payload = read.slice(12..16396);
            match let_go(Frame::Data { offset, payload }, keep, 100) {
                Frame::Data { payload, .. } => payload.as_ptr() != read[12..].as_ptr(),
                _ => unreachable!(),
            }
        };
        assert!(!is_copied(100, true));
        assert!(!is_copied(90, true));
        assert!(is_copied(101, true));
        assert!(is_copied(100, false));
    }
}
