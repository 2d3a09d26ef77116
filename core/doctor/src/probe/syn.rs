//! Asking by SYNs: with MP_CAPABLE, without, and with an MP_JOIN that no server can accept.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twinpath_socket::raw::{Carried, RawPackets};

use super::flow::Flow;
use super::flows::{FlowsTried, MORE};
use crate::packet::{Answer, Ask, Mptcp, Packet, Probe, TTL, mptcp_of, understand};

/// When an unanswered SYN is sent again, after the first. Chance takes all of them on a path that loses 2 % each way
/// once in ten million times.
const AGAIN: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(600),
    Duration::from_millis(1000),
    Duration::from_millis(1500),
    Duration::from_millis(2000),
];
/// When the last one has not been answered either.
const GIVE_UP: Duration = Duration::from_millis(3000);

/// What came back for a SYN.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// The server accepts.
    SynAck(Answer),
    /// Somebody refuses.
    Reset(Answer),
    /// It could not be delivered: the ICMP code, and who says so.
    Undeliverable(u8, IpAddr),
}

/// A SYN, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tried {
    /// The flow that it was of.
    pub flow: Flow,
    /// How often it was sent.
    pub sent: u32,
    /// What came back.
    pub reply: Option<Reply>,
    /// How long after the last one was sent.
    pub after: Duration,
}

impl Tried {
    pub(crate) const fn answer(&self) -> Option<&Answer> {
        match &self.reply {
            Some(Reply::SynAck(answer)) => Some(answer),
            _ => None,
        }
    }

    pub(crate) const fn reset(&self) -> Option<&Answer> {
        match &self.reply {
            Some(Reply::Reset(answer)) => Some(answer),
            _ => None,
        }
    }
}

/// What SYNs have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SynEvidence {
    /// With MP_CAPABLE.
    pub capable: Tried,
    /// Without.
    pub plain: Tried,
    /// With the MP_JOIN of a connection that does not exist, which a server that speaks MPTCP refuses (RFC 8684 §3.2) and
    /// one that does not accepts as a plain SYN.
    pub join: Option<Tried>,
    /// Without, after one with MP_CAPABLE was not answered: whether the path still works.
    pub plain_after: Option<Tried>,
    /// What became of MP_CAPABLE on other flows, if they were tried; [`capable`](Self::capable) is of the one that fares
    /// worst.
    pub flows: Option<FlowsTried>,
}

struct Asking<'a> {
    probe: Probe,
    tried: Tried,
    last: Instant,
    packets: &'a RawPackets,
}

impl<'a> Asking<'a> {
    fn new(packets: &'a RawPackets, flow: Flow, ask: Ask) -> io::Result<Self> {
        Ok(Self {
            probe: Probe {
                source: SocketAddr::new(packets.source(), flow.port()),
                destination: packets.peer(),
                seq: random()?,
                ask,
                ttl: TTL,
            },
            tried: Tried {
                flow,
                sent: 0,
                reply: None,
                after: Duration::ZERO,
            },
            last: Instant::now(),
            packets,
        })
    }

    async fn send(&mut self) -> io::Result<()> {
        self.packets.send(&self.probe.packet()).await?;
        self.tried.sent += 1;
        self.last = Instant::now();
        Ok(())
    }

    /// Whether the packet is an answer to this.
    fn take(&mut self, packet: &Packet<'_>) {
        if self.tried.reply.is_some() {
            return;
        }
        let reply = match packet {
            Packet::Segment(answer) => {
                let is_ours = answer.destination == self.probe.source.port()
                    && answer.ack == self.probe.seq.wrapping_add(1);
                match answer.flags {
                    flags if !is_ours || !(flags.is_syn_ack() || flags.is_reset()) => return,
                    flags if flags.is_reset() => Reply::Reset(answer.clone()),
                    _ => Reply::SynAck(answer.clone()),
                }
            }
            Packet::Error(error, from) => {
                let is_ours = error.source_port() == self.probe.source.port()
                    && error.destination_port() == self.probe.destination.port()
                    && !error.time_exceeded;
                match is_ours {
                    true => Reply::Undeliverable(error.code, *from),
                    false => return,
                }
            }
        };
        self.tried.after = self.last.elapsed();
        self.tried.reply = Some(reply);
    }
}

/// Asks the server by SYNs: 3 s at most if it answers none, 6 s if it answers only those without the option.
///
/// # Errors
///
/// The kernel's, when it sends nothing.
///
/// # Cancel safety
///
/// Dropping the future leaves what was accepted to the kernel's RST.
pub async fn ask_by_syn(packets: &RawPackets) -> io::Result<SynEvidence> {
    let [capable, plain] = ask(packets, [Ask::Capable, Ask::Plain]).await?;
    let mut evidence = SynEvidence {
        capable,
        plain,
        join: None,
        plain_after: None,
        flows: None,
    };
    let is_accepted = evidence.plain.answer().is_some();
    if evidence.capable.answer().is_some() {
        try_to_join(packets, &mut evidence).await?;
    } else if is_accepted {
        // On other ports as well, since a load balancer may have chosen a way that is dead.
        let mut asks = vec![(Ask::Plain, None)];
        asks.push((Ask::Capable, Some(evidence.capable.flow.clone())));
        asks.extend(std::iter::repeat_n((Ask::Capable, None), MORE));
        let mut tried = ask_on(packets, asks).await?.into_iter();
        evidence.plain_after = tried.next();
        let sent = evidence.capable.sent;
        let Some((capable, flows)) = FlowsTried::of(tried.collect()) else {
            return Ok(evidence);
        };
        evidence.capable = capable;
        evidence.capable.sent += sent;
        evidence.flows = Some(flows);
    }
    Ok(evidence)
}

/// Where the answer came without the option: a join on the same flow, which takes the same way.
pub(super) async fn try_to_join(
    packets: &RawPackets,
    evidence: &mut SynEvidence,
) -> io::Result<()> {
    let answer = evidence.capable.answer();
    if answer.is_some_and(|it| mptcp_of(&it.options).is_none()) {
        let (token, nonce) = (random()?, random()?);
        let flow = evidence.capable.flow.clone();
        let tried = ask_on(packets, vec![(Ask::Join { token, nonce }, Some(flow))]).await?;
        evidence.join = tried.into_iter().next();
    }
    Ok(())
}

/// Each on a flow of its own.
pub(crate) async fn ask<const N: usize>(
    packets: &RawPackets,
    asks: [Ask; N],
) -> io::Result<[Tried; N]> {
    let asks = asks.into_iter().map(|it| (it, None)).collect();
    let tried = ask_on(packets, asks).await?;
    let told = tried.try_into();
    told.map_err(|_| io::Error::other("some SYNs were not sent"))
}

/// Each on the flow that is given, or on one of its own.
pub(crate) async fn ask_on(
    packets: &RawPackets,
    asks: Vec<(Ask, Option<Flow>)>,
) -> io::Result<Vec<Tried>> {
    let mut all = Vec::with_capacity(asks.len());
    for (ask, flow) in asks {
        let flow = flow.map_or_else(|| Flow::new(packets), Ok)?;
        let mut asking = Asking::new(packets, flow, ask)?;
        asking.send().await?;
        all.push(asking);
    }
    let begin = Instant::now();
    let mut again = AGAIN.into_iter().peekable();
    while all.iter().any(|it| it.tried.reply.is_none()) {
        let next = again.peek().copied().unwrap_or(GIVE_UP);
        let Some(left) = next.checked_sub(begin.elapsed()) else {
            if again.next().is_none() {
                break;
            }
            for asking in all.iter_mut().filter(|it| it.tried.reply.is_none()) {
                asking.send().await?;
            }
            continue;
        };
        let Some(arrived) = packets.receive(left).await? else {
            continue;
        };
        let is_icmp = arrived.protocol == Carried::Icmp;
        if let Some(packet) = understand(&arrived.bytes, arrived.source, is_icmp) {
            all.iter_mut().for_each(|it| it.take(&packet));
        }
    }
    for asking in &all {
        // The kernel has sent one already where an answer came; where none did, the SYN may have opened something.
        packets.send(&asking.probe.reset()).await?;
    }
    Ok(all.into_iter().map(|it| it.tried).collect())
}

/// Whether a SYN-ACK accepts MPTCP version 1.
pub(crate) fn accepts(answer: &Answer) -> bool {
    matches!(
        mptcp_of(&answer.options),
        Some(Mptcp::Capable {
            version: 1,
            key: Some(_),
            ..
        })
    )
}

/// A number that nobody can guess, so that nobody can answer in the server's place.
///
/// # Errors
///
/// When the system has no randomness to give.
pub fn random() -> io::Result<u32> {
    getrandom::u32().map_err(|error| io::Error::other(error.to_string()))
}
