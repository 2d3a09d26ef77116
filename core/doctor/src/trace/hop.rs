//! What hops have said.

use std::net::IpAddr;

use crate::packet::Comparison;

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
    /// A SYN has arrived, whatever became of the answer: another one was answered with an ACK of the first, as a server
    /// does that has accepted already (RFC 9293 §3.10.7.4). That ACK has no option, and so gets through where a SYN-ACK
    /// with it does not.
    pub has_arrived: bool,
}

impl Trace {
    /// The farthest hop that answered; 0 if none did.
    #[must_use]
    pub fn farthest(&self) -> u8 {
        let mut answered = self
            .hops
            .iter()
            .rev()
            .filter(|it| !it.observations.is_empty());
        answered.next().map_or(0, |it| it.ttl)
    }
}
