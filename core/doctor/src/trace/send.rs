//! Sending the probes and collecting what is said of them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twinpath_socket::raw::{Carried, RawPackets};

use crate::packet::{Ask, Comparison, Packet, Probe, compare, ip_header, segment, understand};
use crate::probe::random;

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

/// What a hop has said about a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observation {
    /// Who said it.
    pub from: IpAddr,
    /// What differs from what was sent.
    pub comparison: Comparison,
}

/// A hop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Hop {
    /// How many routers away, from 1.
    pub ttl: u8,
    /// What was heard of it, one for each probe that was answered.
    pub observations: Vec<Observation>,
}

impl Hop {
    /// Those who answered, each once: several where packets take turns between paths.
    #[must_use]
    pub fn responders(&self) -> Vec<IpAddr> {
        let mut all: Vec<_> = self.observations.iter().map(|it| it.from).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// What became of the probes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Trace {
    /// From the first router on; those behind the last one that answered are left out.
    pub hops: Vec<Hop>,
    /// How far away the server is, if it answered.
    pub server_at: Option<u8>,
}

/// Sends SYNs with rising TTL, `rounds` times, a little over a second each, and reports who says what about them.
///
/// # Errors
///
/// The kernel's, when it sends nothing.
///
/// # Cancel safety
///
/// Dropping the future leaves what was accepted to the kernel's RST.
pub async fn trace(packets: &RawPackets, ask: Ask, rounds: u32) -> io::Result<Trace> {
    let port = packets.reserve()?;
    let source = SocketAddr::new(packets.source(), port.number());
    let tracing = Tracing::new(packets, source, ask)?;
    tracing.run(rounds, true).await
}

/// The same within a connection that is open, from its `local` end: with what a server's SYN-ACK is like, or a later segment.
/// Who gets one of them to the end ignores it. `server_at` is how far away the other end is, if that is known.
///
/// # Errors
///
/// The kernel's, when it sends nothing.
///
/// # Cancel safety
///
/// Nothing is left behind.
pub async fn trace_within(
    packets: &RawPackets,
    local: SocketAddr,
    ask: Ask,
    server_at: Option<u8>,
    rounds: u32,
) -> io::Result<Trace> {
    let mut tracing = Tracing::new(packets, local, ask)?;
    tracing.server_at = server_at;
    tracing.run(rounds, false).await
}

struct Tracing<'a> {
    packets: &'a RawPackets,
    probe: Probe,
    base: u32,
    hops: Vec<Hop>,
    server_at: Option<u8>,
    /// The greatest TTL that was sent.
    sent: u8,
}

impl<'a> Tracing<'a> {
    fn new(packets: &'a RawPackets, source: SocketAddr, ask: Ask) -> io::Result<Self> {
        let base = random()?;
        let hop = |ttl| Hop {
            ttl,
            observations: Vec::new(),
        };
        Ok(Self {
            packets,
            probe: Probe {
                source,
                destination: packets.peer(),
                seq: base,
                ask,
                ttl: 0,
            },
            base,
            hops: (1..=FARTHEST).map(hop).collect(),
            server_at: None,
            sent: 0,
        })
    }

    async fn run(mut self, rounds: u32, opens: bool) -> io::Result<Trace> {
        for round in 0..rounds {
            let begin = Instant::now();
            self.round(round == 0).await?;
            let is_last = round + 1 == rounds;
            // Who has answered in full need not be waited for at the end.
            let limit = if is_last { SETTLE } else { ROUND };
            self.listen(begin + limit, is_last).await?;
        }
        if opens {
            // Those before it have had the kernel's RST.
            self.packets.send(&self.at(self.sent).reset()).await?;
        }
        Ok(self.conclude())
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
        if let Some(at) = self.server_at.filter(|_| self.sent == 0) {
            self.sent = at.saturating_sub(1);
        }
        if !is_first || self.server_at.is_some() {
            for ttl in 1..=self.server_at.map_or(self.sent, |at| at.saturating_sub(1)) {
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
        let heard = self
            .hops
            .iter()
            .rev()
            .find(|it| !it.observations.is_empty());
        heard.map(|it| it.ttl).max(self.server_at)
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
        let rounds = self.hops.first().map_or(0, |it| it.observations.len());
        self.server_at.is_some_and(|at| {
            let before = self.hops.iter().take_while(|it| it.ttl < at);
            before
                .into_iter()
                .all(|it| it.observations.len() >= rounds.max(1))
        })
    }

    fn take(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Segment(answer) => {
                if answer.destination != self.probe.source.port() {
                    return;
                }
                let all = 1..=self.sent;
                if !(answer.flags.is_syn_ack() || answer.flags.is_reset()) {
                    return;
                }
                let mut of = all.filter(|ttl| self.at(*ttl).seq.wrapping_add(1) == answer.ack);
                if let Some(ttl) = of.next() {
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
                let Some(ttl) = (1..=self.sent).find(|ttl| self.at(*ttl).seq == error.seq()) else {
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
        }
    }
}
