//! What was changed between what was sent and what somebody has seen of it.

use std::fmt;

use super::headers::{IpHeader, Segment};
use super::options::{Piece, options};
use super::quote::IcmpError;

const MSS: u8 = 2;

/// Something in the header that arrived otherwise than it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Difference {
    /// DSCP or ECN.
    TrafficClass,
    /// The sender's address (NAT).
    SourceAddress,
    /// The receiver's address.
    DestinationAddress,
    /// The sender's port (NAT).
    SourcePort,
    /// The receiver's port.
    DestinationPort,
    /// The sequence number.
    Seq,
    /// The window.
    Window,
    /// The MSS, and what it is now.
    Mss(u16),
    /// An option that is gone.
    Removed(u8),
    /// An option in whose place NOPs are.
    Nops(u8),
    /// An option with other data.
    Changed(u8),
    /// An option that was not sent.
    Added(u8),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrafficClass => f.write_str("DSCP or ECN changed"),
            Self::SourceAddress => f.write_str("the sender's address changed (NAT)"),
            Self::DestinationAddress => f.write_str("the receiver's address changed"),
            Self::SourcePort => f.write_str("the sender's port changed (NAT)"),
            Self::DestinationPort => f.write_str("the receiver's port changed"),
            Self::Seq => f.write_str("the sequence number changed"),
            Self::Window => f.write_str("the window changed"),
            Self::Mss(to) => write!(f, "the MSS changed to {to}"),
            Self::Removed(kind) => write!(f, "{} removed", option_name(*kind)),
            Self::Nops(kind) => write!(f, "{} replaced by NOPs", option_name(*kind)),
            Self::Changed(kind) => write!(f, "{} changed", option_name(*kind)),
            Self::Added(kind) => write!(f, "{} added", option_name(*kind)),
        }
    }
}

/// An option in words.
fn option_name(kind: u8) -> String {
    match kind {
        2 => "the MSS (option 2)".into(),
        3 => "the window scale (option 3)".into(),
        4 => "SACK permitted (option 4)".into(),
        8 => "the timestamp (option 8)".into(),
        30 => "the MPTCP option (30)".into(),
        other => format!("option {other}"),
    }
}

/// Something that can be changed, whatever it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Seen {
    /// The IP header.
    Ip,
    /// Ports and sequence number.
    Start,
    /// The window.
    Window,
    /// An option by its number.
    Option(u8),
}

impl Difference {
    /// What it is a change of.
    #[must_use]
    pub const fn of(self) -> Seen {
        match self {
            Self::TrafficClass | Self::SourceAddress | Self::DestinationAddress => Seen::Ip,
            Self::SourcePort | Self::DestinationPort | Self::Seq => Seen::Start,
            Self::Window => Seen::Window,
            Self::Mss(_) => Seen::Option(MSS),
            Self::Removed(kind) | Self::Nops(kind) | Self::Changed(kind) | Self::Added(kind) => {
                Seen::Option(kind)
            }
        }
    }
}

/// How a quote compares with what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// What differs.
    pub differences: Vec<Difference>,
    /// Of what enough was quoted to say whether it differs.
    pub seen: Vec<Seen>,
    /// How many bytes of the TCP header and after were quoted.
    pub quoted: usize,
}

impl Comparison {
    /// Whether enough was quoted to say that this is as it was sent.
    #[must_use]
    pub fn is_intact(&self, what: Seen) -> bool {
        self.seen.contains(&what) && self.differences.iter().all(|it| it.of() != what)
    }
}

/// Compares what is quoted of a SYN with what was sent of it. What is not quoted is not said to differ.
#[must_use]
pub fn compare(
    sent_ip: &IpHeader,
    sent: &Segment<'_>,
    window: u16,
    quote: &IcmpError<'_>,
) -> Comparison {
    let mut told = Comparison {
        quoted: quote.tcp.len(),
        seen: vec![Seen::Ip, Seen::Start],
        differences: Vec::new(),
    };
    let mut differs = |it, does: bool| {
        if does {
            told.differences.push(it);
        }
    };
    differs(
        Difference::TrafficClass,
        quote.ip.traffic_class != sent_ip.traffic_class,
    );
    differs(Difference::SourceAddress, quote.ip.source != sent_ip.source);
    differs(
        Difference::DestinationAddress,
        quote.ip.destination != sent_ip.destination,
    );
    differs(Difference::SourcePort, quote.source_port() != sent.source);
    differs(
        Difference::DestinationPort,
        quote.destination_port() != sent.destination,
    );
    differs(Difference::Seq, quote.seq() != sent.seq);
    if let Some(quoted) = quote.tcp.get(14..16) {
        told.seen.push(Seen::Window);
        if u16::from_be_bytes([quoted[0], quoted[1]]) != window {
            told.differences.push(Difference::Window);
        }
    }
    let Some(&offset) = quote.tcp.get(12) else {
        return told;
    };
    let header = usize::from(offset >> 4) * 4;
    let Some(rest) = quote.tcp.get(20..) else {
        return told;
    };
    let is_whole = quote.tcp.len() >= header;
    let list = match header.checked_sub(20) {
        Some(length) if is_whole => &rest[..length],
        Some(_) => rest,
        // No header is that short: nothing after it can be believed.
        None => return told,
    };
    compare_options(sent.options, list, is_whole, &mut told);
    told
}

/// What differs in the options of a whole header that somebody has received.
#[must_use]
pub fn differences_of_tcp(sent: &[u8], received: &[u8]) -> Vec<Difference> {
    let mut told = Comparison::default();
    compare_options(sent, received, true, &mut told);
    told.differences
}

fn compare_options(sent: &[u8], list: &[u8], is_whole: bool, told: &mut Comparison) {
    let quoted: Vec<Piece<'_>> = options(list).collect();
    // A list that makes no sense says nothing about what is behind that place.
    let makes_sense = !quoted.iter().any(|it| matches!(it, Piece::Broken { .. }));
    let find = |kind: u8| {
        quoted.iter().find_map(|it| match it {
            Piece::Option { kind: is, data } if *is == kind => Some((*data, true)),
            Piece::Cut { kind: is, data } if *is == kind => Some((*data, false)),
            _ => None,
        })
    };
    for piece in options(sent) {
        let Piece::Option { kind, data } = piece else {
            continue;
        };
        match find(kind) {
            Some((is, true)) if is == data => told.seen.push(Seen::Option(kind)),
            Some((is, true)) => {
                told.seen.push(Seen::Option(kind));
                told.differences.push(match is {
                    [high, low] if kind == MSS => {
                        Difference::Mss(u16::from_be_bytes([*high, *low]))
                    }
                    _ => Difference::Changed(kind),
                });
            }
            // Cut: nothing is said of it.
            Some((_, false)) => {}
            None if is_whole && makes_sense => {
                told.seen.push(Seen::Option(kind));
                told.differences
                    .push(if nops_instead(sent, list, data.len() + 2) {
                        Difference::Nops(kind)
                    } else {
                        Difference::Removed(kind)
                    });
            }
            None => {}
        }
    }
    for piece in &quoted {
        if let Piece::Option { kind, .. } = piece {
            let was_sent =
                options(sent).any(|it| matches!(it, Piece::Option { kind: is, .. } if is == *kind));
            if !was_sent {
                told.differences.push(Difference::Added(*kind));
            }
        }
    }
}

/// Whether `list` has as many NOPs more than `sent` as an option of that length leaves.
fn nops_instead(sent: &[u8], list: &[u8], length: usize) -> bool {
    let nops = |bytes| options(bytes).filter(|it| *it == Piece::Nop).count();
    nops(list) >= nops(sent) + length
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::{Ask, Probe, icmp_error, ip_header, segment};
    use super::*;

    /// What a router says that got `seen` of what was sent, quoting `bytes` of TCP.
    fn compared(change: impl FnOnce(&mut Vec<u8>), bytes: usize) -> Comparison {
        let source: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let destination = "198.51.100.2:443".parse().unwrap();
        let (seq, ttl) = (99, 1);
        let sent = Probe {
            source,
            destination,
            seq,
            ask: Ask::Capable,
            ttl,
        }
        .packet();
        let mut seen = sent.clone();
        change(&mut seen);
        let mut message = vec![11, 0, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&seen[..seen.len().min(20 + bytes)]);
        let (ip, tcp) = ip_header(&sent).unwrap();
        let syn = segment(tcp).unwrap();
        let window = u16::from_be_bytes([tcp[14], tcp[15]]);
        compare(&ip, &syn, window, &icmp_error(&message, false).unwrap())
    }

    /// Where the option is: at the end of the packet.
    fn at(packet: &[u8]) -> usize {
        packet.len() - 4
    }

    #[test]
    fn nothing_differs_in_what_is_as_it_was() {
        let whole = compared(|_| (), 100);
        assert_eq!(whole.differences, []);
        assert!(whole.is_intact(Seen::Option(30)) && whole.is_intact(Seen::Option(2)));
    }

    #[test]
    fn nops_and_removal_are_told_apart() {
        let nops = compared(
            |it| {
                let at = at(it);
                it[at..].fill(1)
            },
            100,
        );
        assert_eq!(nops.differences, [Difference::Nops(30)]);
        let removed = compared(
            |it| {
                it.truncate(at(it));
                it[3] -= 4;
                it[20 + 12] -= 0x10;
            },
            100,
        );
        assert_eq!(removed.differences, [Difference::Removed(30)]);
    }

    #[test]
    fn what_is_not_quoted_is_not_judged() {
        for bytes in 8..44 {
            let told = compared(
                |it| {
                    let at = at(it);
                    it[at..].fill(1)
                },
                bytes,
            );
            assert_eq!(told.differences, [], "{bytes} bytes");
            assert!(!told.is_intact(Seen::Option(30)), "{bytes} bytes");
            assert!(told.is_intact(Seen::Start));
        }
    }

    #[test]
    fn a_lower_mss_and_an_unknown_option_are_told() {
        let told = compared(|it| it[43] = 0, 100);
        assert_eq!(told.differences, [Difference::Mss(0x0500)]);
        let told = compared(
            |it| {
                let at = at(it);
                it[at] = 77
            },
            100,
        );
        assert_eq!(
            told.differences,
            [Difference::Removed(30), Difference::Added(77)]
        );
    }
}
