//! Just enough of IPv4, IPv6, TCP and UDP to count, translate, strip and forge.

mod change;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::counters::Volume;
use crate::spec::StripMode;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_MPTCP: u8 = 30;

/// TCP flag bits.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const ACK: u8 = 0x10;
}

/// An IP packet and where its parts are.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    bytes: Vec<u8>,
    transport: usize,
    protocol: u8,
    /// A later fragment carries no transport header.
    later_fragment: bool,
}

/// The fields of a TCP segment that the lab looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) payload: usize,
}

impl Segment {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn is_initial_syn(&self) -> bool {
        self.has(flag::SYN) && !self.has(flag::ACK)
    }

    /// Whether a stripping of that mode is about this segment.
    pub(crate) fn is_meant_by(&self, mode: StripMode) -> bool {
        match mode {
            StripMode::Off => false,
            StripMode::Syn => self.is_initial_syn(),
            StripMode::SynAck => self.has(flag::SYN) && self.has(flag::ACK),
            StripMode::NonSyn => !self.has(flag::SYN),
            StripMode::All => true,
        }
    }

    /// The sequence number after this segment.
    pub(crate) fn end(&self) -> u32 {
        let control = u32::from(self.has(flag::SYN)) + u32::from(self.has(flag::FIN));
        // A segment is shorter than 64 KiB, so the cast is exact.
        self.seq
            .wrapping_add(self.payload as u32)
            .wrapping_add(control)
    }
}

impl Packet {
    /// Takes an IP packet apart; `None` when it is malformed or no IP packet.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: Vec<u8>) -> Option<Self> {
        let header = usize::from(bytes[0] & 0x0f) * 4;
        let total = usize::from(read_u16(&bytes, 2)?);
        if header < 20 || total < header || bytes.len() != total {
            return None;
        }
        let protocol = *bytes.get(9)?;
        let fragment_offset = read_u16(&bytes, 6)? & 0x1fff;
        Some(Self {
            bytes,
            transport: header,
            protocol,
            later_fragment: fragment_offset != 0,
        })
    }

    fn parse_v6(bytes: Vec<u8>) -> Option<Self> {
        let length = usize::from(read_u16(&bytes, 4)?);
        if bytes.len() != 40 + length {
            return None;
        }
        let mut protocol = bytes[6];
        let mut at = 40;
        let mut later_fragment = false;
        loop {
            match protocol {
                // Hop-by-hop, routing and destination options.
                0 | 43 | 60 => {
                    protocol = *bytes.get(at)?;
                    at += (usize::from(*bytes.get(at + 1)?) + 1) * 8;
                }
                44 => {
                    later_fragment = read_u16(&bytes, at + 2)? & 0xfff8 != 0;
                    protocol = *bytes.get(at)?;
                    at += 8;
                }
                _ => break,
            }
        }
        Some(Self {
            bytes,
            transport: at,
            protocol,
            later_fragment,
        })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.bytes[0] >> 4 == 6
    }

    pub(crate) fn protocol(&self) -> u8 {
        self.protocol
    }

    pub(crate) fn is_tcp(&self) -> bool {
        self.protocol == TCP && !self.later_fragment
    }

    fn address(&self, v4_at: usize, v6_at: usize) -> IpAddr {
        if self.is_v6() {
            let mut octets = [0; 16];
            octets.copy_from_slice(&self.bytes[v6_at..v6_at + 16]);
            Ipv6Addr::from(octets).into()
        } else {
            let mut octets = [0; 4];
            octets.copy_from_slice(&self.bytes[v4_at..v4_at + 4]);
            Ipv4Addr::from(octets).into()
        }
    }

    pub(crate) fn source_ip(&self) -> IpAddr {
        self.address(12, 8)
    }

    pub(crate) fn destination_ip(&self) -> IpAddr {
        self.address(16, 24)
    }

    fn has_ports(&self) -> bool {
        matches!(self.protocol, TCP | UDP) && !self.later_fragment
    }

    /// Source and destination with their ports; `None` for other protocols.
    pub(crate) fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        if !self.has_ports() {
            return None;
        }
        let source = read_u16(&self.bytes, self.transport)?;
        let destination = read_u16(&self.bytes, self.transport + 2)?;
        Some((
            SocketAddr::new(self.source_ip(), source),
            SocketAddr::new(self.destination_ip(), destination),
        ))
    }

    /// The TCP header, if this is a complete one.
    pub(crate) fn segment(&self) -> Option<Segment> {
        if !self.is_tcp() {
            return None;
        }
        let at = self.transport;
        let header = self.tcp_header_len()?;
        Some(Segment {
            seq: read_u32(&self.bytes, at + 4)?,
            ack: read_u32(&self.bytes, at + 8)?,
            flags: self.bytes[at + 13],
            payload: self.bytes.len() - at - header,
        })
    }

    fn tcp_header_len(&self) -> Option<usize> {
        let header = usize::from(self.bytes.get(self.transport + 12)? >> 4) * 4;
        (header >= 20 && self.transport + header <= self.bytes.len()).then_some(header)
    }

    pub(crate) fn volume(&self) -> Volume {
        let segment = self.segment();
        Volume {
            packets: 1,
            bytes: self.bytes.len() as u64,
            tcp_payload: segment.map_or(0, |s| s.payload as u64),
            syns: u64::from(segment.is_some_and(|s| s.has(flag::SYN))),
        }
    }

    /// Whether the TCP header carries option 30.
    pub(crate) fn has_mptcp(&self) -> bool {
        !self.mptcp_options().is_empty()
    }

    /// Whether the first option 30 is an MP_JOIN (RFC 8684 §3.2).
    pub(crate) fn has_join(&self) -> bool {
        const JOIN: u8 = 1;
        let first = self.mptcp_options().into_iter().next();
        first.is_some_and(|(at, length)| length > 2 && self.bytes[at + 2] >> 4 == JOIN)
    }

    fn mptcp_options(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        if !self.is_tcp() {
            return found;
        }
        let Some(header) = self.tcp_header_len() else {
            return found;
        };
        let end = self.transport + header;
        let mut at = self.transport + 20;
        while at < end {
            match self.bytes[at] {
                OPTION_END => break,
                OPTION_NOP => at += 1,
                kind => {
                    let length = if at + 1 < end {
                        usize::from(self.bytes[at + 1])
                    } else {
                        0
                    };
                    if length < 2 || at + length > end {
                        break;
                    }
                    if kind == OPTION_MPTCP {
                        found.push((at, length));
                    }
                    at += length;
                }
            }
        }
        found
    }

    /// Whether it says that a packet's time is over or that it could not be delivered.
    pub(crate) fn is_icmp_error(&self) -> bool {
        let kinds = match self.protocol {
            ICMP => [3, 11],
            ICMP_V6 => [1, 3],
            _ => return false,
        };
        let kind = self.bytes.get(self.transport);
        kind.is_some_and(|kind| kinds.contains(kind))
    }
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([field[0], field[1], field[2], field[3]]))
}

#[cfg(test)]
impl Packet {
    /// An IPv4 packet of no known protocol.
    pub(crate) fn sample(length: usize) -> Self {
        let mut bytes = vec![0; length];
        bytes[0] = 0x45;
        bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        bytes[9] = 253;
        Self::parse(bytes).expect("a sample is well-formed")
    }
}

#[cfg(test)]
mod tests;
