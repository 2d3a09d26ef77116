//! The frames that follow a preamble: type, 24-bit length, body.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::WireError;
use crate::types::{ResetCode, Role};
use crate::wire::fields::Fields;

/// Type and length.
pub(crate) const HEADER_LEN: usize = 4;
/// Header of a DATA frame with its offset.
pub(crate) const DATA_HEADER_LEN: usize = HEADER_LEN + 8;
/// Longest payload of a DATA frame that is sent.
pub(crate) const MAX_DATA_SENT: usize = 16 * 1024;
/// Longest payload of a DATA frame that is taken.
pub(crate) const MAX_DATA: usize = 256 * 1024;
/// Longest body of any other known frame.
pub(crate) const MAX_CONTROL: usize = 1024;
/// Longest body of an unknown frame that is passed over.
pub(crate) const MAX_SKIPPED: usize = 64 * 1024;
/// A type with this bit must be understood.
pub(crate) const CRITICAL: u8 = 0x80;

pub(crate) const DATA: u8 = 0x81;
const ACK: u8 = 0x82;
const PING: u8 = 0x83;
const PONG: u8 = 0x84;
const SWITCH: u8 = 0x85;
const FIN: u8 = 0x86;
const RESET: u8 = 0x87;
const CREDIT: u8 = 0x88;
const GOAWAY: u8 = 0x09;
const PROOF: u8 = 0x8A;
const WINDOW: u8 = 0x8B;

/// A frame; of DATA any part of the payload that has arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Frame {
    Data {
        offset: u64,
        payload: Bytes,
    },
    Ack {
        next: u64,
        limit: u64,
    },
    Ping {
        id: u32,
    },
    Pong {
        id: u32,
    },
    Switch {
        epoch: u32,
        active: Role,
        next: u64,
        limit: u64,
    },
    Fin {
        offset: u64,
    },
    Reset {
        code: ResetCode,
        delivered: u64,
    },
    Credit {
        total: u64,
    },
    GoAway {
        within_ms: u32,
    },
    Proof {
        mac: [u8; 32],
    },
    /// A limit alone: unlike an ACK it says nothing of the leg it comes on.
    Window {
        limit: u64,
    },
}

impl Frame {
    /// Appends a control frame; DATA is written by `data_header`.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Data { offset, payload } => {
                out.put_slice(&data_header(*offset, payload.len()));
                out.put_slice(payload);
            }
            Self::Ack { next, limit } => {
                header(out, ACK, 16);
                out.put_u64(*next);
                out.put_u64(*limit);
            }
            Self::Ping { id } => {
                header(out, PING, 4);
                out.put_u32(*id);
            }
            Self::Pong { id } => {
                header(out, PONG, 4);
                out.put_u32(*id);
            }
            Self::Switch {
                epoch,
                active,
                next,
                limit,
            } => {
                header(out, SWITCH, 24);
                out.put_u32(*epoch);
                out.put_u8(active.to_wire());
                out.put_bytes(0, 3);
                out.put_u64(*next);
                out.put_u64(*limit);
            }
            Self::Fin { offset } => {
                header(out, FIN, 8);
                out.put_u64(*offset);
            }
            Self::Reset { code, delivered } => {
                header(out, RESET, 12);
                out.put_u16(code.to_wire());
                out.put_u16(0);
                out.put_u64(*delivered);
            }
            Self::Credit { total } => {
                header(out, CREDIT, 8);
                out.put_u64(*total);
            }
            Self::GoAway { within_ms } => {
                header(out, GOAWAY, 4);
                out.put_u32(*within_ms);
            }
            Self::Proof { mac } => {
                header(out, PROOF, 32);
                out.put_slice(mac);
            }
            Self::Window { limit } => {
                header(out, WINDOW, 8);
                out.put_u64(*limit);
            }
        }
    }

    /// Parses a control frame; `None` is one to pass over. Bodies may be longer than known here.
    pub(crate) fn parse(kind: u8, body: &[u8]) -> Result<Option<Self>, WireError> {
        let mut f = Fields::new(body);
        let role = |value| Role::from_wire(value).ok_or(WireError("unknown role"));
        Ok(Some(match kind {
            ACK => Self::Ack {
                next: f.u64()?,
                limit: f.u64()?,
            },
            PING => Self::Ping { id: f.u32()? },
            PONG => Self::Pong { id: f.u32()? },
            SWITCH => {
                let epoch = f.u32()?;
                let active = role(f.u8()?)?;
                f.take(3)?;
                Self::Switch {
                    epoch,
                    active,
                    next: f.u64()?,
                    limit: f.u64()?,
                }
            }
            FIN => Self::Fin { offset: f.u64()? },
            RESET => {
                let code = ResetCode::from_wire(f.u16()?);
                f.u16()?;
                Self::Reset {
                    code,
                    delivered: f.u64()?,
                }
            }
            CREDIT => Self::Credit { total: f.u64()? },
            GOAWAY => Self::GoAway {
                within_ms: f.u32()?,
            },
            PROOF => Self::Proof { mac: f.array()? },
            WINDOW => Self::Window { limit: f.u64()? },
            other if other & CRITICAL != 0 => {
                return Err(WireError("unknown critical frame"));
            }
            _ => return Ok(None),
        }))
    }
}

fn header(out: &mut BytesMut, kind: u8, len: u32) {
    out.put_u32(u32::from(kind) << 24 | len);
}

/// The header of a DATA frame with `len` bytes of payload, at most [`MAX_DATA`].
pub(crate) fn data_header(offset: u64, len: usize) -> [u8; DATA_HEADER_LEN] {
    let mut out = [0; DATA_HEADER_LEN];
    // Bounded by MAX_DATA, which fits into 24 bits.
    let word = u32::from(DATA) << 24 | (8 + len) as u32;
    out[..4].copy_from_slice(&word.to_be_bytes());
    out[4..].copy_from_slice(&offset.to_be_bytes());
    out
}
