//! Asking by SYNs: with MP_CAPABLE, without, and with an MP_JOIN that no server can accept.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twinpath_socket::raw::{Carried, RawPackets, ReservedPort};

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
}

struct Asking<'a> {
    probe: Probe,
    _port: ReservedPort,
    tried: Tried,
    last: Instant,
    packets: &'a RawPackets,
}

impl<'a> Asking<'a> {
    fn new(packets: &'a RawPackets, ask: Ask) -> io::Result<Self> {
        let port = packets.reserve()?;
        Ok(Self {
            probe: Probe {
                source: SocketAddr::new(packets.source(), port.number()),
                destination: packets.peer(),
                seq: random()?,
                ask,
                ttl: TTL,
            },
            _port: port,
            tried: Tried {
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
    };
    let is_accepted = evidence.plain.answer().is_some();
    if let Some(answer) = evidence.capable.answer() {
        if mptcp_of(&answer.options).is_none() {
            let (token, nonce) = (random()?, random()?);
            let [join] = ask(packets, [Ask::Join { token, nonce }]).await?;
            evidence.join = Some(join);
        }
    } else if is_accepted {
        // On other ports, since a load balancer may have chosen a way that is dead.
        let [capable, plain] = ask(packets, [Ask::Capable, Ask::Plain]).await?;
        let sent = evidence.capable.sent;
        evidence.capable = capable;
        evidence.capable.sent += sent;
        evidence.plain_after = Some(plain);
    }
    Ok(evidence)
}

pub(crate) async fn ask<const N: usize>(
    packets: &RawPackets,
    asks: [Ask; N],
) -> io::Result<[Tried; N]> {
    let mut all = Vec::with_capacity(N);
    for ask in asks {
        let mut asking = Asking::new(packets, ask)?;
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
    let mut tried = all.into_iter().map(|it| it.tried);
    Ok(std::array::from_fn(|_| match tried.next() {
        Some(tried) => tried,
        None => unreachable!("there is one for each"),
    }))
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
