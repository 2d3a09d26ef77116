//! Two ends, two paths and a clock, all virtual: legs are reliable ordered pipes with delay, rate,
//! loss (which delays, as TCP repairs it) and holes (which hold everything back).
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod app;
mod net;
pub(crate) mod plans;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use twinpath_proto::{
    Action, ClientConfig, DialError, Directory, DirectoryConfig, Event, FirstFlight, GatewayConfig,
    HelloRoute, JoinRoute, LegEnd, LegId, Role, Session, Time,
};

pub(crate) use app::App;
pub(crate) use net::{Conn, Link, Queue, What};

pub(crate) const CLIENT: usize = 0;
pub(crate) const GATEWAY: usize = 1;

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A small deterministic generator.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n.max(1)
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        ((self.next() >> 11) as f64 / (1u64 << 53) as f64) < p
    }
}

pub(crate) struct Sim {
    pub(crate) now: Time,
    pub(crate) start: Time,
    pub(crate) client: Session,
    pub(crate) gateway: Option<Session>,
    pub(crate) directory: Directory<()>,
    pub(crate) gateway_config: GatewayConfig,
    pub(crate) links: [Link; 2],
    pub(crate) conns: Vec<Conn>,
    pub(crate) queue: Queue,
    pub(crate) apps: [App; 2],
    pub(crate) events: [Vec<(Time, Event)>; 2],
    pub(crate) dials: [Option<u64>; 2],
    pub(crate) rng: Rng,
    /// Sessions that the gateway made: more than one would deliver data twice.
    pub(crate) sessions_made: u32,
    /// No gateway, but something that answers with this.
    pub(crate) impostor: Option<&'static [u8]>,
    /// The gateway was restarted and remembers nothing.
    pub(crate) gateway_gone: bool,
    steps_in_instant: u32,
}

impl Sim {
    /// 20/60 ms, 50/20 Mbit/s.
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self::with_gateway(config, GatewayConfig::default(), 1)
    }

    pub(crate) fn with_gateway(
        config: ClientConfig,
        gateway_config: GatewayConfig,
        seed: u64,
    ) -> Self {
        let start = Time::from_micros(3_600_000_000);
        let mut secret = [7; 32];
        secret[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            now: start,
            start,
            client: Session::client(config, secret, start),
            gateway: None,
            directory: Directory::new(DirectoryConfig::default(), Time::from_micros(0)),
            gateway_config,
            links: [Link::new(ms(10), 6_250_000), Link::new(ms(30), 2_500_000)],
            conns: Vec::new(),
            queue: Queue::default(),
            apps: [App::default(), App::default()],
            events: [Vec::new(), Vec::new()],
            dials: [None, None],
            rng: Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            sessions_made: 0,
            impostor: None,
            gateway_gone: false,
            steps_in_instant: 0,
        }
    }

    /// Opens the first leg on that path at once, as a connector does after its race.
    pub(crate) fn open(&mut self, role: Role) {
        self.connected(role);
        self.pump_all();
    }

    fn connected(&mut self, role: Role) {
        let rtt = self.links[index(role)].delay * 2;
        let leg = self.client.leg_opened(role, Some(rtt), self.now);
        self.conns.push(Conn::new(role, leg));
    }

    fn session(&mut self, end: usize) -> Option<&mut Session> {
        match end {
            CLIENT => Some(&mut self.client),
            _ => self.gateway.as_mut(),
        }
    }

    /// Runs until `until` after the start, or until nothing is left to happen.
    pub(crate) fn run_until(&mut self, until: Duration) {
        let until = self.start + until;
        loop {
            self.pump_all();
            let timers = [
                self.client.poll_timeout(),
                self.gateway.as_ref().and_then(Session::poll_timeout),
            ];
            let timer = timers.into_iter().flatten().min();
            let app = self.apps.iter().filter_map(|app| app.next_at).min();
            let Some(next) = [timer, app, self.queue.next_at()]
                .into_iter()
                .flatten()
                .min()
            else {
                break;
            };
            if next > until {
                break;
            }
            if next <= self.now {
                self.steps_in_instant += 1;
                assert!(
                    self.steps_in_instant < 100_000,
                    "time stands still at {:?}, timers {timers:?}, app {app:?}",
                    self.now
                );
            } else {
                self.steps_in_instant = 0;
                self.now = next;
            }
            if timers[0].is_some_and(|at| at <= self.now) {
                self.client.handle_timeout(self.now);
            }
            if timers[1].is_some_and(|at| at <= self.now) {
                if let Some(gateway) = &mut self.gateway {
                    gateway.handle_timeout(self.now);
                }
            }
            for end in [CLIENT, GATEWAY] {
                self.run_app(end);
            }
            while let Some((conn, what)) = self.queue.pop(self.now) {
                self.happen(conn, what);
                self.pump_all();
            }
        }
        self.now = self.now.max(until);
        self.pump_all();
    }

    fn run_app(&mut self, end: usize) {
        let now = self.now;
        let mut app = std::mem::take(&mut self.apps[end]);
        if let Some(session) = self.session(end) {
            app.run(session, end, now);
        } else {
            app.next_at = None;
        }
        self.apps[end] = app;
    }

    fn happen(&mut self, at: usize, what: What) {
        let now = self.now;
        match what {
            What::Bytes { to, bytes } => {
                let link = &self.links[index(self.conns[at].role)];
                if link.holds(to) {
                    self.conns[at].held[to].push_back(What::Bytes { to, bytes });
                    return;
                }
                self.conns[at].in_flight[to] -= bytes.len();
                self.deliver(at, to, bytes);
            }
            What::End { to, end } => {
                let link = &self.links[index(self.conns[at].role)];
                if link.holds(to) {
                    self.conns[at].held[to].push_back(What::End { to, end });
                    return;
                }
                let leg = self.conns[at].legs[to].take();
                if let (Some(leg), Some(session)) = (leg, self.session(to)) {
                    session.leg_closed(leg, end, now);
                }
            }
            What::Dialled { role, id } => {
                if self.dials[index(role)] != Some(id) {
                    return;
                }
                self.dials[index(role)] = None;
                let link = &self.links[index(role)];
                if link.is_open() {
                    self.connected(role);
                } else {
                    self.client.dial_failed(role, DialError::TimedOut, now);
                }
            }
        }
    }

    fn deliver(&mut self, at: usize, to: usize, bytes: Bytes) {
        let now = self.now;
        if let Some(leg) = self.conns[at].legs[to] {
            if let Some(session) = self.session(to) {
                session.leg_received(leg, bytes, now);
            }
            return;
        }
        if to == CLIENT || self.conns[at].closed[GATEWAY] {
            return;
        }
        self.accept(at, bytes);
    }

    /// What a gateway does with the first bytes of a connection.
    fn accept(&mut self, at: usize, bytes: Bytes) {
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
        let rtt = Some(self.links[index(self.conns[at].role)].delay * 2);
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

    fn turn_away(&mut self, at: usize, reply: Option<Bytes>) {
        if let Some(bytes) = reply {
            self.send(at, CLIENT, bytes);
        }
        self.conns[at].closed[GATEWAY] = true;
        self.end(at, CLIENT, LegEnd::Eof);
    }

    fn send(&mut self, at: usize, to: usize, bytes: Bytes) {
        let conn = &mut self.conns[at];
        let link = &mut self.links[index(conn.role)];
        conn.in_flight[to] += bytes.len();
        let late = link.late(&mut self.rng);
        let due = link.due(self.now, to, bytes.len()) + late;
        if link.loss > 0.0 {
            let bound = self.queue.repair(self.now, at, to, link.delay);
            conn.last_due[to] = conn.last_due[to].min(bound);
        }
        let due = due.max(conn.last_due[to]);
        conn.last_due[to] = due;
        self.queue.push(due, at, What::Bytes { to, bytes });
    }

    fn end(&mut self, at: usize, to: usize, end: LegEnd) {
        let conn = &mut self.conns[at];
        let due = (self.now + self.links[index(conn.role)].delay).max(conn.last_due[to]);
        conn.last_due[to] = due;
        self.queue.push(due, at, What::End { to, end });
    }

    /// Carries out what both sessions ask for until they ask for nothing more.
    pub(crate) fn pump_all(&mut self) {
        for _ in 0..10_000 {
            let client = self.pump(CLIENT);
            let gateway = self.pump(GATEWAY);
            if !client && !gateway {
                return;
            }
        }
        panic!("the ends never come to rest at {:?}", self.now);
    }

    fn pump(&mut self, end: usize) -> bool {
        let now = self.now;
        let mut busy = false;
        self.run_app(end);
        for at in 0..self.conns.len() {
            let Some(leg) = self.conns[at].legs[end] else {
                continue;
            };
            let room = self.conns[at]
                .socket
                .saturating_sub(self.conns[at].in_flight[1 - end]);
            if room == 0 {
                continue;
            }
            busy |= self.transmit(at, end, leg, room) > 0;
        }
        while let Some(action) = self.session(end).and_then(Session::poll_action) {
            busy = true;
            self.act(end, action);
        }
        while let Some(event) = self.session(end).and_then(Session::poll_event) {
            self.events[end].push((now, event));
        }
        self.reap(end);
        busy
    }

    /// A gateway keeps a book of what has ended.
    fn reap(&mut self, end: usize) {
        if end == GATEWAY && self.gateway.as_ref().is_some_and(Session::is_closed) {
            let session = self.gateway.as_ref().unwrap();
            let tombstone = matches!(session.result(), Some(Ok(())))
                .then(|| session.tombstone())
                .flatten();
            self.directory
                .remove(session.session_id().unwrap(), tombstone, self.now);
        }
    }

    fn transmit(&mut self, at: usize, end: usize, leg: LegId, room: usize) -> usize {
        let now = self.now;
        let mut out = VecDeque::new();
        let max = room.min(32 * 1024);
        let n = self
            .session(end)
            .map_or(0, |session| session.poll_transmit(leg, max, &mut out, now));
        let whole: Vec<u8> = out.iter().flat_map(|piece| piece.iter().copied()).collect();
        assert_eq!(n, whole.len());
        // Cut anywhere, as TCP does.
        let mut whole = Bytes::from(whole);
        while !whole.is_empty() {
            let cut = match self.rng.below(4) {
                0 => 1 + self.rng.below(40) as usize,
                _ => 1448 * (1 + self.rng.below(3) as usize),
            };
            let piece = whole.split_to(cut.min(whole.len()));
            self.send(at, 1 - end, piece);
        }
        n
    }

    fn act(&mut self, end: usize, action: Action) {
        match action {
            Action::Dial { role, .. } => {
                assert_eq!(end, CLIENT);
                assert!(self.dials[index(role)].is_none(), "two dials on one path");
                let id = self.rng.next();
                self.dials[index(role)] = Some(id);
                let link = &self.links[index(role)];
                let wait = if link.is_open() {
                    link.delay * 2
                } else {
                    ms(5000)
                };
                self.queue
                    .push(self.now + wait, 0, What::Dialled { role, id });
            }
            Action::CancelDial { role } => self.dials[index(role)] = None,
            Action::Close { leg, abort } => {
                let Some(at) = self
                    .conns
                    .iter()
                    .position(|conn| conn.legs[end] == Some(leg))
                else {
                    return;
                };
                if !abort {
                    while self.transmit(at, end, leg, 32 * 1024) > 0 {}
                }
                self.conns[at].legs[end] = None;
                self.conns[at].closed[end] = true;
                let how = if abort { LegEnd::Reset } else { LegEnd::Eof };
                self.end(at, 1 - end, how);
            }
        }
    }

    // ---- faults ----

    /// Nothing passes: up, down. What TCP holds is delivered when it heals.
    pub(crate) fn hole(&mut self, role: Role, up: bool, down: bool) {
        let link = &mut self.links[index(role)];
        link.hole = [down, up];
        let held: Vec<usize> = (0..self.conns.len())
            .filter(|at| self.conns[*at].role == role)
            .collect();
        for at in held {
            for to in [CLIENT, GATEWAY] {
                if self.links[index(role)].holds(to) {
                    continue;
                }
                let mut held = std::mem::take(&mut self.conns[at].held[to]);
                if !held.is_empty() {
                    // What was sent later arrives later.
                    held.extend(self.queue.take(at, to));
                }
                for what in held {
                    // TCP's own retransmission timer.
                    let due = (self.now + ms(150)).max(self.conns[at].last_due[to]);
                    self.conns[at].last_due[to] = due;
                    self.queue.push(due, at, what);
                }
            }
        }
    }

    pub(crate) fn blackhole(&mut self, role: Role) {
        self.hole(role, true, true);
    }

    pub(crate) fn heal(&mut self, role: Role) {
        self.hole(role, false, false);
    }

    /// Every leg of that path is reset, at both ends, and what is in flight is lost.
    pub(crate) fn reset_legs(&mut self, role: Role) {
        for at in 0..self.conns.len() {
            if self.conns[at].role != role {
                continue;
            }
            self.queue.forget(at);
            for end in [CLIENT, GATEWAY] {
                self.conns[at].closed[end] = true;
                let leg = self.conns[at].legs[end].take();
                let now = self.now;
                if let (Some(leg), Some(session)) = (leg, self.session(end)) {
                    session.leg_closed(leg, LegEnd::Reset, now);
                }
            }
        }
        self.pump_all();
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

    // ---- what happened ----

    pub(crate) fn count(&self, end: usize, matches: impl Fn(&Event) -> bool) -> usize {
        self.events[end]
            .iter()
            .filter(|(_, event)| matches(event))
            .count()
    }

    pub(crate) fn switches(&self) -> usize {
        let of = |end| {
            self.count(end, |e| {
                matches!(e, Event::Failover { .. } | Event::Failback { .. })
            })
        };
        of(CLIENT) + of(GATEWAY)
    }

    pub(crate) fn assert_whole(&self) {
        for end in [CLIENT, GATEWAY] {
            let got = self.apps[end].read;
            let sent = self.apps[1 - end].written;
            assert_eq!(got, sent, "end {end} read {got} of {sent}");
        }
    }
}

pub(crate) fn index(role: Role) -> usize {
    match role {
        Role::Primary => 0,
        Role::Backup => 1,
    }
}
