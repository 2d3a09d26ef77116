//! JOIN and JOINED: adding a leg to a session that exists.

use std::time::Duration;

use bytes::Bytes;

use super::Session;
use crate::allowance::CONTROL_RESERVE;
use crate::config::EARLY_LIMIT;
use crate::error::{Refusal, WireError};
use crate::event::{Event, LegDownReason};
use crate::leg::Phase;
use crate::time::Time;
use crate::types::{LegId, Role, Side};
use crate::wire::frame::Frame;
use crate::wire::hello::MAC_LEN;
use crate::wire::join::{Join, Joined, MAX_JOIN_DATA, StreamState};
use crate::wire::preamble;

/// Why a gateway did not take a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It is not authentic.
    #[error("the join is not authentic")]
    NotAuthentic,
    /// Its counter was used before.
    #[error("the join's counter was used before")]
    Counter,
    /// The repeated HELLO cannot be attached.
    #[error("the repeated first flight cannot be attached")]
    Retry,
    /// What it says of the stream contradicts what is known.
    #[error("the join contradicts the session")]
    Contradiction,
}

impl JoinError {
    /// What to write before closing; `None`: close without a word.
    pub fn reply(self) -> Option<Bytes> {
        match self {
            Self::NotAuthentic | Self::Contradiction => None,
            Self::Counter => Some(preamble::refused(Refusal::Counter)),
            Self::Retry => Some(preamble::refused(Refusal::Retry)),
        }
    }
}

impl Session {
    fn stream_state(&self) -> StreamState {
        StreamState {
            epoch: self.epoch,
            active: self.active,
            recv_next: self.recv.ack(),
            recv_limit: self.recv.limit(),
        }
    }

    /// Client: sends a JOIN on a leg that has just been opened, with data if that leg is to carry.
    pub(super) fn send_join(&mut self, role: Role, rtt: Option<Duration>, now: Time) -> LegId {
        let counter = self.join_counter;
        self.join_counter += 1;
        // A client knows its path better than its peer: the older leg there is of no use.
        self.close_legs_on(role, None, LegDownReason::Replaced);
        let leg = self.add_leg(role, Phase::AwaitJoined { counter }, rtt, now);
        let (Some(keys), Some(session)) = (self.keys.clone(), self.id) else {
            return leg;
        };
        let data = if self.may_send_data(leg) {
            let from = self.send.acked();
            let limit = self.peer_limit.min(self.send.end()).saturating_sub(from);
            let mut most = limit.min(EARLY_LIMIT.min(MAX_JOIN_DATA as u64));
            if role == Role::Backup {
                most = most.min(self.budget.may_send().saturating_sub(CONTROL_RESERVE));
            }
            let most = most as usize;
            self.gather(from, most)
        } else {
            Bytes::new()
        };
        let offset = self.send.acked();
        let mut join = Join {
            session,
            counter,
            role,
            state: self.stream_state(),
            credit: self.budget.granted(),
            received: self.budget.received(),
            data_offset: offset,
            data,
            signed: Bytes::new(),
            mac: [0; MAC_LEN],
        };
        let mut bytes = join.encode();
        join.mac = keys.join_client.mac(&[&bytes, &join.data]);
        bytes.extend_from_slice(&join.mac);
        bytes.extend_from_slice(&join.data);
        let end = offset + join.data.len() as u64;
        let sending = !join.data.is_empty();
        self.leg_mut(leg, |leg| {
            leg.control.extend_from_slice(&bytes);
            leg.sending = sending;
            leg.covers = offset;
            leg.cursor = end;
            if sending {
                leg.record(end, now);
            }
        });
        if sending {
            self.count_hedged(leg, end - offset);
        }
        leg
    }

    fn gather(&self, mut from: u64, mut most: usize) -> Bytes {
        let mut out = bytes::BytesMut::new();
        while most > 0 {
            let piece = self.send.slice(from, most);
            if piece.is_empty() {
                break;
            }
            from += piece.len() as u64;
            most -= piece.len();
            out.extend_from_slice(&piece);
        }
        out.freeze()
    }

    /// Gateway: takes a leg that wants to join. Nothing changes before its MAC is checked.
    ///
    /// # Errors
    /// See [`JoinError::reply`] for what to answer.
    pub fn accept_join(
        &mut self,
        join: &Join,
        rtt: Option<Duration>,
        now: Time,
    ) -> Result<LegId, JoinError> {
        let Some(keys) = self.keys.clone() else {
            return Err(JoinError::NotAuthentic);
        };
        if self.id != Some(join.session)
            || self.side != Side::Gateway
            || !keys
                .join_client
                .verify(&[&join.signed, &join.data], &join.mac)
        {
            return Err(JoinError::NotAuthentic);
        }
        if !self.replay.accept(join.counter) {
            return Err(JoinError::Counter);
        }
        let newest = &mut self.newest_join[join.role.index()];
        if newest.is_some_and(|newest| newest > join.counter) {
            // It was overtaken by one for the same path: the newest wins, whatever arrives last.
            return Err(JoinError::Counter);
        }
        *newest = Some(join.counter);
        if self.closed.is_some() {
            return Err(JoinError::Contradiction);
        }
        self.observe(now);
        self.last_authentic = now;
        self.opening_done();
        self.take_credit(join.credit);
        if self
            .take_ack(None, join.state.recv_next, join.state.recv_limit, now)
            .is_err()
        {
            return Err(JoinError::Contradiction);
        }
        self.close_legs_on(join.role, None, LegDownReason::Replaced);
        if join.role == Role::Backup {
            self.credit_used = self.credit_used.min(join.received);
        }
        let phase = if self.strict_join {
            Phase::AwaitProof
        } else {
            Phase::Up
        };
        self.take_switch(None, join.state.epoch, join.state.active, now);
        let leg = self.add_leg(join.role, phase, rtt, now);
        let nonce = self.entropy.draw();
        let inserted = if join.data.is_empty() {
            Ok(false)
        } else {
            self.recv.insert(join.data_offset, join.data.clone())
        };
        match inserted {
            Ok(true) => self.progressed(now),
            Ok(false) => {}
            Err(WireError(why)) => {
                self.reset_for_violation(why, now);
                return Err(JoinError::Contradiction);
            }
        }
        let joined = Joined {
            counter: join.counter,
            state: self.stream_state(),
            strict: self.strict_join,
            nonce,
        };
        let mut bytes = joined.encode();
        let mac = keys.join_gateway.mac(&[&bytes]);
        bytes.extend_from_slice(&mac);
        let data_len = join.data.len() as u64;
        self.leg_mut(leg, |leg| {
            leg.control.extend_from_slice(&bytes);
            leg.nonce = nonce;
            if phase == Phase::AwaitProof {
                // It carries no data yet whose silence would show that it has died.
                leg.ping(now);
            }
            if data_len > 0 {
                leg.data_arrived(now);
            }
        });
        self.leg_up(leg, now);
        self.settle(now);
        Ok(leg)
    }

    /// Client: the gateway's answer on a leg that sent JOIN.
    pub(super) fn take_joined(
        &mut self,
        leg: LegId,
        counter: u64,
        whole: &[u8],
        now: Time,
    ) -> Result<(), LegDownReason> {
        let split = whole.len() - MAC_LEN.min(whole.len());
        let (signed, mac) = whole.split_at(split);
        let authentic = self
            .keys
            .as_ref()
            .is_some_and(|keys| keys.join_gateway.verify(&[signed], mac));
        let body = signed.get(preamble::HEADER_LEN..).unwrap_or_default();
        let joined = match Joined::parse(body) {
            Ok(joined) if authentic && joined.counter == counter => joined,
            _ => return Err(LegDownReason::Refused),
        };
        if joined.strict {
            let proof = self
                .keys
                .as_ref()
                .map(|keys| keys.join_client.mac(&[b"proof", &joined.nonce]));
            if let Some(mac) = proof {
                self.leg_mut(leg, |leg| leg.push_control(&Frame::Proof { mac }));
            }
        }
        let state = joined.state;
        if self
            .take_ack(Some(leg), state.recv_next, state.recv_limit, now)
            .is_err()
        {
            return Err(LegDownReason::Refused);
        }
        self.leg_up(leg, now);
        self.take_switch(Some(leg), state.epoch, state.active, now);
        Ok(())
    }

    /// Gateway, strict: the client has shown that it hears us.
    pub(super) fn take_proof(&mut self, leg: LegId, mac: &[u8; 32]) -> bool {
        let Some(keys) = self.keys.clone() else {
            return false;
        };
        let mut good = false;
        self.leg_mut(leg, |leg| {
            good = leg.phase == Phase::AwaitProof
                && keys.join_client.verify(&[b"proof", &leg.nonce], mac);
            if good {
                leg.phase = Phase::Up;
            }
        });
        good
    }

    /// WELCOME comes after two key agreements, which on a busy machine take longer than the path:
    /// where the transport knows the path's time, a PING gives the second sample.
    fn sample_opening(&mut self, id: LegId, opened: Option<Time>, now: Time) {
        let Some(opened) = opened else { return };
        let welcome = self.stats.primary.legs + self.stats.backup.legs == 0;
        self.leg_mut(id, |leg| {
            if welcome && leg.rtt.measured().is_some() {
                leg.measure(now);
            } else {
                leg.rtt.sample(now.saturating_since(opened));
            }
        });
    }

    /// A leg carries frames from here on.
    pub(super) fn leg_up(&mut self, id: LegId, now: Time) {
        let Some(role) = self.position(id).map(|i| self.legs[i].role) else {
            return;
        };
        self.last_authentic = now;
        self.unknown_from = [false; 2];
        self.close_legs_on(role, Some(id), LegDownReason::Replaced);
        let opened = self.leg_mut(id, |leg| {
            if leg.phase != Phase::AwaitProof {
                leg.phase = Phase::Up;
            }
            leg.last_progress = now;
            leg.last_received = now;
            let suspected = leg.suspicion.take().is_some();
            (leg.opened_at, suspected)
        });
        let (opened, suspected) = opened.map_or((None, false), |(at, s)| (Some(at), s));
        if self.side == Side::Client {
            self.sample_opening(id, opened, now);
        }
        self.paths[role.index()].up(now);
        self.stats.path_mut(role).legs += 1;
        if role == self.active && self.active_missing.take().is_some() {
            self.stall_ends_later(now);
        }
        if role == Role::Primary && self.active == Role::Backup && self.side == Side::Client {
            self.prove(id, now);
        }
        self.emit(Event::LegUp { role });
        if role == Role::Primary && self.failback_untold {
            self.tell_failback();
        }
        if role == Role::Backup && self.active == Role::Primary && !self.is_hedging() {
            self.linger(now);
        }
        if suspected && role == self.active && self.side == Side::Client {
            self.hedge_ended(role, now);
        }
    }
}
