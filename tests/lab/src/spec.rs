//! What a link is like, and the faults it can be given.

use std::time::Duration;

/// Bits per second, counted on whole IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// A rate in bits per second; zero is raised to one.
    #[must_use]
    pub const fn bits(bits_per_second: u64) -> Self {
        Self(if bits_per_second == 0 {
            1
        } else {
            bits_per_second
        })
    }

    /// A rate in kilobits per second.
    #[must_use]
    pub const fn kbit(kilobits: u64) -> Self {
        Self::bits(kilobits * 1_000)
    }

    /// A rate in megabits per second.
    #[must_use]
    pub const fn mbit(megabits: u64) -> Self {
        Self::bits(megabits * 1_000_000)
    }

    /// The rate in bits per second.
    #[must_use]
    pub const fn as_bits(self) -> u64 {
        self.0
    }

    /// How long `bytes` take to be sent.
    #[must_use]
    pub fn time_for(self, bytes: usize) -> Duration {
        let nanos = (bytes as u128 * 8 * 1_000_000_000) / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// One link of the lab.
///
/// The fields can be changed while traffic flows, with [`LinkHandle::set`](crate::LinkHandle::set);
/// `mtu`, `nat` and `pep` are fixed when the world is built.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkSpec {
    /// Round-trip time of an empty link; each direction gets half.
    pub rtt: Duration,
    /// The most that is added to the delay of one packet in one direction, uniformly distributed.
    /// Packets are never reordered by it.
    pub jitter: Duration,
    /// Rate of each direction; `None` does not limit.
    pub rate: Option<Rate>,
    /// Bytes that may wait for their turn in each direction before the tail is dropped.
    pub queue: usize,
    /// Probability with which each packet is lost, in each direction.
    pub loss: f64,
    /// Largest IP packet, from 1280 to 65000.
    pub mtu: u32,
    /// Translates the client's IPv4 address to a public one.
    pub nat: bool,
    /// Puts a TCP proxy on the link that acknowledges in the server's stead.
    pub pep: Option<PepSpec>,
}

impl Default for LinkSpec {
    /// No delay, no limit, no fault, MTU 1500.
    fn default() -> Self {
        Self {
            rtt: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
            queue: 128 * 1024,
            loss: 0.0,
            mtu: 1500,
            nat: false,
            pep: None,
        }
    }
}

impl LinkSpec {
    /// Good Wi-Fi: 20 ms, 50 Mbit/s, a queue of 128 KB.
    #[must_use]
    pub fn wifi() -> Self {
        Self {
            rtt: Duration::from_millis(20),
            rate: Some(Rate::mbit(50)),
            ..Self::default()
        }
    }

    /// Good cellular: 60 ms, 20 Mbit/s, a queue of 128 KB.
    #[must_use]
    pub fn cellular() -> Self {
        Self {
            rtt: Duration::from_millis(60),
            rate: Some(Rate::mbit(20)),
            ..Self::default()
        }
    }
}

/// One direction of a link, for links that are not symmetric.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Time from end to end in this direction.
    pub delay: Duration,
    /// The most that is added to `delay`.
    pub jitter: Duration,
    /// Rate; `None` does not limit.
    pub rate: Option<Rate>,
    /// Bytes that may wait.
    pub queue: usize,
    /// Probability of loss per packet.
    pub loss: f64,
}

/// A split-TCP proxy ("performance enhancing proxy") between the two ends of a link.
///
/// It accepts the client's connection itself and opens its own to the server, as mobile operators'
/// boxes do. Delay up to it is `near_rtt`; the rest of the link, with rate, queue, loss and faults,
/// lies behind it. TCP options, option 30 among them, do not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PepSpec {
    /// Round-trip time between the client and the proxy.
    pub near_rtt: Duration,
}

/// A direction of a link, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
    /// Both of them.
    Both,
}

impl Direction {
    pub(crate) fn has_up(self) -> bool {
        self != Self::Down
    }

    pub(crate) fn has_down(self) -> bool {
        self != Self::Up
    }
}

/// The end of a connection that a forged reset is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client's.
    Client,
    /// The server's.
    Server,
    /// Both of them.
    Both,
}

/// The segments from which TCP option 30 (MPTCP) is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StripMode {
    /// None.
    #[default]
    Off,
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// Every segment that is no SYN.
    NonSyn,
    /// Every segment.
    All,
}

/// What becomes of an option 30 that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StripHow {
    /// NOPs stand in its place, and the header keeps its length.
    #[default]
    Overwrite,
    /// It is cut out, and the header is shorter by it.
    Remove,
}

/// What becomes of existing flows when a NAT loses its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebind {
    /// They are forgotten: both directions are dropped without a word; new connections work.
    Forget,
    /// They go on from a new port, which the server has never heard of.
    NewPorts,
}
