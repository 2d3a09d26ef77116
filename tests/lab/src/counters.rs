//! What went through a link, and what did not and why.

use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// A number of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole IP packets.
    pub bytes: u64,
    /// Bytes of TCP payload, repeated ones included.
    pub tcp_payload: u64,
    /// TCP segments with the SYN flag.
    pub syns: u64,
}

/// Packets dropped, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// The queue was full.
    pub queue: u64,
    /// Random loss.
    pub loss: u64,
    /// A blackhole, including what it caught in flight.
    pub blackhole: u64,
    /// SYNs dropped on purpose.
    pub syn: u64,
    /// The NAT did not know the flow.
    pub nat: u64,
    /// The device was down.
    pub down: u64,
}

impl Drops {
    /// All causes together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.queue + self.loss + self.blackhole + self.syn + self.nat + self.down
    }
}

/// How long packets were held up, all packets together, beyond the delay that each has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Behind other packets in the queue.
    pub queued: Duration,
    /// While the rate let them out.
    pub sending: Duration,
    /// By jitter.
    pub jitter: Duration,
}

/// One direction of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectionCounters {
    /// What the sending end put on the link.
    pub offered: Volume,
    /// What the receiving end got.
    pub delivered: Volume,
    /// What was dropped between the two.
    pub dropped: Drops,
    /// Segments that lost their option 30.
    pub stripped: u64,
    /// What those that left the queue have waited.
    pub times: Times,
    /// Resets forged towards the receiving end.
    pub resets: u64,
}

/// Both directions of a link. Subtract an earlier reading to see what happened since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// From the client to the server.
    pub up: DirectionCounters,
    /// From the server to the client.
    pub down: DirectionCounters,
    /// Flows that the NAT has given another port under way.
    pub moved_flows: u64,
}

impl Counters {
    /// TCP payload that both ends put on the link.
    #[must_use]
    pub fn payload_offered(&self) -> u64 {
        self.up.offered.tcp_payload + self.down.offered.tcp_payload
    }

    /// Bytes of IP packets that both ends put on the link.
    #[must_use]
    pub fn bytes_offered(&self) -> u64 {
        self.up.offered.bytes + self.down.offered.bytes
    }

    /// Packets dropped in both directions, for any cause.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.up.dropped.total() + self.down.dropped.total()
    }
}

impl AddAssign for Volume {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.tcp_payload += other.tcp_payload;
        self.syns += other.syns;
    }
}

impl Sub for Volume {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            packets: self.packets - other.packets,
            bytes: self.bytes - other.bytes,
            tcp_payload: self.tcp_payload - other.tcp_payload,
            syns: self.syns - other.syns,
        }
    }
}

impl Sub for Drops {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            queue: self.queue - other.queue,
            loss: self.loss - other.loss,
            blackhole: self.blackhole - other.blackhole,
            syn: self.syn - other.syn,
            nat: self.nat - other.nat,
            down: self.down - other.down,
        }
    }
}

impl Sub for Times {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            queued: self.queued - other.queued,
            sending: self.sending - other.sending,
            jitter: self.jitter - other.jitter,
        }
    }
}

impl Sub for DirectionCounters {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            offered: self.offered - other.offered,
            delivered: self.delivered - other.delivered,
            dropped: self.dropped - other.dropped,
            stripped: self.stripped - other.stripped,
            times: self.times - other.times,
            resets: self.resets - other.resets,
        }
    }
}

impl Sub for Counters {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            up: self.up - other.up,
            down: self.down - other.down,
            moved_flows: self.moved_flows - other.moved_flows,
        }
    }
}
