//! Two ends, two paths and a clock, all virtual: legs are reliable ordered pipes with delay, rate,
//! loss (which delays, as TCP repairs it) and holes (which hold everything back).
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod app;
mod faults;
mod gateway;
mod net;
pub(crate) mod plans;
mod pump;
mod rng;

use std::time::Duration;

use bytes::Bytes;
use twinpath_proto::{
    ClientConfig, DialError, Directory, DirectoryConfig, Event, GatewayConfig, Role, Session, Time,
};

pub(crate) use app::App;
pub(crate) use net::{Conn, Link, Queue, What};
pub(crate) use rng::Rng;

pub(crate) const CLIENT: usize = 0;
pub(crate) const GATEWAY: usize = 1;

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
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
        let rtt = self.links[role.index()].delay * 2;
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
                let link = &self.links[self.conns[at].role.index()];
                if link.holds(to) {
                    self.conns[at].held[to].push_back(What::Bytes { to, bytes });
                    return;
                }
                self.conns[at].in_flight[to] -= bytes.len();
                self.deliver(at, to, bytes);
            }
            What::End { to, end } => {
                let link = &self.links[self.conns[at].role.index()];
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
                if self.dials[role.index()] != Some(id) {
                    return;
                }
                self.dials[role.index()] = None;
                let link = &self.links[role.index()];
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
