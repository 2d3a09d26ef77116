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
