//! Headers of packets that arrive, whole or cut.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number of TCP as a protocol.
pub(crate) const TCP: u8 = 6;

/// What an IP header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpHeader {
    /// Who sent the packet.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// The length of the whole packet, as the header has it.
    pub total_length: usize,
    /// TTL or hop limit.
    pub ttl: u8,
    /// What is in it.
    pub protocol: u8,
}

/// The IP header at the beginning of `bytes`, and what follows it.
///
/// IPv6 extensions are not looked behind: no router adds any to TCP.
#[must_use]
pub fn ip_header(bytes: &[u8]) -> Option<(IpHeader, &[u8])> {
    match bytes.first()? >> 4 {
        4 => {
            let header = bytes.get(..20)?;
            let length = usize::from(header[0] & 0x0f) * 4;
            let address = |at: usize| {
                let octets: [u8; 4] = header[at..at + 4].try_into().ok()?;
                Some(IpAddr::V4(Ipv4Addr::from(octets)))
            };
            let told = IpHeader {
                source: address(12)?,
                destination: address(16)?,
                traffic_class: header[1],
                total_length: u16::from_be_bytes([header[2], header[3]]).into(),
                ttl: header[8],
                protocol: header[9],
            };
            Some((told, bytes.get(length.max(20)..)?))
        }
        6 => {
            let header = bytes.get(..40)?;
            let address = |at: usize| {
                let octets: [u8; 16] = header[at..at + 16].try_into().ok()?;
                Some(IpAddr::V6(Ipv6Addr::from(octets)))
            };
            let told = IpHeader {
                source: address(8)?,
                destination: address(24)?,
                traffic_class: (header[0] << 4) | (header[1] >> 4),
                total_length: 40 + usize::from(u16::from_be_bytes([header[4], header[5]])),
                ttl: header[7],
                protocol: header[6],
            };
            Some((told, &bytes[40..]))
        }
        _ => None,
    }
}

/// The flags of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;

    /// Whether it is the answer to a SYN.
    #[must_use]
    pub const fn is_syn_ack(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST) == Self::SYN | Self::ACK
    }

    /// Whether it acknowledges, and neither opens nor ends anything.
    #[must_use]
    pub const fn is_bare_ack(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST | Self::FIN) == Self::ACK
    }

    /// Whether it opens a connection.
    #[must_use]
    pub const fn is_syn(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }

    /// Whether it ends the connection.
    #[must_use]
    pub const fn is_reset(self) -> bool {
        self.0 & Self::RST != 0
    }
}

/// A whole TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub destination: u16,
    /// The number of its first byte.
    pub seq: u32,
    /// The number of the next byte that is expected.
    pub ack: u32,
    /// Its flags.
    pub flags: Flags,
    /// Its options, not looked at.
    pub options: &'a [u8],
}

/// The segment in `bytes`, if its header is whole.
#[must_use]
pub fn segment(bytes: &[u8]) -> Option<Segment<'_>> {
    let header = bytes.get(..20)?;
    let length = usize::from(header[12] >> 4) * 4;
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    Some(Segment {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        seq: word(4),
        ack: word(8),
        flags: Flags(header[13]),
        options: bytes.get(20..length)?,
    })
}
