//! What boxes on the way do to a packet, and packets that they make up.

use std::net::{IpAddr, SocketAddr};

use super::{ICMP, ICMP_V6, OPTION_END, OPTION_NOP, Packet, Segment, TCP, UDP};

impl Packet {
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

    /// Replaces the source; the address must be of the same family.
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
    pub(super) fn fix_checksums(&mut self) {
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

/// Sum of the big-endian 16-bit words, not folded.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.split_at(bytes.len() & !1);
    let tail = rest.first().map_or(0, |&last| u64::from(last) << 8);
    words
        .chunks_exact(2)
        .map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])))
        .sum::<u64>()
        + tail
}

pub(super) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded to 16 bits by the loop.
    !(sum as u16)
}
