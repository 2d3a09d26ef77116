//! Ends: of legs, of directions, of the session.

use bytes::Bytes;

use super::Session;
use crate::crypto::JoinKey;
use crate::error::SessionError;
use crate::event::{Action, Event, LegDownReason, LegEnd};
use crate::leg::Phase;
use crate::time::Time;
use crate::types::{LegId, ResetCode, Role, Side};
use crate::wire::frame::Frame;
use crate::wire::preamble::Refused;

/// What is remembered of a session that ended, for the time to live: a late JOIN gets a sure
/// answer. At most 128 bytes.
#[derive(Clone, Debug)]
pub struct Tombstone {
    join_client: JoinKey,
    join_gateway: JoinKey,
    read: u64,
    written: u64,
}

impl Tombstone {
    /// The answer to a JOIN that is authentic.
    pub(crate) fn answer(&self, join: &crate::wire::join::Join) -> Option<Bytes> {
        if !self
            .join_client
            .verify(&[&join.signed, &join.data], &join.mac)
        {
            return None;
        }
        let code = crate::error::Refusal::Closed.to_wire();
        let mut out = Refused::encode(code, Some((self.read, self.written)), 32);
        let mac = self.join_gateway.mac(&[&out]);
        out.extend_from_slice(&mac);
        Some(out.freeze())
    }
}

impl Session {
    /// A leg ended. That is never the end of the stream.
    pub fn leg_closed(&mut self, leg: LegId, end: LegEnd, now: Time) {
        self.observe(now);
        let Some(index) = self.position(leg) else {
            return;
        };
        let (role, was_up) = (self.legs[index].role, self.legs[index].is_up());
        let leg = self.legs.swap_remove(index);
        self.remember_leg(&leg);
        if was_up {
            let reason = match end {
                LegEnd::Eof => LegDownReason::Ended,
                LegEnd::Reset => LegDownReason::Reset,
                LegEnd::Error => LegDownReason::Silent,
                LegEnd::PathGone => LegDownReason::PathGone,
            };
            self.emit(Event::LegDown { role, reason });
        }
        let path = &mut self.paths[role.index()];
        if end == LegEnd::PathGone || !path.lived(now) {
            path.back_off(now);
        }
        if self.keys.is_none() && self.side == Side::Client {
            self.opening_leg_ended(end == LegEnd::Eof, now);
        }
        if end == LegEnd::PathGone && role == self.active && !self.legs.is_empty() {
            self.fail_over_at_once(role, now);
        }
        self.settle(now);
    }

    /// The operating system said that the path is gone: no limit has to pass.
    fn fail_over_at_once(&mut self, role: Role, now: Time) {
        let gone = std::mem::replace(&mut self.paths[role.index()].gone, true);
        self.check_switch(now);
        self.paths[role.index()].gone = gone;
    }

    pub(super) fn drop_legs(&mut self, role: Role, end: LegEnd, now: Time) {
        let legs: Vec<LegId> = self
            .legs
            .iter()
            .filter(|leg| leg.role == role)
            .map(|leg| leg.id)
            .collect();
        for leg in legs {
            self.actions.push_back(Action::Close { leg, abort: true });
            self.leg_closed(leg, end, now);
        }
    }

    /// Closes a leg from this end.
    pub(super) fn close_leg(&mut self, id: LegId, abort: bool, reason: LegDownReason) {
        let Some(index) = self.position(id) else {
            return;
        };
        let leg = self.legs.swap_remove(index);
        self.remember_leg(&leg);
        self.actions.push_back(Action::Close { leg: id, abort });
        if leg.is_up() {
            self.emit(Event::LegDown {
                role: leg.role,
                reason,
            });
        }
    }

    pub(super) fn close_legs_on(&mut self, role: Role, keep: Option<LegId>, reason: LegDownReason) {
        let legs: Vec<LegId> = self
            .legs
            .iter()
            .filter(|leg| leg.role == role && Some(leg.id) != keep)
            .map(|leg| leg.id)
            .collect();
        for leg in legs {
            self.close_leg(leg, true, reason);
        }
    }

    /// Ends the session at once: the peer gets a RESET with that code, the application at both
    /// ends an error.
    pub fn abort(&mut self, code: ResetCode, now: Time) {
        if self.closed.is_some() {
            return;
        }
        let received = self.recv.read_offset();
        self.send_reset(code);
        self.end(
            Err(SessionError::Reset {
                code,
                delivered: None,
                received,
            }),
            now,
        );
    }

    /// Gateway: tells the client that it will end.
    pub fn go_away(&mut self, within: std::time::Duration, now: Time) {
        self.observe(now);
        let within_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        for leg in &mut self.legs {
            leg.push_control(&Frame::GoAway { within_ms });
        }
    }

    fn send_reset(&mut self, code: ResetCode) {
        let delivered = self.delivered();
        for leg in &mut self.legs {
            if leg.is_up() {
                leg.push_control(&Frame::Reset { code, delivered });
            }
        }
    }

    pub(super) fn reset_for_violation(&mut self, why: &'static str, now: Time) {
        if self.closed.is_some() {
            return;
        }
        log::debug!("the peer broke the protocol: {why}");
        self.send_reset(ResetCode::Protocol);
        self.end(Err(SessionError::Protocol(why)), now);
    }

    /// The session ends with an error of this end's finding.
    pub(super) fn fail(&mut self, error: SessionError, now: Time) {
        if matches!(error, SessionError::PinMismatch) {
            // The gateway believes that there is a session: it need not wait for its time to live.
            let reset = Frame::Reset {
                code: ResetCode::Aborted,
                delivered: 0,
            };
            for leg in &mut self.legs {
                leg.push_control(&reset);
                leg.phase = Phase::Up;
            }
        }
        self.end(Err(error), now);
    }

    /// Both directions are over and acknowledged.
    pub(super) fn is_over(&self) -> bool {
        self.send.is_finished() && self.is_drained() && self.recv.is_finished()
    }

    pub(super) fn check_finished(&mut self, now: Time) {
        if self.closed.is_none() && self.is_over() {
            self.end(Ok(()), now);
        }
    }

    /// The one place where a session ends: legs are closed, what they still have to say is said.
    pub(super) fn end(&mut self, result: Result<(), SessionError>, now: Time) {
        if self.closed.is_some() {
            return;
        }
        self.last_now = self.last_now.max(now);
        let stall = self.current_stall(now);
        if result.is_err() {
            self.stats.worst_stall = self.stats.worst_stall.max(stall);
        }
        let legs: Vec<(LegId, bool)> = self
            .legs
            .iter()
            .map(|leg| (leg.id, leg.suspicion.is_some() || !leg.is_up()))
            .collect();
        for role in Role::ALL {
            if self.paths[role.index()].dialling {
                self.cancel_dial(role);
            }
        }
        for (leg, abort) in legs {
            // What is due is still pulled by the driver: a last ACK, a RESET.
            self.actions.push_back(Action::Close { leg, abort });
        }
        self.opening = None;
        self.closed = Some(result.clone());
        self.update_protection_at_end();
        self.emit(Event::Closed(result));
    }

    fn update_protection_at_end(&mut self) {
        self.protection = self.current_protection();
    }

    /// What a gateway remembers of the session.
    pub fn tombstone(&self) -> Option<Tombstone> {
        let keys = self.keys.as_ref()?;
        Some(Tombstone {
            join_client: keys.join_client.clone(),
            join_gateway: keys.join_gateway.clone(),
            read: self
                .recv
                .ack()
                .saturating_sub(u64::from(self.recv.is_finished())),
            written: self.send.end(),
        })
    }
}
