//! The first bytes that a client sends to a gateway: session, join, or something else.

use crate::error::WireError;
use crate::wire::hello::Hello;
use crate::wire::join::{Join, MAX_JOIN_DATA};
use crate::wire::preamble::{self, CLIENT_MAGIC, Kind, MAX_BODY, Sniff};

/// A gateway never has to keep more than this to tell what a leg is.
pub const FIRST_FLIGHT_MAX: usize = preamble::HEADER_LEN + MAX_BODY + MAX_JOIN_DATA;

/// What the first bytes of a leg are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FirstFlight {
    /// Too few to tell; read more, at most [`FIRST_FLIGHT_MAX`] in all.
    Incomplete,
    /// Something else: to be passed through untouched.
    Raw,
    /// A new session, or the repetition of one.
    Hello {
        /// What it asks for.
        hello: Hello,
        /// Its length; what stands behind it belongs to the leg.
        consumed: usize,
    },
    /// A leg of a session that exists.
    Join {
        /// What it says.
        join: Join,
        /// Its length; what stands behind it belongs to the leg.
        consumed: usize,
    },
    /// It begins like a session, but this version does not speak it: answer with
    /// [`refuse_version`] and close.
    OtherVersion,
    /// It begins like a session, but is broken: close without a word.
    Invalid(WireError),
}

impl FirstFlight {
    /// Looks at everything that has arrived so far. The first byte that differs from the magic
    /// decides for `Raw`.
    pub fn parse(bytes: &[u8]) -> Self {
        let header = match preamble::sniff(bytes, &CLIENT_MAGIC) {
            Sniff::Incomplete => return Self::Incomplete,
            Sniff::Foreign => return Self::Raw,
            Sniff::Header(header) => header,
        };
        if header.version != crate::VERSION {
            return Self::OtherVersion;
        }
        if header.body_len > MAX_BODY {
            return Self::Invalid(WireError("preamble too long"));
        }
        let end = preamble::HEADER_LEN + header.body_len;
        let Some(whole) = bytes.get(..end) else {
            return Self::Incomplete;
        };
        let body = &whole[preamble::HEADER_LEN..];
        match header.kind {
            Some(Kind::Hello) => match Hello::parse(header.version, whole, body) {
                Ok(hello) => Self::Hello {
                    hello,
                    consumed: end,
                },
                Err(error) => Self::Invalid(error),
            },
            Some(Kind::Join) => {
                let len = match Join::claimed_data(body) {
                    Ok(len) => len,
                    Err(error) => return Self::Invalid(error),
                };
                let Some(data) = bytes.get(end..end + len) else {
                    return Self::Incomplete;
                };
                match Join::parse(whole, body, data) {
                    Ok(join) => Self::Join {
                        join,
                        consumed: end + len,
                    },
                    Err(error) => Self::Invalid(error),
                }
            }
            _ => Self::Invalid(WireError("a client does not send this")),
        }
    }
}

/// The answer to a client that speaks another version.
pub fn refuse_version() -> bytes::Bytes {
    preamble::refused(crate::error::Refusal::Version)
}

/// The answer to a HELLO that is not taken for a reason of the gateway's own.
pub fn refuse(reason: crate::error::Refusal) -> bytes::Bytes {
    preamble::refused(reason)
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};

    use super::*;
    use crate::config::ClientConfig;
    use crate::session::Session;
    use crate::time::Time;
    use crate::types::Role;
    use crate::wire::join::StreamState;

    fn hello() -> Vec<u8> {
        let mut client = Session::client(ClientConfig::default(), [1; 32], Time::ZERO);
        let leg = client.leg_opened(Role::Primary, None, Time::ZERO);
        let mut out = std::collections::VecDeque::new();
        client.poll_transmit(leg, 65536, &mut out, Time::ZERO);
        Vec::from(out).concat()
    }

    fn join(data: &[u8]) -> Vec<u8> {
        let join = Join {
            session: crate::types::SessionId([1; 16]),
            counter: 2,
            role: Role::Primary,
            state: StreamState {
                epoch: 0,
                active: Role::Primary,
                recv_next: 0,
                recv_limit: 0,
            },
            credit: 0,
            received: 0,
            data_offset: 0,
            data: data.to_vec().into(),
            signed: bytes::Bytes::new(),
            mac: [0; 32],
        };
        let mut out = join.encode();
        out.put_bytes(0, 32);
        out.put_slice(data);
        out.to_vec()
    }

    fn invalid(bytes: &[u8]) -> bool {
        matches!(FirstFlight::parse(bytes), FirstFlight::Invalid(_))
    }

    #[test]
    fn every_beginning_is_incomplete_and_what_follows_is_left_alone() {
        for whole in [hello(), join(b""), join(&[7; MAX_JOIN_DATA])] {
            for n in (0..whole.len()).filter(|n| *n < 300 || whole.len() - *n < 3) {
                assert_eq!(
                    FirstFlight::parse(&whole[..n]),
                    FirstFlight::Incomplete,
                    "{n}"
                );
            }
            let more = [&whole[..], b"more"].concat();
            assert!(more.len() <= FIRST_FLIGHT_MAX + 4);
            match FirstFlight::parse(&more) {
                FirstFlight::Hello { consumed, .. } | FirstFlight::Join { consumed, .. } => {
                    assert_eq!(consumed, whole.len());
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_client_of_another_protocol_is_told_by_its_first_byte() {
        assert_eq!(FirstFlight::parse(b""), FirstFlight::Incomplete);
        for byte in (0..=255).filter(|byte| *byte != CLIENT_MAGIC[0]) {
            assert_eq!(FirstFlight::parse(&[byte]), FirstFlight::Raw);
        }
        assert_eq!(FirstFlight::parse(b"\xf5TWINE"), FirstFlight::Raw);
    }

    #[test]
    fn a_later_version_is_told_by_the_frozen_header_alone() {
        for version in [0, 2, 255] {
            let mut header = hello()[..preamble::HEADER_LEN].to_vec();
            header[8] = 0x7f;
            header[9] = version;
            header[10..].copy_from_slice(&[0xff, 0xff]);
            assert_eq!(FirstFlight::parse(&header), FirstFlight::OtherVersion);
        }
    }

    #[test]
    fn what_a_client_does_not_send_is_invalid() {
        for kind in [0x00, 0x03, 0x81, 0x82, 0x83, 0xff] {
            let mut bytes = hello();
            bytes[8] = kind;
            assert!(invalid(&bytes), "{kind}");
        }
    }

    #[test]
    fn a_preamble_that_is_too_long_is_invalid_at_once() {
        let mut header = hello()[..preamble::HEADER_LEN].to_vec();
        header[10..].copy_from_slice(&(MAX_BODY as u16).to_be_bytes());
        assert_eq!(FirstFlight::parse(&header), FirstFlight::Incomplete);
        header[10..].copy_from_slice(&(MAX_BODY as u16 + 1).to_be_bytes());
        assert!(invalid(&header));
    }

    #[test]
    fn too_short_a_body_is_invalid_whatever_stands_behind() {
        for whole in [hello(), join(b"abc")] {
            let mut bytes = BytesMut::from(&whole[..]);
            bytes.put_bytes(0, 20_000);
            for len in 0..whole.len() - preamble::HEADER_LEN - 3 {
                bytes[10..12].copy_from_slice(&(len as u16).to_be_bytes());
                assert!(invalid(&bytes), "{len}");
            }
        }
    }
}
