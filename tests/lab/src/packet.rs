//! Just enough of IPv4, IPv6, TCP and UDP to count, translate, strip and forge.

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

    /// Overwrites option 30 with NOPs, as middleboxes do; tells whether there was one.
    pub(crate) fn strip_mptcp(&mut self) -> bool {
        let found = self.mptcp_options();
        for &(at, length) in &found {
            self.bytes[at..at + length].fill(OPTION_NOP);
        }
        if !found.is_empty() {
            self.fix_checksums();
        }
        !found.is_empty()
    }

    /// Cuts option 30 out, so that the header becomes shorter; tells whether there was one.
    pub(crate) fn remove_mptcp(&mut self) -> bool {
        let found = self.mptcp_options();
        let Some(header) = self.tcp_header_len().filter(|_| !found.is_empty()) else {
            return false;
        };
        let options = self.transport + 20..self.transport + header;
        let is_kept = |at: &usize| !found.iter().any(|&(from, n)| (from..from + n).contains(at));
        let mut kept: Vec<u8> = options
            .clone()
            .filter(is_kept)
            .map(|at| self.bytes[at])
            .collect();
        // The length of a header is told in words of four bytes.
        kept.resize(kept.len().next_multiple_of(4), OPTION_END);
        let words = 5 + kept.len() / 4;
        self.bytes.splice(options, kept);
        let offset = &mut self.bytes[self.transport + 12];
        // At most the fifteen words that there were.
        *offset = (words as u8) << 4 | *offset & 0x0f;
        self.fix_length();
        self.fix_checksums();
        true
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

    /// Replaces the source; the address must be of the same family.
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

    /// Has an ICMP error quote no more than that many bytes after the IP header of what it is about.
    pub(crate) fn shorten_quote(&mut self, bytes: usize) {
        const HEADER: usize = 8;
        let quoted = self.transport + HEADER;
        let header = match self.bytes.get(quoted) {
            Some(first) if !self.is_v6() => usize::from(first & 0x0f) * 4,
            _ => 40,
        };
        self.bytes.truncate(quoted + header + bytes);
        self.fix_length();
        self.fix_checksums();
    }

    /// Puts `to` where the payload of a segment has `from`; tells whether it did.
    pub(crate) fn alter_payload(&mut self, from: u8, to: u8) -> bool {
        let Some(header) = self.tcp_header_len().filter(|_| self.is_tcp()) else {
            return false;
        };
        let mut changed = false;
        for byte in self.bytes[self.transport + header..].iter_mut() {
            if *byte == from {
                *byte = to;
                changed = true;
            }
        }
        if changed {
            self.fix_checksums();
        }
        changed
    }

    fn fix_length(&mut self) {
        let (at, length) = if self.is_v6() {
            (4, self.bytes.len() - 40)
        } else {
            (2, self.bytes.len())
        };
        // Shorter than it was, and it fitted then.
        self.bytes[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    }

    pub(crate) fn set_source(&mut self, to: SocketAddr) {
        self.set_address(12, 8, to.ip());
        let at = self.transport;
        self.set_port(at, to.port());
        self.fix_checksums();
    }

    /// Replaces the destination; the address must be of the same family.
    pub(crate) fn set_destination(&mut self, to: SocketAddr) {
        self.set_address(16, 24, to.ip());
        let at = self.transport + 2;
        self.set_port(at, to.port());
        self.fix_checksums();
    }

    fn set_address(&mut self, v4_at: usize, v6_at: usize, to: IpAddr) {
        match to {
            IpAddr::V4(v4) if !self.is_v6() => {
                self.bytes[v4_at..v4_at + 4].copy_from_slice(&v4.octets());
            }
            IpAddr::V6(v6) if self.is_v6() => {
                self.bytes[v6_at..v6_at + 16].copy_from_slice(&v6.octets());
            }
            _ => {}
        }
    }

    fn set_port(&mut self, at: usize, port: u16) {
        if self.has_ports() {
            self.bytes[at..at + 2].copy_from_slice(&port.to_be_bytes());
        }
    }

    /// Computes the IPv4 header checksum and that of TCP or UDP anew.
    fn fix_checksums(&mut self) {
        if !self.is_v6() {
            let header = usize::from(self.bytes[0] & 0x0f) * 4;
            self.bytes[10..12].fill(0);
            let checksum = fold(sum(&self.bytes[..header]));
            self.bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        let offset = match self.protocol {
            TCP => 16,
            UDP => 6,
            ICMP | ICMP_V6 => 2,
            _ => return,
        };
        let at = self.transport + offset;
        if self.later_fragment || at + 2 > self.bytes.len() {
            return;
        }
        if self.protocol == UDP && self.bytes[at..at + 2] == [0, 0] {
            return;
        }
        self.bytes[at..at + 2].fill(0);
        let addresses = if self.is_v6() { 8..40 } else { 12..20 };
        let body = &self.bytes[self.transport..];
        let pseudo = match self.protocol {
            ICMP => 0,
            protocol => sum(&self.bytes[addresses]) + u64::from(protocol) + body.len() as u64,
        };
        let mut checksum = fold(pseudo + sum(body));
        if checksum == 0 && self.protocol == UDP {
            checksum = 0xffff;
        }
        self.bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }

    /// A TCP segment without options or payload; `None` when the families differ.
    pub(crate) fn forge(
        source: SocketAddr,
        destination: SocketAddr,
        segment: Segment,
    ) -> Option<Self> {
        let mut bytes = match (source.ip(), destination.ip()) {
            (IpAddr::V4(_), IpAddr::V4(_)) => {
                let mut header = vec![0; 20];
                header[0] = 0x45;
                header[3] = 40;
                header[8] = 64;
                header[9] = TCP;
                header
            }
            (IpAddr::V6(_), IpAddr::V6(_)) => {
                let mut header = vec![0; 40];
                header[0] = 0x60;
                header[5] = 20;
                header[6] = TCP;
                header[7] = 64;
                header
            }
            _ => return None,
        };
        let mut tcp = [0; 20];
        tcp[4..8].copy_from_slice(&segment.seq.to_be_bytes());
        tcp[8..12].copy_from_slice(&segment.ack.to_be_bytes());
        tcp[12] = 5 << 4;
        tcp[13] = segment.flags;
        bytes.extend_from_slice(&tcp);
        let mut packet = Self::parse(bytes)?;
        packet.set_source(source);
        packet.set_destination(destination);
        Some(packet)
    }
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([field[0], field[1], field[2], field[3]]))
}

/// Sum of the big-endian 16-bit words, not folded.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.split_at(bytes.len() & !1);
    let tail = rest.first().map_or(0, |&last| u64::from(last) << 8);
    words
        .chunks_exact(2)
        .map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])))
        .sum::<u64>()
        + tail
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded to 16 bits by the loop.
    !(sum as u16)
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
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    fn syn(source: &str, destination: &str) -> Packet {
        let segment = Segment {
            seq: 7,
            ack: 0,
            flags: flag::SYN,
            payload: 0,
        };
        Packet::forge(at(source), at(destination), segment).unwrap()
    }

    /// Both checksums come out as zero when summed over what they cover.
    fn assert_checksums(packet: &Packet) {
        let bytes = packet.as_bytes();
        let addresses = if packet.is_v6() {
            &bytes[8..40]
        } else {
            assert_eq!(fold(sum(&bytes[..20])), 0);
            &bytes[12..20]
        };
        let body = &bytes[packet.transport..];
        let pseudo = sum(addresses) + u64::from(packet.protocol) + body.len() as u64;
        assert_eq!(fold(pseudo + sum(body)), 0);
    }

    /// Inserts options into a segment that has none.
    fn with_options(packet: &Packet, options: &[u8]) -> Packet {
        let mut bytes = packet.as_bytes().to_vec();
        bytes.extend_from_slice(options);
        let length = bytes.len();
        if packet.is_v6() {
            bytes[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
        } else {
            bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        }
        bytes[packet.transport + 12] = ((5 + options.len() / 4) as u8) << 4;
        let mut packet = Packet::parse(bytes).unwrap();
        packet.fix_checksums();
        packet
    }

    #[test]
    fn translation_keeps_checksums_right() {
        for (source, destination, other) in [
            ("192.0.2.1:1000", "203.0.113.1:443", "198.51.100.9:61000"),
            (
                "[2001:db8::1]:1000",
                "[2001:db8::2]:443",
                "[2001:db8::3]:61000",
            ),
        ] {
            let mut packet = syn(source, destination);
            assert_checksums(&packet);
            packet.set_source(at(other));
            assert_checksums(&packet);
            packet.set_destination(at(source));
            assert_checksums(&packet);
            assert_eq!(packet.ends(), Some((at(other), at(source))));
        }
    }

    #[test]
    fn only_option_30_becomes_nops() {
        // MSS, NOP, an MPTCP option of 12 bytes, window scale.
        let mut options = vec![2, 4, 5, 0xb4, 1, 30, 12];
        options.extend([0xaa; 10]);
        options.extend([3, 3, 7]);
        for (source, destination) in [
            ("192.0.2.1:1", "203.0.113.1:2"),
            ("[2001:db8::1]:1", "[2001:db8::2]:2"),
        ] {
            let mut packet = with_options(&syn(source, destination), &options);
            assert!(packet.has_mptcp());
            assert!(packet.strip_mptcp());
            assert_checksums(&packet);
            assert!(!packet.has_mptcp() && !packet.strip_mptcp());
            let left = &packet.as_bytes()[packet.transport + 20..];
            assert_eq!(left[..5], options[..5]);
            assert_eq!(left[5..17], [OPTION_NOP; 12]);
            assert_eq!(left[17..], options[17..]);
        }
    }

    #[test]
    fn only_option_30_is_cut_out_and_the_payload_stays() {
        // NOP, NOP, timestamps, an MPTCP option of 20 bytes that is not aligned, NOP, NOP.
        let mut options = vec![1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 30, 18];
        options.extend([0xaa; 16]);
        options.extend([1, 1]);
        for (source, destination) in [
            ("192.0.2.1:1", "203.0.113.1:2"),
            ("[2001:db8::1]:1", "[2001:db8::2]:2"),
        ] {
            let mut whole = with_options(&syn(source, destination), &options);
            whole.bytes.extend(b"payload");
            let length = whole.bytes.len();
            if whole.is_v6() {
                whole.bytes[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
            } else {
                whole.bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            }
            let mut packet = Packet::parse(whole.bytes).unwrap();
            assert!(packet.remove_mptcp());
            assert_checksums(&packet);
            assert!(!packet.has_mptcp() && !packet.remove_mptcp());
            assert_eq!(packet.segment().unwrap().payload, 7);
            let mut packet = Packet::parse(packet.as_bytes().to_vec()).unwrap();
            assert!(!packet.strip_mptcp());
            let left = &packet.as_bytes()[packet.transport + 20..];
            assert_eq!(left[..12], options[..12]);
            assert_eq!(left[12..16], [1, 1, OPTION_END, OPTION_END]);
            assert_eq!(&left[16..], b"payload");
        }
    }

    #[test]
    fn malformed_packets_are_refused_or_harmless() {
        let good = with_options(&syn("192.0.2.1:1", "203.0.113.1:2"), &[30, 200, 2, 0]);
        assert!(!good.has_mptcp(), "an option reaches beyond the header");
        let mut state = 1_u32;
        for round in 0..200_000 {
            let mut bytes = good.as_bytes().to_vec();
            for _ in 0..4 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let place = (state >> 16) as usize % bytes.len();
                bytes[place] = (state >> 8) as u8;
            }
            if round % 3 == 0 {
                bytes[0] = 0x60;
                let length = (bytes.len() - 40) as u16;
                bytes[4..6].copy_from_slice(&length.to_be_bytes());
            }
            bytes.truncate(bytes.len() - (state >> 24) as usize % 3);
            if let Some(mut packet) = Packet::parse(bytes) {
                let _ = (packet.segment(), packet.volume());
                let mut other = packet.clone();
                let _ = (packet.strip_mptcp(), other.remove_mptcp());
                if let Some((source, _)) = packet.ends() {
                    packet.set_destination(source);
                }
            }
        }
    }
}
