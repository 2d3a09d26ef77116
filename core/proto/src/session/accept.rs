//! The gateway's half of the first flight: a HELLO is answered, or a repeated one attached.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Session;
use super::join::JoinError;
use super::open::Opening;
use crate::config::GatewayConfig;
use crate::crypto::{Ephemeral, Keys, same, sha256};
use crate::error::Refusal;
use crate::event::Event;
use crate::leg::Phase;
use crate::time::Time;
use crate::types::{LegId, Role, SessionId};
use crate::wire::hello::{Hello, Welcome};
use crate::wire::preamble;

/// Why a gateway could not make a session of a HELLO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The client wants a proof of a key that this gateway does not have.
    #[error("the client pins a key, but the gateway has none")]
    NoStaticKey,
    /// The client's key is of low order.
    #[error("the client's key is not acceptable")]
    WeakKey,
}

impl AcceptError {
    /// What to write before closing; `None`: close without a word.
    pub fn reply(self) -> Option<Bytes> {
        match self {
            Self::NoStaticKey => Some(preamble::refused(Refusal::NoStaticKey)),
            Self::WeakKey => None,
        }
    }
}

impl Session {
    /// Gateway: makes a session of a HELLO. What stood behind the HELLO is handed in by
    /// `leg_received`. `seed` is secret, random and used once.
    ///
    /// # Errors
    /// The HELLO cannot be answered; see [`AcceptError::reply`].
    pub fn gateway(
        config: &GatewayConfig,
        hello: &Hello,
        seed: [u8; 32],
        rtt: Option<Duration>,
        now: Time,
    ) -> Result<(Self, LegId), AcceptError> {
        let mut session = Self::gateway_side(config, seed, now);
        let key = match (&config.static_key, hello.pin) {
            (None, true) => return Err(AcceptError::NoStaticKey),
            (Some(key), true) => Some(key),
            (_, false) => None,
        };
        session.service = hello.service;
        session.standby = hello.standby;
        session.ttl = session
            .ttl
            .min(Duration::from_secs(hello.ttl_s.max(1).into()));
        session.peer_limit = hello.window.into();
        session.credit = hello.credit;
        session.active = hello.role();
        let ephemeral = Ephemeral::new(session.entropy.draw());
        let id = SessionId(session.entropy.draw());
        let welcome = Welcome {
            session: id,
            gateway_key: ephemeral.public(),
            window: u32::try_from(session.recv.limit()).unwrap_or(u32::MAX),
            ttl_s: u32::try_from(session.ttl.as_secs()).unwrap_or(u32::MAX),
            pinned: key.is_some(),
            join_addresses: session.join_addresses.clone(),
        };
        let mut bytes: BytesMut = welcome.encode();
        let transcript = sha256(&[&hello.base, &bytes]);
        let keys = Keys::gateway(&ephemeral, &hello.client_key, key, &transcript)
            .ok_or(AcceptError::WeakKey)?;
        bytes.extend_from_slice(&keys.confirm(&transcript));
        let bytes = bytes.freeze();
        session.id = Some(id);
        session.keys = Some(keys);
        session.join_addresses = Vec::new();
        session.established = true;
        session.opening = Some(Opening::Gateway {
            retry_hash: hello.retry_hash,
            retried: hello.retry.is_some(),
            welcome: bytes.clone(),
        });
        let leg = session.welcome_leg(hello.role(), &bytes, rtt, now);
        session.emit(Event::Established);
        session.settle(now);
        Ok((session, leg))
    }

    /// Gateway: attaches a repeated HELLO, whose secret is checked here, as a leg.
    ///
    /// # Errors
    /// The secret is wrong, or was used before.
    pub fn accept_retry(
        &mut self,
        hello: &Hello,
        rtt: Option<Duration>,
        now: Time,
    ) -> Result<LegId, JoinError> {
        self.observe(now);
        let (
            Some(retry),
            Some(Opening::Gateway {
                retry_hash,
                retried,
                welcome,
            }),
        ) = (&hello.retry, &mut self.opening)
        else {
            return Err(JoinError::Retry);
        };
        if *retried || self.closed.is_some() || !same(&sha256(&[&retry.secret]), retry_hash) {
            return Err(JoinError::Retry);
        }
        *retried = true;
        let welcome = welcome.clone();
        let leg = self.welcome_leg(hello.role(), &welcome, rtt, now);
        self.settle(now);
        Ok(leg)
    }

    fn welcome_leg(
        &mut self,
        role: Role,
        welcome: &Bytes,
        rtt: Option<Duration>,
        now: Time,
    ) -> LegId {
        let leg = self.add_leg(role, Phase::Up, rtt, now);
        let first_ping = u32::from_le_bytes(self.entropy.draw());
        self.leg_mut(leg, |leg| {
            leg.control.extend_from_slice(welcome);
            // Its answer proves the client where the service does not speak first; it cannot be
            // given by one that does not read.
            leg.count_pings_from(first_ping);
            leg.measure(now);
        });
        self.leg_up(leg, now);
        leg
    }

    /// Gateway: the client has shown that it reads what this end sends: by a JOIN, a PONG, or an ACK
    /// of what has left. It will not retry.
    pub(super) fn opening_done(&mut self) {
        if matches!(self.opening, Some(Opening::Gateway { .. })) {
            self.opening = None;
        }
    }
}
