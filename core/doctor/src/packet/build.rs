//! The packets that are sent.

use std::net::{IpAddr, SocketAddr};

use etherparse::PacketBuilder;

/// What a SYN asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// TCP alone.
    Plain,
    /// MPTCP version 1 (MP_CAPABLE without a key).
    Capable,
    /// To join a connection (MP_JOIN).
    Join {
        /// Names the connection at the peer.
        token: u32,
        /// Random.
        nonce: u32,
    },
    /// Nothing: it is a segment of a connection that is open, with the option as all of them have it (DSS).
    Later,
    /// Nothing: it accepts a connection with MPTCP, as a server's SYN-ACK.
    Answer {
        /// What it acknowledges.
        ack: u32,
        /// The server's key.
        key: [u8; 8],
    },
    /// Nothing: it lets a path join a connection, as a server's SYN-ACK (RFC 8684 §3.2).
    JoinAnswer {
        /// What it acknowledges.
        ack: u32,
        /// In the place of the HMAC, which no router can check.
        hmac: [u8; 8],
    },
    /// Nothing: it accepts a connection of TCP alone, as a server's SYN-ACK.
    PlainAnswer {
        /// What it acknowledges.
        ack: u32,
    },
}

impl Ask {
    /// The same without the option.
    #[must_use]
    pub const fn without_option(self) -> Self {
        match self {
            Self::Answer { ack, .. } | Self::JoinAnswer { ack, .. } | Self::PlainAnswer { ack } => {
                Self::PlainAnswer { ack }
            }
            _ => Self::Plain,
        }
    }
}

/// A packet of ours, as Linux makes it: the same options in the same order, since that is what is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Who sends it.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// Its number.
    pub seq: u32,
    /// What it asks for.
    pub ask: Ask,
    /// TTL or hop limit.
    pub ttl: u8,
}

/// What Linux announces on a link of 1500 bytes, less where IPv6 needs more room.
const MSS: [u16; 2] = [1460, 1440];
const WINDOW: u16 = 64_240;
const WINDOW_SCALE: u8 = 7;
/// An ordinary host's.
pub(crate) const TTL: u8 = 64;

impl Probe {
    /// The options of its SYN.
    #[must_use]
    pub fn options(&self) -> Vec<u8> {
        let stamp = self.seq.rotate_left(7).to_be_bytes();
        if self.ask == Ask::Later {
            let mut options = vec![1, 1, 8, 10];
            options.extend_from_slice(&stamp);
            // An acknowledgement of four bytes and no data.
            options.extend_from_slice(&[0, 0, 0, 0, 30, 8, 0x20, 0x01, 0, 0, 0, 0]);
            return options;
        }
        let mss = MSS[usize::from(self.destination.is_ipv6())].to_be_bytes();
        let mut options = vec![2, 4, mss[0], mss[1]];
        // SACK permitted, a timestamp, and the window scale.
        options.extend_from_slice(&[4, 2, 8, 10]);
        options.extend_from_slice(&stamp);
        options.extend_from_slice(&[0, 0, 0, 0, 1, 3, 3, WINDOW_SCALE]);
        match self.ask {
            Ask::Plain | Ask::PlainAnswer { .. } | Ask::Later => {}
            // Version 1, HMAC-SHA256.
            Ask::Capable => options.extend_from_slice(&[30, 4, 0x01, 0x01]),
            Ask::Answer { key, .. } => {
                options.extend_from_slice(&[30, 12, 0x01, 0x01]);
                options.extend_from_slice(&key);
            }
            Ask::JoinAnswer { hmac, .. } => {
                options.extend_from_slice(&[30, 16, 0x10, 0]);
                options.extend_from_slice(&hmac);
                options.extend_from_slice(&stamp);
            }
            Ask::Join { token, nonce } => {
                options.extend_from_slice(&[30, 12, 0x10, 0]);
                options.extend_from_slice(&token.to_be_bytes());
                options.extend_from_slice(&nonce.to_be_bytes());
            }
        }
        options
    }

    /// The packet, from its IP header on.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        let options = self.options();
        let step = self.builder(WINDOW);
        let step = match self.ask {
            Ask::Answer { ack, .. } | Ask::JoinAnswer { ack, .. } | Ask::PlainAnswer { ack } => {
                step.syn().ack(ack)
            }
            Ask::Later => step.ack(0),
            _ => step.syn(),
        };
        let Ok(step) = step.options_raw(&options) else {
            unreachable!("the options above are 36 bytes at most")
        };
        let mut packet = Vec::with_capacity(step.size(0));
        // Writing to a vector fails only for payloads that do not fit, and there is none.
        let _ = step.write(&mut packet, &[]);
        packet
    }

    /// The RST that takes it back.
    #[must_use]
    pub fn reset(&self) -> Vec<u8> {
        let taken = Self {
            seq: self.seq.wrapping_add(1),
            ..*self
        };
        let step = taken.builder(0).rst();
        let mut packet = Vec::with_capacity(step.size(0));
        let _ = step.write(&mut packet, &[]);
        packet
    }

    fn builder(&self, window: u16) -> etherparse::PacketBuilderStep<etherparse::TcpHeader> {
        let (from, to) = (self.source.port(), self.destination.port());
        let step = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                PacketBuilder::ipv4(source.octets(), destination.octets(), self.ttl)
            }
            (source, destination) => PacketBuilder::ipv6(v6(source), v6(destination), self.ttl),
        };
        step.tcp(from, to, self.seq, window)
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mptcp, ip_header, mptcp_of, segment};
    use super::*;

    #[test]
    fn an_answer_is_like_a_server_s_with_the_option_or_without() {
        let (ack, key, hmac) = (5, [1; 8], [2; 8]);
        let answers = [Ask::Answer { ack, key }, Ask::JoinAnswer { ack, hmac }];
        for ask in answers.into_iter().flat_map(|it| [it, it.without_option()]) {
            let probe = Probe {
                source: "192.0.2.1:444".parse().unwrap(),
                destination: "198.51.100.2:4000".parse().unwrap(),
                seq: 9,
                ask,
                ttl: 3,
            };
            let packet = probe.packet();
            let (_, tcp) = ip_header(&packet).unwrap();
            let answer = segment(tcp).unwrap();
            assert!(answer.flags.is_syn_ack() && answer.ack == ack);
            match (ask, mptcp_of(answer.options)) {
                (Ask::Answer { .. }, Some(Mptcp::Capable { key: Some(is), .. })) if is == key => {}
                (Ask::JoinAnswer { .. }, Some(Mptcp::Join { length: 16, .. }))
                | (Ask::PlainAnswer { .. }, None) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_syn_is_what_it_asks_for_in_both_families() {
        for (source, destination) in [
            ("192.0.2.1:4000", "198.51.100.2:443"),
            ("[2001:db8::1]:4000", "[2001:db8::2]:443"),
        ] {
            for ask in [Ask::Plain, Ask::Capable, Ask::Join { token: 7, nonce: 8 }] {
                let probe = Probe {
                    source: source.parse().unwrap(),
                    destination: destination.parse().unwrap(),
                    seq: 0xdead_beef,
                    ask,
                    ttl: 3,
                };
                let packet = probe.packet();
                let (ip, tcp) = ip_header(&packet).unwrap();
                assert_eq!((ip.ttl, ip.total_length, ip.protocol), (3, packet.len(), 6));
                assert_eq!(
                    (ip.source, ip.destination),
                    (probe.source.ip(), probe.destination.ip())
                );
                let syn = segment(tcp).unwrap();
                assert!(syn.flags.is_syn());
                assert_eq!(
                    (syn.source, syn.destination, syn.seq),
                    (4000, 443, 0xdead_beef)
                );
                assert_eq!(syn.options, probe.options());
                match (ask, mptcp_of(syn.options)) {
                    (Ask::Plain, None)
                    | (
                        Ask::Capable,
                        Some(Mptcp::Capable {
                            version: 1,
                            key: None,
                            ..
                        }),
                    ) => {}
                    (Ask::Join { .. }, Some(Mptcp::Join { length: 12, .. })) => {}
                    other => panic!("{other:?}"),
                }
                let reset = probe.reset();
                let (_, tcp) = ip_header(&reset).unwrap();
                let reset = segment(tcp).unwrap();
                assert!(reset.flags.is_reset() && reset.seq == syn.seq.wrapping_add(1));
            }
        }
    }
}
