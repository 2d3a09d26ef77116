//! ICMP errors, and what they quote of the packet that caused them.

use super::headers::{IpHeader, TCP, ip_header};

/// An ICMP error about one of our packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError<'a> {
    /// The packet's time was over; else it could not be delivered.
    pub time_exceeded: bool,
    /// The code, which says why it could not be delivered.
    pub code: u8,
    /// The IP header of the packet, as it was when it caused the error.
    pub ip: IpHeader,
    /// What is quoted of its TCP header and after: 8 bytes at least.
    pub tcp: &'a [u8],
}

impl IcmpError<'_> {
    /// The sender's port, as quoted.
    #[must_use]
    pub fn source_port(&self) -> u16 {
        self.half(0)
    }

    /// The receiver's port, as quoted.
    #[must_use]
    pub fn destination_port(&self) -> u16 {
        self.half(2)
    }

    /// The sequence number, as quoted.
    #[must_use]
    pub fn seq(&self) -> u32 {
        u32::from(self.half(4)) << 16 | u32::from(self.half(6))
    }

    fn half(&self, at: usize) -> u16 {
        match self.tcp.get(at..at + 2) {
            Some(half) => u16::from_be_bytes([half[0], half[1]]),
            None => 0,
        }
    }
}

/// The ICMP or ICMPv6 error in `bytes`, which begin with the ICMP header.
#[must_use]
pub fn icmp_error(bytes: &[u8], is_v6: bool) -> Option<IcmpError<'_>> {
    let (exceeded, unreachable) = if is_v6 { (3, 1) } else { (11, 3) };
    let kind = *bytes.first()?;
    if kind != exceeded && kind != unreachable {
        return None;
    }
    let code = *bytes.get(1)?;
    let mut quoted = bytes.get(8..)?;
    // RFC 4884: the quote may be followed by extensions (MPLS labels), and then its length is stated, in words of 4 or
    // 8 bytes.
    let words = if is_v6 {
        usize::from(bytes[4]) * 8
    } else {
        usize::from(bytes[5]) * 4
    };
    if words > 0 && words < quoted.len() {
        quoted = &quoted[..words];
    }
    let (ip, mut tcp) = ip_header(quoted)?;
    if ip.source.is_ipv6() != is_v6 || ip.protocol != TCP || tcp.len() < 8 {
        return None;
    }
    // Padding up to 128 bytes, as RFC 4884 has it, is not of the packet.
    let header = if is_v6 {
        40
    } else {
        usize::from(quoted[0] & 0x0f) * 4
    };
    let length = ip.total_length.saturating_sub(header);
    if (8..tcp.len()).contains(&length) {
        tcp = &tcp[..length];
    }
    Some(IcmpError {
        time_exceeded: kind == exceeded,
        code,
        ip,
        tcp,
    })
}
