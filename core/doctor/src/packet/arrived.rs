//! What has arrived, understood as far as it can be.

use std::net::IpAddr;

use super::headers::{Flags, TCP, ip_header, segment};
use super::quote::{IcmpError, icmp_error};

const ICMP: u8 = 1;

/// A packet that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A segment.
    Segment(Answer),
    /// An ICMP error about a packet of ours, and who says so.
    Error(IcmpError<'a>, IpAddr),
}

/// A segment that answers one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The peer's port.
    pub source: u16,
    /// Our port.
    pub destination: u16,
    /// The number of its first byte.
    pub seq: u32,
    /// What it acknowledges.
    pub ack: u32,
    /// Its flags.
    pub flags: Flags,
    /// Its options, as they arrived.
    pub options: Vec<u8>,
    /// What is left of its TTL, where that is known.
    pub ttl: Option<u8>,
}

/// Understands a packet as raw sockets give it: with its IP header for IPv4, without for IPv6.
#[must_use]
pub fn understand(bytes: &[u8], source: IpAddr, is_icmp: bool) -> Option<Packet<'_>> {
    let is_v6 = source.is_ipv6();
    let (inside, ttl) = if is_v6 {
        (bytes, None)
    } else {
        let (ip, inside) = ip_header(bytes)?;
        let expected = if is_icmp { ICMP } else { TCP };
        if ip.protocol != expected || ip.source != source {
            return None;
        }
        (inside, Some(ip.ttl))
    };
    if is_icmp {
        return icmp_error(inside, is_v6).map(|error| Packet::Error(error, source));
    }
    let it = segment(inside)?;
    Some(Packet::Segment(Answer {
        source: it.source,
        destination: it.destination,
        seq: it.seq,
        ack: it.ack,
        flags: it.flags,
        options: it.options.to_vec(),
        ttl,
    }))
}
