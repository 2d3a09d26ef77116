//! A whole link: two pipes, the faults at their ends, and the books. No clock and no I/O of its own.

mod faults;

use std::time::{Duration, Instant};

use crate::counters::{Counters, DirectionCounters, Drops};
use crate::flows::{Flow, Flows};
use crate::nat::Nat;
use crate::packet::{Packet, Segment};
use crate::pep::Redirect;
use crate::pipe::{Pipe, Refusal};
use crate::spec::{Direction, LinkSpec, Shape, StripHow, StripMode};

use faults::{Faults, refuse};

/// With more than one packet under way, waiting this much longer for the next saves a wake-up each.
const COALESCE: Duration = Duration::from_micros(50);

/// Where packets enter and leave a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Client,
    Server,
    /// The proxy's side towards the client.
    PepNear,
    /// The proxy's side towards the server.
    PepFar,
}

/// The part of a link between the client and the proxy.
#[derive(Debug)]
struct Near {
    up: Pipe,
    down: Pipe,
    redirect: Redirect,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Engine {
    spec: LinkSpec,
    up: Pipe,
    down: Pipe,
    near: Option<Near>,
    up_faults: Faults,
    down_faults: Faults,
    nat: Nat,
    flows: Flows,
    counters: Counters,
    /// Forged packets, which overtake everything.
    outbox: Vec<(Port, Packet)>,
    is_down: bool,
}

impl Engine {
    pub(crate) fn new(spec: LinkSpec, nat: Nat, redirect: Option<Redirect>, seed: u64) -> Self {
        let shape = shape_of(&spec);
        let near = redirect.map(|redirect| {
            let delay = spec
                .pep
                .as_ref()
                .map_or(Duration::ZERO, |pep| pep.near_rtt / 2);
            let shape = Shape {
                delay,
                jitter: Duration::ZERO,
                rate: None,
                queue: 0,
                loss: 0.0,
            };
            Near {
                up: Pipe::new(shape.clone(), seed),
                down: Pipe::new(shape, seed),
                redirect,
            }
        });
        Self {
            up: Pipe::new(shape.clone(), seed),
            down: Pipe::new(shape, seed.rotate_left(32) ^ 1),
            spec,
            near,
            up_faults: Faults::default(),
            down_faults: Faults::default(),
            nat,
            flows: Flows::default(),
            counters: Counters::default(),
            outbox: Vec::new(),
            is_down: false,
        }
    }

    pub(crate) fn spec(&self) -> &LinkSpec {
        &self.spec
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.up.times = self.up.times();
        counters.down.times = self.down.times();
        counters.moved_flows = self.nat.moved_flows();
        counters
    }

    pub(crate) fn backlog(&mut self, now: Instant) -> (usize, usize) {
        (self.up.backlog(now), self.down.backlog(now))
    }

    pub(crate) fn set_spec(&mut self, spec: LinkSpec, now: Instant) {
        let shape = shape_of(&spec);
        self.up.set_shape(shape.clone(), now);
        self.down.set_shape(shape, now);
        self.spec = spec;
    }

    pub(crate) fn reshape(
        &mut self,
        direction: Direction,
        change: impl Fn(&mut Shape),
        now: Instant,
    ) {
        for (pipe, wanted) in [
            (&mut self.up, direction.has_up()),
            (&mut self.down, direction.has_down()),
        ] {
            if wanted {
                let mut shape = pipe.shape().clone();
                change(&mut shape);
                pipe.set_shape(shape, now);
            }
        }
    }

    fn is_pep(&self, flow: &Flow) -> bool {
        self.near
            .as_ref()
            .is_some_and(|near| near.redirect.is_own(flow.client.ip()))
    }

    /// Takes a packet that one end has sent.
    pub(crate) fn ingress(&mut self, port: Port, packet: Packet, now: Instant) {
        let destination = packet.destination_ip();
        // A point-to-point link has nobody to listen to the kernel's multicast chatter.
        if destination.is_multicast() {
            return;
        }
        match port {
            Port::Client => {
                self.counters.up.offered += packet.volume();
                self.note_sent(&packet, true);
                self.enter_at_client(packet, now);
            }
            Port::Server => {
                self.counters.down.offered += packet.volume();
                self.enter_at_server(packet, now);
            }
            Port::PepNear => self.enter_at_pep(packet, now),
            Port::PepFar => {
                self.note_sent(&packet, true);
                self.enter_up(packet, now);
            }
        }
    }

    fn enter_at_client(&mut self, mut packet: Packet, now: Instant) {
        if let Some(near) = self.near.as_mut().filter(|_| packet.is_tcp()) {
            if self.up_faults.blackhole {
                self.counters.up.dropped.blackhole += 1;
                return;
            }
            if self.up_faults.drop_syns && packet.segment().is_some_and(|s| s.is_initial_syn()) {
                self.counters.up.dropped.syn += 1;
                return;
            }
            near.redirect.to_pep(&mut packet);
            // The near part has neither loss nor a queue.
            let _ = near.up.offer(packet, now);
            return;
        }
        self.enter_up(packet, now);
    }

    fn enter_up(&mut self, mut packet: Packet, now: Instant) {
        if self.is_down {
            self.counters.up.dropped.down += 1;
            return;
        }
        if let Some(drop) = refuse(&self.up_faults, &packet) {
            *drop(&mut self.counters.up.dropped) += 1;
            return;
        }
        strip(self.up_faults.strip, &mut packet, &mut self.counters.up);
        let entered = self.up.offer(packet, now);
        book(entered, &mut self.counters.up.dropped);
    }

    fn enter_at_server(&mut self, mut packet: Packet, now: Instant) {
        if self.is_down {
            self.counters.down.dropped.down += 1;
            return;
        }
        if let Some(drop) = refuse(&self.down_faults, &packet) {
            *drop(&mut self.counters.down.dropped) += 1;
            return;
        }
        if !self.nat.inbound(&mut packet) {
            self.counters.down.dropped.nat += 1;
            return;
        }
        self.note_sent(&packet, false);
        strip(self.down_faults.strip, &mut packet, &mut self.counters.down);
        let entered = self.down.offer(packet, now);
        book(entered, &mut self.counters.down.dropped);
    }

    fn enter_at_pep(&mut self, mut packet: Packet, now: Instant) {
        let Some(near) = &mut self.near else {
            return;
        };
        if self.down_faults.blackhole {
            self.counters.down.dropped.blackhole += 1;
            return;
        }
        if near.redirect.to_client(&mut packet) {
            if let Some((flow, segment)) = flow_of(&packet, false) {
                self.flows.sent(flow, false, segment);
            }
            let _ = near.down.offer(packet, now);
        }
    }

    fn note_sent(&mut self, packet: &Packet, by_client: bool) {
        if let Some((flow, segment)) = flow_of(packet, by_client) {
            self.flows.sent(flow, by_client, segment);
        }
    }

    fn note_delivered(&mut self, packet: &Packet, to_client: bool) {
        if let Some((flow, segment)) = flow_of(packet, !to_client) {
            self.flows.delivered(flow, to_client, segment);
        }
    }

    /// The next packet to hand over by `now`, and where.
    pub(crate) fn egress(&mut self, now: Instant) -> Option<(Port, Packet)> {
        if let Some(forged) = self.outbox.pop() {
            return Some(forged);
        }
        while let Some(mut packet) = self.up.take_due(now) {
            self.note_delivered(&packet, false);
            if self.nat.outbound(&mut packet) {
                self.counters.up.delivered += packet.volume();
                return Some((Port::Server, packet));
            }
            self.counters.up.dropped.nat += 1;
        }
        if let Some(packet) = self.down.take_due(now) {
            self.note_delivered(&packet, true);
            if let Some(near) = &self.near {
                if near.redirect.is_own(packet.destination_ip()) {
                    return Some((Port::PepFar, packet));
                }
            }
            self.counters.down.delivered += packet.volume();
            return Some((Port::Client, packet));
        }
        let near = self.near.as_mut()?;
        if let Some(packet) = near.up.take_due(now) {
            return Some((Port::PepNear, packet));
        }
        let packet = near.down.take_due(now)?;
        self.note_delivered(&packet, true);
        self.counters.down.delivered += packet.volume();
        Some((Port::Client, packet))
    }

    /// Corrects the books for a packet that the device at `port` refused.
    pub(crate) fn not_accepted(&mut self, port: Port, packet: &Packet) {
        let direction = match port {
            Port::Client => &mut self.counters.down,
            Port::Server => &mut self.counters.up,
            Port::PepNear | Port::PepFar => return,
        };
        // A forged reset was never counted as delivered.
        if direction.delivered.packets > 0 {
            direction.delivered = direction.delivered - packet.volume();
        }
        direction.dropped.down += 1;
    }

    /// When to look again.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let main = [&self.up, &self.down];
        let near = self.near.iter().flat_map(|near| [&near.up, &near.down]);
        main.into_iter()
            .chain(near)
            .filter_map(|pipe| {
                let slack = if pipe.is_busy() {
                    COALESCE
                } else {
                    Duration::ZERO
                };
                pipe.next_due().map(|due| due + slack)
            })
            .min()
    }
}

/// Each direction of a link as it is from the proxy on, or from end to end.
fn shape_of(spec: &LinkSpec) -> Shape {
    let near = spec.pep.as_ref().map_or(Duration::ZERO, |pep| pep.near_rtt);
    Shape {
        delay: spec.rtt.saturating_sub(near) / 2,
        jitter: spec.jitter,
        rate: spec.rate,
        queue: spec.queue,
        loss: spec.loss,
    }
}

/// The connection a segment belongs to, seen from the client.
fn flow_of(packet: &Packet, from_client: bool) -> Option<(Flow, Segment)> {
    let segment = packet.segment()?;
    let (source, destination) = packet.ends()?;
    let (client, server) = if from_client {
        (source, destination)
    } else {
        (destination, source)
    };
    Some((Flow { client, server }, segment))
}

fn strip(
    (mode, how): (StripMode, StripHow),
    packet: &mut Packet,
    counters: &mut DirectionCounters,
) {
    let Some(segment) = packet.segment() else {
        return;
    };
    let wanted = segment.is_meant_by(mode);
    let stripped = match how {
        _ if !wanted => false,
        StripHow::Overwrite => packet.strip_mptcp(),
        StripHow::Remove => packet.remove_mptcp(),
    };
    if stripped {
        counters.stripped += 1;
    }
}

fn book(entered: Result<(), Refusal>, drops: &mut Drops) {
    match entered {
        Ok(()) => {}
        Err(Refusal::Loss) => drops.loss += 1,
        Err(Refusal::Queue) => drops.queue += 1,
    }
}
