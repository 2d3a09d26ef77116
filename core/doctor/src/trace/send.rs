//! Sending the probes and collecting what is said of them.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twinpath_socket::raw::{Carried, RawPackets};

use super::hop::{Hop, Observation, Trace};
use crate::packet::{Ask, Packet, Probe, compare, ip_header, segment, understand};
use crate::probe::{Flow, random};

/// Each hop is asked once in this time: more than a second, the limit that Linux sets itself.
const ROUND: Duration = Duration::from_millis(1100);
/// Between two probes, so that a burst fills no queue.
const APART: Duration = Duration::from_millis(5);
/// So many hops at once until the server is reached.
const BATCH: u8 = 10;
/// In which a batch must say something for the next to be sent.
const SETTLE: Duration = Duration::from_millis(400);
/// The sequence numbers of the hops are so far from each other that no window covers two.
const STEP: u32 = 1 << 24;
/// What IP allows is 255, but nothing is farther than this.
pub(super) const FARTHEST: u8 = 40;

/// One flow of packets, traced with probes of any kind.
#[derive(Debug)]
pub struct Tracer<'a> {
    packets: &'a RawPackets,
    source: SocketAddr,
    /// Each probe would open a connection.
    opens: bool,
    server_at: Option<u8>,
    _flow: Option<Flow>,
}

impl<'a> Tracer<'a> {
    /// By SYNs of a flow, each of which is taken back.
    #[must_use]
    pub fn of(packets: &'a RawPackets, flow: &Flow) -> Self {
        Self {
            packets,
            source: SocketAddr::new(packets.source(), flow.port()),
            opens: true,
            server_at: None,
            _flow: Some(flow.clone()),
        }
    }

    /// Within a connection that is open, from its `local` end: by what a server's SYN-ACK is like, or a later segment. Who
    /// gets one of them to the end ignores it. `server_at` is how far away the other end is, if that is known.
    #[must_use]
    pub const fn within(packets: &'a RawPackets, local: SocketAddr, server_at: Option<u8>) -> Self {
        Self {
            packets,
            source: local,
            opens: false,
            server_at,
            _flow: None,
        }
    }

    /// Sends probes with rising TTL, `rounds` times, a little over a second each, and reports who says what about them.
    ///
    /// # Errors
    ///
    /// The kernel's, when it sends nothing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves what was accepted to the kernel's RST.
    pub async fn trace(&self, ask: Ask, rounds: u32) -> io::Result<Trace> {
        self.trace_behind(0, ask, rounds).await
    }

    /// The same for the hops behind `hop` alone, and only until the next one has answered.
    ///
    /// # Errors
    ///
    /// As [`trace`](Self::trace).
    ///
    /// # Cancel safety
    ///
    /// As [`trace`](Self::trace).
    pub async fn trace_behind(&self, hop: u8, ask: Ask, rounds: u32) -> io::Result<Trace> {
        Tracing::new(self, hop, ask)?.run(rounds).await
    }
}

struct Tracing<'a> {
    packets: &'a RawPackets,
    opens: bool,
    /// Only hops behind this one are asked.
    behind: u8,
    has_arrived: bool,
    probe: Probe,
    base: u32,
    hops: Vec<Hop>,
    server_at: Option<u8>,
    /// The greatest TTL that was sent.
    sent: u8,
}

impl<'a> Tracing<'a> {
    fn new(tracer: &Tracer<'a>, behind: u8, ask: Ask) -> io::Result<Self> {
        let base = random()?;
        let hop = |ttl| Hop {
            ttl,
            observations: Vec::new(),
        };
        Ok(Self {
            packets: tracer.packets,
            opens: tracer.opens,
            behind,
            has_arrived: false,
            probe: Probe {
                source: tracer.source,
                destination: tracer.packets.peer(),
                seq: base,
                ask,
                ttl: 0,
            },
            base,
            hops: (1..=FARTHEST).map(hop).collect(),
            server_at: tracer.server_at,
            sent: behind,
        })
    }

    async fn run(mut self, rounds: u32) -> io::Result<Trace> {
        for round in 0..rounds {
            let begin = Instant::now();
            self.round(round == 0).await?;
            if self.behind > 0 && self.has_next() {
                break;
            }
            let is_last = round + 1 == rounds;
            // Who has answered in full need not be waited for at the end.
            let limit = if is_last { SETTLE } else { ROUND };
            self.listen(begin + limit, is_last).await?;
        }
        if self.opens {
            // The kernel has sent its own where an answer came. What the server has accepted without that is any of those
            // that no router has answered.
            let answered = self.answered().unwrap_or(self.behind);
            for ttl in answered + 1..=self.sent {
                self.packets.send(&self.at(ttl).reset()).await?;
            }
        }
        Ok(self.conclude())
    }

    /// Whether it is known who is behind those that are not asked.
    fn has_next(&self) -> bool {
        let next = self.hops.get(usize::from(self.behind));
        let has_answered = next.is_some_and(|it| !it.observations.is_empty());
        has_answered || self.server_at == Some(self.behind + 1)
    }

    fn at(&self, ttl: u8) -> Probe {
        Probe {
            seq: self.base.wrapping_add(STEP.wrapping_mul(ttl.into())),
            ttl,
            ..self.probe
        }
    }

    /// One probe for each hop. The first time it is found out how many there are.
    async fn round(&mut self, is_first: bool) -> io::Result<()> {
        if let Some(at) = self.server_at.filter(|_| self.sent == self.behind) {
            self.sent = at.saturating_sub(1);
        }
        if !is_first || self.server_at.is_some() {
            let last = self.server_at.map_or(self.sent, |at| at.saturating_sub(1));
            for ttl in self.behind + 1..=last {
                self.send(ttl).await?;
            }
            return Ok(());
        }
        while self.server_at.is_none() && self.sent < FARTHEST {
            let heard = self.farthest();
            for _ in 0..BATCH {
                if self.server_at.is_some() || self.sent >= FARTHEST {
                    break;
                }
                self.sent += 1;
                self.send(self.sent).await?;
            }
            self.listen(Instant::now() + SETTLE, false).await?;
            // A whole batch of silence: nothing is behind it.
            if self.farthest() == heard {
                break;
            }
        }
        Ok(())
    }

    async fn send(&mut self, ttl: u8) -> io::Result<()> {
        self.packets.send(&self.at(ttl).packet()).await?;
        self.listen(Instant::now() + APART, false).await
    }

    fn farthest(&self) -> Option<u8> {
        self.answered().max(self.server_at)
    }

    /// The farthest router that answered.
    fn answered(&self) -> Option<u8> {
        let mut all = self.hops.iter().rev();
        let heard = all.find(|it| !it.observations.is_empty());
        heard.map(|it| it.ttl)
    }

    async fn listen(&mut self, until: Instant, is_last: bool) -> io::Result<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if is_last && self.is_complete() {
                return Ok(());
            }
            match self.packets.receive(left).await? {
                None => return Ok(()),
                Some(arrived) => {
                    let is_icmp = arrived.protocol == Carried::Icmp;
                    if let Some(packet) = understand(&arrived.bytes, arrived.source, is_icmp) {
                        self.take(&packet);
                    }
                }
            }
        }
    }

    fn is_complete(&self) -> bool {
        let mut asked = self.hops.iter().skip(self.behind.into()).peekable();
        let rounds = asked.peek().map_or(0, |it| it.observations.len());
        self.server_at.is_some_and(|at| {
            asked
                .take_while(|it| it.ttl < at)
                .all(|it| it.observations.len() >= rounds.max(1))
        })
    }

    fn take(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Segment(answer) => {
                if answer.destination != self.probe.source.port() {
                    return;
                }
                let all = self.behind + 1..=self.sent;
                let is_ack = self.opens && answer.flags.is_bare_ack();
                if !(answer.flags.is_syn_ack() || answer.flags.is_reset() || is_ack) {
                    return;
                }
                let mut of = all.filter(|ttl| self.at(*ttl).seq.wrapping_add(1) == answer.ack);
                if let Some(ttl) = of.next() {
                    self.has_arrived |= is_ack;
                    self.server_at = Some(self.server_at.map_or(ttl, |at| at.min(ttl)));
                }
            }
            Packet::Error(error, from) => {
                let is_ours = error.source_port() == self.probe.source.port()
                    || error.destination_port() == self.probe.destination.port();
                if !is_ours || !error.time_exceeded {
                    return;
                }
                // By the number alone: ports may have been translated.
                let Some(ttl) =
                    (self.behind + 1..=self.sent).find(|ttl| self.at(*ttl).seq == error.seq())
                else {
                    return;
                };
                let sent = self.at(ttl).packet();
                let Some((ip, tcp)) = ip_header(&sent) else {
                    return;
                };
                let (Some(syn), Some(window)) = (segment(tcp), tcp.get(14..16)) else {
                    return;
                };
                let window = u16::from_be_bytes([window[0], window[1]]);
                let comparison = compare(&ip, &syn, window, error);
                if let Some(hop) = self.hops.get_mut(usize::from(ttl) - 1) {
                    hop.observations.push(Observation {
                        from: *from,
                        comparison,
                    });
                }
            }
        }
    }

    fn conclude(mut self) -> Trace {
        let known = self
            .server_at
            .map(|at| at.saturating_sub(1))
            .or_else(|| self.farthest());
        self.hops.truncate(known.unwrap_or_default().into());
        Trace {
            hops: self.hops,
            server_at: self.server_at,
            has_arrived: self.has_arrived,
        }
    }
}
