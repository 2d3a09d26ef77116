//! The first flight: HELLO and WELCOME, and the repeated HELLO when its leg died.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::Session;
use crate::config::WELCOME_TIMEOUT;
use crate::crypto::{Ephemeral, Keys, same, sha256};
use crate::error::{SessionError, WireError};
use crate::event::{DialTarget, Event};
use crate::leg::Phase;
use crate::time::Time;
use crate::types::{JoinAddress, LegId, Role};
use crate::wire::hello::{Hello, MAC_LEN, Retry, Welcome};
use crate::wire::preamble;

/// What is kept until WELCOME has arrived.
#[derive(Debug)]
pub(super) enum Opening {
    Client {
        ephemeral: Ephemeral,
        /// Revealed once, in a retry.
        secret: [u8; 32],
        /// The first HELLO.
        base: Bytes,
        sent_at: Time,
        deadline: Time,
        /// Paths on which a HELLO went out: each gives the gateway its time once.
        tried: [bool; 2],
        data_sent: bool,
        retried: bool,
        /// The repetition said that no data had been sent: none may follow the first either.
        dataless_retry: bool,
        /// Something else than a gateway answered on one of the paths.
        foreign: Option<&'static str>,
        /// Legs that ended in good order without an answer: a gateway would not do that.
        silent_ends: u32,
    },
    Gateway {
        retry_hash: [u8; 32],
        retried: bool,
        welcome: Bytes,
    },
}

impl Session {
    /// Client: a TCP handshake has finished. The first leg gets HELLO, later ones JOIN.
    pub fn leg_opened(&mut self, role: Role, rtt: Option<Duration>, now: Time) -> LegId {
        self.observe(now);
        self.paths[role.index()].dialled(now);
        if self.next_leg == 0 {
            // Nothing could be due before there was a leg.
            self.last_progress = now;
        }
        let id = if self.keys.is_some() {
            self.send_join(role, rtt, now)
        } else {
            self.send_hello(role, rtt, now)
        };
        if self.closed.is_some() {
            self.close_leg(id, true, crate::event::LegDownReason::SessionEnded);
        }
        self.settle(now);
        id
    }

    fn send_hello(&mut self, role: Role, rtt: Option<Duration>, now: Time) -> LegId {
        let fresh = match &self.opening {
            // The secret is revealed once; after that only a session without data may begin anew.
            Some(Opening::Client {
                data_sent, retried, ..
            }) => *retried && !*data_sent,
            _ => true,
        };
        let id = self.add_leg(role, Phase::AwaitWelcome, rtt, now);
        let (deadline, tried) = self.extend_welcome(role, now);
        if fresh {
            // Nothing has left that could be delivered twice: begin anew.
            self.drop_other_openings(id);
            let ephemeral = Ephemeral::new(self.entropy.draw());
            let secret: [u8; 32] = self.entropy.draw();
            let mut hello = Hello {
                version: crate::VERSION,
                client_key: ephemeral.public(),
                retry_hash: sha256(&[&secret]),
                pin: self.pin.is_some(),
                service: self.service,
                standby: self.standby,
                window: u32::try_from(self.recv.limit()).unwrap_or(u32::MAX),
                ttl_s: u32::try_from(self.ttl.as_secs()).unwrap_or(u32::MAX),
                credit: self.budget.granted(),
                role,
                retry: None,
                base: Bytes::new(),
            };
            hello.base = hello.encode_base();
            let base = hello.base;
            self.leg_mut(id, |leg| leg.control.extend_from_slice(&base));
            self.opening = Some(Opening::Client {
                ephemeral,
                secret,
                base,
                sent_at: now,
                deadline,
                tried,
                data_sent: false,
                retried: false,
                dataless_retry: false,
                foreign: None,
                silent_ends: self.silent_ends(),
            });
            self.active = role;
            return id;
        }
        let Some(Opening::Client {
            secret,
            base,
            sent_at,
            deadline: old_deadline,
            tried: old_tried,
            data_sent,
            retried,
            dataless_retry,
            ..
        }) = &mut self.opening
        else {
            return id;
        };
        let age = now.saturating_since(*sent_at).as_millis();
        let retry = Retry {
            secret: *secret,
            age_ms: u32::try_from(age).unwrap_or(u32::MAX),
            role,
            data_sent: *data_sent,
        };
        *retried = true;
        *dataless_retry = !*data_sent;
        *old_deadline = deadline;
        *old_tried = tried;
        let bytes = Hello::encode_retry(base, &retry);
        self.leg_mut(id, |leg| leg.control.extend_from_slice(&bytes));
        id
    }

    /// A path that had no HELLO yet gives the gateway its whole time; more legs on it do not.
    fn extend_welcome(&self, role: Role, now: Time) -> (Time, [bool; 2]) {
        let (mut deadline, mut tried) = match &self.opening {
            Some(Opening::Client {
                deadline, tried, ..
            }) => (*deadline, *tried),
            _ => (now, [false; 2]),
        };
        if !tried[role.index()] {
            tried[role.index()] = true;
            deadline = now + WELCOME_TIMEOUT;
        }
        (deadline, tried)
    }

    fn silent_ends(&self) -> u32 {
        match &self.opening {
            Some(Opening::Client { silent_ends, .. }) => *silent_ends,
            _ => 0,
        }
    }

    fn drop_other_openings(&mut self, keep: LegId) {
        let others: Vec<LegId> = self.legs.iter().map(|leg| leg.id).collect();
        for leg in others.into_iter().filter(|leg| *leg != keep) {
            self.close_leg(leg, true, crate::event::LegDownReason::Replaced);
        }
    }

    /// Client: another leg may be tried while WELCOME is missing.
    pub(super) fn may_retry_opening(&self) -> bool {
        match &self.opening {
            Some(Opening::Client {
                data_sent, retried, ..
            }) => !*retried || (!*data_sent && self.legs.is_empty()),
            _ => false,
        }
    }

    /// A stretch of the stream, or its end, leaves before WELCOME.
    pub(super) fn note_early_data(&mut self) {
        if let Some(Opening::Client { data_sent, .. }) = &mut self.opening {
            *data_sent = true;
        }
    }

    /// Data may leave before WELCOME. Not so once a repetition has said that there was none: behind
    /// a load balancer both may be taken, by two gateways.
    pub(super) fn may_send_early(&self) -> bool {
        let dataless_retry = matches!(
            &self.opening,
            Some(Opening::Client {
                dataless_retry: true,
                ..
            })
        );
        self.early_data && !dataless_retry
    }

    /// No WELCOME in time: not a gateway, if a leg was open and silent. If data left and legs
    /// died, nobody knows.
    pub(super) fn no_welcome(&mut self, now: Time) {
        let error = match &self.opening {
            Some(Opening::Client {
                foreign: Some(why), ..
            }) => SessionError::NotAGateway(why),
            Some(Opening::Client {
                data_sent: true,
                retried,
                ..
            }) if *retried || self.legs.is_empty() => SessionError::Interrupted {
                sent: self.send.end(),
            },
            _ => SessionError::NotAGateway("no answer in 5 s"),
        };
        self.fail(error, now);
    }

    /// Something else answered before WELCOME: another path may lead to the gateway all the same
    /// (a captive portal answers for it on one).
    pub(super) fn foreign_answer(
        &mut self,
        leg: LegId,
        role: Role,
        error: SessionError,
        now: Time,
    ) {
        let other = &self.paths[role.other().index()];
        let elsewhere = match &mut self.opening {
            Some(Opening::Client { tried, foreign, .. }) => {
                if let SessionError::NotAGateway(why) = &error {
                    *foreign = Some(*why);
                }
                other.usable() && !tried[role.other().index()]
            }
            _ => false,
        };
        let waiting = self
            .legs
            .iter()
            .any(|leg| leg.phase == Phase::AwaitWelcome && leg.role != role);
        if waiting || (elsewhere && self.may_retry_opening()) {
            self.close_leg(leg, true, crate::event::LegDownReason::Refused);
            self.paths[role.index()].shun(now);
        } else {
            self.fail(error, now);
        }
    }

    /// The last way to a gateway failed after something else had answered.
    pub(super) fn was_foreign(&self) -> bool {
        matches!(
            &self.opening,
            Some(Opening::Client {
                foreign: Some(_),
                ..
            })
        )
    }

    pub(super) fn welcome_deadline(&self) -> Option<Time> {
        match &self.opening {
            Some(Opening::Client { deadline, .. }) if self.keys.is_none() => Some(*deadline),
            _ => None,
        }
    }

    /// Client: a leg ended before WELCOME.
    pub(super) fn opening_leg_ended(&mut self, in_order: bool, now: Time) {
        if let Some(Opening::Client { silent_ends, .. }) = &mut self.opening {
            *silent_ends += u32::from(in_order);
            if *silent_ends >= 2 {
                let error = SessionError::NotAGateway("it closed the connection");
                return self.fail(error, now);
            }
        }
        if self.legs.is_empty() && !self.may_retry_opening() {
            let sent = self.send.end();
            self.fail(SessionError::Interrupted { sent }, now);
        }
    }

    /// Client: the gateway's preamble on a leg that sent HELLO.
    pub(super) fn take_welcome(
        &mut self,
        leg: LegId,
        whole: &[u8],
        now: Time,
    ) -> Result<(), SessionError> {
        let split = whole.len() - MAC_LEN.min(whole.len());
        let (signed, mac) = whole.split_at(split);
        let body = signed.get(preamble::HEADER_LEN..).unwrap_or_default();
        let welcome = Welcome::parse(body).map_err(|WireError(why)| SessionError::Protocol(why))?;
        if self.keys.is_none() {
            let Some(Opening::Client {
                ephemeral, base, ..
            }) = &self.opening
            else {
                return Err(SessionError::Protocol("WELCOME out of state"));
            };
            if self.pin.is_some() && !welcome.pinned {
                return Err(SessionError::PinMismatch);
            }
            let pin = self.pin.as_ref().filter(|_| welcome.pinned);
            let transcript = sha256(&[base, signed]);
            let keys = Keys::client(ephemeral, &welcome.gateway_key, pin, &transcript)
                .ok_or(SessionError::Protocol("weak key of the gateway"))?;
            if !same(&keys.confirm(&transcript), mac) {
                return Err(match self.pin {
                    Some(_) => SessionError::PinMismatch,
                    None => SessionError::Protocol("WELCOME was altered"),
                });
            }
            self.keys = Some(keys);
            self.id = Some(welcome.session);
            self.peer_limit = self.peer_limit.max(u64::from(welcome.window));
            self.ttl = self
                .ttl
                .min(Duration::from_secs(welcome.ttl_s.max(1).into()));
            self.join_addresses = welcome.join_addresses;
            self.established = true;
            self.opening = None;
            self.emit(Event::Established);
        } else if self.id != Some(welcome.session) {
            // A gateway that was restarted in between: that leg belongs to nobody.
            self.close_leg(leg, true, crate::event::LegDownReason::Refused);
            return Ok(());
        }
        self.leg_up(leg, now);
        Ok(())
    }

    /// Where the gateway wants further legs to go; empty if it has not said so (yet).
    #[must_use]
    pub fn join_addresses(&self) -> &[JoinAddress] {
        &self.join_addresses
    }

    pub(super) fn dial_target(&self) -> DialTarget {
        if self.join_addresses.is_empty() || self.keys.is_none() {
            DialTarget::Original
        } else {
            DialTarget::Announced(self.join_addresses.clone())
        }
    }

    /// Takes the peer's preamble off the front of what came in. `Ok(None)`: not whole yet.
    pub(super) fn cut_preamble(
        opening: &mut BytesMut,
        data: &mut Bytes,
    ) -> Result<Option<(preamble::Header, Bytes)>, SessionError> {
        let take = |opening: &mut BytesMut, data: &mut Bytes, upto: usize| {
            let n = upto.saturating_sub(opening.len()).min(data.len());
            opening.extend_from_slice(&data[..n]);
            data.advance(n);
        };
        take(opening, data, preamble::HEADER_LEN);
        let header = match preamble::sniff(opening, &preamble::GATEWAY_MAGIC) {
            preamble::Sniff::Incomplete => return Ok(None),
            preamble::Sniff::Foreign => {
                return Err(SessionError::NotAGateway("it answered something else"));
            }
            preamble::Sniff::Header(header) => header,
        };
        if header.body_len > preamble::MAX_BODY {
            return Err(SessionError::Protocol("preamble too long"));
        }
        let whole = preamble::HEADER_LEN + header.body_len;
        take(opening, data, whole);
        if opening.len() < whole {
            return Ok(None);
        }
        Ok(Some((header, std::mem::take(opening).freeze())))
    }
}
