//! The gateway's book of sessions: who a HELLO or a JOIN belongs to.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::error::Refusal;
use crate::session::Session;
use crate::time::Time;
use crate::types::SessionId;
use crate::wire::hello::Hello;
use crate::wire::join::Join;
use crate::wire::preamble;

pub use crate::session::close::Tombstone;

/// What the book may hold.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryConfig {
    /// Sessions at a time. Default 10,000.
    pub max_sessions: usize,
    /// How long an ended session is remembered. Default 60 s.
    pub tombstone_ttl: Duration,
    /// No other gateway answers at this address: a repeated HELLO whose first copy was never seen
    /// may then begin the session, if this gateway was up when the first copy left. False behind a
    /// load balancer, where another gateway may have the session.
    pub alone: bool,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self {
            max_sessions: 10_000,
            tombstone_ttl: crate::config::DEFAULT_TTL,
            alone: true,
        }
    }
}

/// What to do with a HELLO.
#[derive(Debug)]
pub enum HelloRoute<H> {
    /// Make a session of it.
    New,
    /// Give it to `accept_retry` of that session.
    Retry(H),
    /// Write these bytes, close for writing, read to the end, close.
    Refuse(Bytes, Refusal),
}

/// What to do with a JOIN.
#[derive(Debug)]
pub enum JoinRoute<H> {
    /// Give it to `accept_join` of that session.
    Session(H),
    /// Write these bytes, close for writing, read to the end, close.
    Reply(Bytes, Refusal),
    /// Close without a word.
    Silent,
}

/// A gateway remembers at most this many ended sessions per session that it may hold.
const TOMBSTONES_PER_SESSION: usize = 4;
/// Clocks of client and gateway may drift apart this much within a handshake.
const AGE_SLACK: Duration = Duration::from_secs(1);

/// Sessions by id and by client key, and what is left of ended ones.
#[derive(Debug)]
pub struct Directory<H> {
    config: DirectoryConfig,
    started: Time,
    sessions: HashMap<SessionId, (H, [u8; 32])>,
    keys: HashMap<[u8; 32], SessionId>,
    tombstones: HashMap<SessionId, Tombstone>,
    /// In the order in which they expire; the key of a client whose HELLO must not begin anew.
    expiry: VecDeque<(Time, SessionId, [u8; 32])>,
}

impl<H: Clone> Directory<H> {
    /// An empty book of a gateway that starts at `now`.
    pub fn new(config: DirectoryConfig, now: Time) -> Self {
        Self {
            config,
            started: now,
            sessions: HashMap::new(),
            keys: HashMap::new(),
            tombstones: HashMap::new(),
            expiry: VecDeque::new(),
        }
    }

    /// Sessions at the moment.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// No session at the moment.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The handles of all sessions.
    pub fn handles(&self) -> impl Iterator<Item = &H> {
        self.sessions.values().map(|(handle, _)| handle)
    }

    /// Whose HELLO this is. Never makes a second session with the data of a first.
    pub fn hello(&mut self, hello: &Hello, now: Time) -> HelloRoute<H> {
        self.handle_timeout(now);
        let refuse = |why| HelloRoute::Refuse(preamble::refused(why), why);
        if let Some(id) = self.keys.get(&hello.client_key) {
            return match (self.sessions.get(id), &hello.retry) {
                (Some((handle, _)), Some(_)) => HelloRoute::Retry(handle.clone()),
                _ => refuse(Refusal::Retry),
            };
        }
        if let Some(retry) = &hello.retry {
            let age = Duration::from_millis(retry.age_ms.into()) + AGE_SLACK;
            let was_up = now.saturating_since(self.started) >= age;
            if retry.data_sent && !(self.config.alone && was_up) {
                return refuse(Refusal::UnknownSession);
            }
        }
        if self.sessions.len() >= self.config.max_sessions {
            return refuse(Refusal::Busy);
        }
        HelloRoute::New
    }

    /// Whose JOIN this is.
    pub fn join(&mut self, join: &Join, now: Time) -> JoinRoute<H> {
        self.handle_timeout(now);
        if let Some((handle, _)) = self.sessions.get(&join.session) {
            return JoinRoute::Session(handle.clone());
        }
        match self.tombstones.get(&join.session) {
            Some(tombstone) => match tombstone.answer(join) {
                Some(bytes) => JoinRoute::Reply(bytes, Refusal::Closed),
                None => JoinRoute::Silent,
            },
            None => JoinRoute::Reply(
                preamble::refused(Refusal::UnknownSession),
                Refusal::UnknownSession,
            ),
        }
    }

    /// Enters a session that was made of `hello`.
    pub fn insert(&mut self, session: &Session, hello: &Hello, handle: H) {
        if let Some(id) = session.session_id() {
            self.sessions.insert(id, (handle, hello.client_key));
            self.keys.insert(hello.client_key, id);
        }
    }

    /// Strikes out a session that ended; with a tombstone if it ended in good order.
    pub fn remove(&mut self, id: SessionId, tombstone: Option<Tombstone>, now: Time) {
        let Some((_, key)) = self.sessions.remove(&id) else {
            return;
        };
        // The key stays for as long: a late copy of its HELLO must not begin a second session.
        self.expiry
            .push_back((now + self.config.tombstone_ttl, id, key));
        if let Some(tombstone) = tombstone {
            self.tombstones.insert(id, tombstone);
        }
        self.handle_timeout(now);
    }

    /// Forgets what is old enough.
    pub fn handle_timeout(&mut self, now: Time) {
        let most = self
            .config
            .max_sessions
            .saturating_mul(TOMBSTONES_PER_SESSION);
        while let Some((at, id, key)) = self.expiry.front().copied() {
            if at > now && self.expiry.len() <= most {
                break;
            }
            self.expiry.pop_front();
            self.tombstones.remove(&id);
            self.keys.remove(&key);
        }
    }
}
