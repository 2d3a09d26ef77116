//! The gateway, as far as it is more than its sessions.

use bytes::Bytes;
use twinpath_proto::{
    Directory, DirectoryConfig, FirstFlight, HelloRoute, JoinRoute, LegEnd, Role, Session,
};

use super::{CLIENT, GATEWAY, Sim};

impl Sim {
    /// What a gateway does with the first bytes of a connection.
    pub(super) fn accept(&mut self, at: usize, bytes: Bytes) {
        let now = self.now;
        self.conns[at].first.extend_from_slice(&bytes);
        let first = self.conns[at].first.clone();
        if let Some(answer) = self.impostor {
            if self.conns[at].first.len() == bytes.len() {
                let answer = if answer == b"echo" {
                    first.into()
                } else {
                    Bytes::from_static(answer)
                };
                self.send(at, CLIENT, answer);
            }
            return;
        }
        let rtt = Some(self.links[self.conns[at].role.index()].delay * 2);
        let (leg, consumed) = match FirstFlight::parse(&first) {
            FirstFlight::Incomplete => return,
            FirstFlight::Hello { hello, consumed } => match self.directory.hello(&hello, now) {
                // The client has left it: a session of its own, which nobody will ever join.
                HelloRoute::New if self.conns[at].legs[CLIENT].is_none() => {
                    return self.turn_away(at, None);
                }
                HelloRoute::New => {
                    let seed = [self.sessions_made as u8 + 100; 32];
                    let (session, leg) =
                        Session::gateway(&self.gateway_config, &hello, seed, rtt, now).unwrap();
                    self.directory.insert(&session, &hello, ());
                    self.gateway = Some(session);
                    self.gateway_gone = false;
                    self.sessions_made += 1;
                    self.apps[GATEWAY].begin_anew(now);
                    (leg, consumed)
                }
                HelloRoute::Retry(()) => {
                    match self
                        .gateway
                        .as_mut()
                        .unwrap()
                        .accept_retry(&hello, rtt, now)
                    {
                        Ok(leg) => (leg, consumed),
                        Err(error) => return self.turn_away(at, error.reply()),
                    }
                }
                HelloRoute::Refuse(bytes, _) => return self.turn_away(at, Some(bytes)),
            },
            FirstFlight::Join { join, consumed } => match self.directory.join(&join, now) {
                JoinRoute::Session(()) => {
                    match self.gateway.as_mut().unwrap().accept_join(&join, rtt, now) {
                        Ok(leg) => (leg, consumed),
                        Err(error) => return self.turn_away(at, error.reply()),
                    }
                }
                JoinRoute::Reply(bytes, _) => return self.turn_away(at, Some(bytes)),
                JoinRoute::Silent => return self.turn_away(at, None),
            },
            other => panic!("a client sent {other:?}"),
        };
        self.conns[at].legs[GATEWAY] = Some(leg);
        let rest = Bytes::copy_from_slice(&first[consumed..]);
        if !rest.is_empty() {
            self.gateway.as_mut().unwrap().leg_received(leg, rest, now);
        }
    }

    pub(super) fn turn_away(&mut self, at: usize, reply: Option<Bytes>) {
        if let Some(bytes) = reply {
            self.send(at, CLIENT, bytes);
        }
        self.conns[at].closed[GATEWAY] = true;
        self.end(at, CLIENT, LegEnd::Eof);
    }

    /// A gateway keeps a book of what has ended.
    pub(super) fn reap(&mut self, end: usize) {
        if end == GATEWAY && self.gateway.as_ref().is_some_and(Session::is_closed) {
            let session = self.gateway.as_ref().unwrap();
            let tombstone = matches!(session.result(), Some(Ok(())))
                .then(|| session.tombstone())
                .flatten();
            self.directory
                .remove(session.session_id().unwrap(), tombstone, self.now);
        }
    }

    /// The gateway is another process from here on.
    pub(crate) fn restart_gateway(&mut self) {
        for role in Role::ALL {
            for at in 0..self.conns.len() {
                if self.conns[at].role == role {
                    self.conns[at].legs[GATEWAY] = None;
                    if !self.conns[at].closed[GATEWAY] {
                        self.conns[at].closed[GATEWAY] = true;
                        self.end(at, CLIENT, LegEnd::Reset);
                    }
                }
            }
        }
        self.gateway = None;
        self.directory = Directory::new(DirectoryConfig::default(), self.now);
    }
}
