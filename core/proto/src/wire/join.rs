//! JOIN and JOINED: the preambles that add a leg to a session.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::WireError;
use crate::types::{Role, SessionId};
use crate::wire::fields::{Fields, put_extension, unknown_extension};
use crate::wire::frame::MAX_DATA;
use crate::wire::hello::MAC_LEN;
use crate::wire::preamble::{Kind, begin, set_len};

/// Data that may ride behind a JOIN, under its MAC.
pub(crate) const MAX_JOIN_DATA: usize = 16 * 1024;
/// Its offset is not above this, so that no sum overflows.
const MAX_DATA_OFFSET: u64 = u64::MAX - MAX_DATA as u64 - 1;
const FLAG_STRICT: u8 = 1;
const EXT_RECEIVED: u16 = 0x0003;

/// What both ends state about the stream when a leg joins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StreamState {
    pub(crate) epoch: u32,
    pub(crate) active: Role,
    /// Everything below has arrived.
    pub(crate) recv_next: u64,
    /// Nothing at or above may be sent.
    pub(crate) recv_limit: u64,
}

/// A leg that wants to join; believed only after its MAC was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Join {
    pub(crate) session: SessionId,
    pub(crate) counter: u64,
    pub(crate) role: Role,
    pub(crate) state: StreamState,
    /// Bytes that the gateway may send on backup legs, counted since the start.
    pub(crate) credit: u64,
    /// Bytes that arrived on backup legs, counted since the start: what was lost with a leg is
    /// given back to the credit.
    pub(crate) received: u64,
    pub(crate) data_offset: u64,
    pub(crate) data: Bytes,
    /// The preamble up to its MAC.
    pub(crate) signed: Bytes,
    pub(crate) mac: [u8; MAC_LEN],
}

impl Join {
    /// The session that the leg wants to join.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Everything but the MAC and the data, the length already counting the MAC.
    pub(crate) fn encode(&self) -> BytesMut {
        let mut out = begin(Kind::Join, crate::VERSION);
        out.put_slice(&self.session.0);
        out.put_u64(self.counter);
        out.put_u8(self.role.to_wire());
        out.put_u8(0);
        out.put_u8(self.state.active.to_wire());
        out.put_u8(0);
        out.put_u32(self.state.epoch);
        out.put_u64(self.state.recv_next);
        out.put_u64(self.state.recv_limit);
        out.put_u64(self.credit);
        out.put_u64(self.data_offset);
        // At most MAX_JOIN_DATA, which fits.
        out.put_u16(self.data.len() as u16);
        if self.received > 0 {
            put_extension(&mut out, EXT_RECEIVED, &self.received.to_be_bytes());
        }
        set_len(&mut out, MAC_LEN);
        out
    }

    /// How many bytes of data stand behind this body, as it claims.
    pub(crate) fn claimed_data(body: &[u8]) -> Result<usize, WireError> {
        let mut fields = Fields::new(body);
        fields.take(64)?;
        let len = usize::from(fields.u16()?);
        if len > MAX_JOIN_DATA {
            return Err(WireError("too much data behind a JOIN"));
        }
        Ok(len)
    }

    pub(crate) fn parse(whole: &[u8], body: &[u8], data: &[u8]) -> Result<Self, WireError> {
        let split = body
            .len()
            .checked_sub(MAC_LEN)
            .ok_or(WireError("truncated JOIN"))?;
        let (body, mac) = body.split_at(split);
        let mut fields = Fields::new(body);
        let session = SessionId(fields.array()?);
        let counter = fields.u64()?;
        let role = Role::from_wire(fields.u8()?).ok_or(WireError("unknown role"))?;
        fields.u8()?;
        let active = Role::from_wire(fields.u8()?).ok_or(WireError("unknown role"))?;
        fields.u8()?;
        let epoch = fields.u32()?;
        let recv_next = fields.u64()?;
        let recv_limit = fields.u64()?;
        let credit = fields.u64()?;
        let data_offset = fields.u64()?;
        if data_offset > MAX_DATA_OFFSET {
            return Err(WireError("offset out of range"));
        }
        fields.u16()?;
        let mut received = 0;
        while let Some((kind, value)) = fields.extension()? {
            match kind {
                EXT_RECEIVED => received = Fields::new(value).u64()?,
                other => unknown_extension(other)?,
            }
        }
        Ok(Self {
            session,
            counter,
            role,
            state: StreamState {
                epoch,
                active,
                recv_next,
                recv_limit,
            },
            credit,
            received,
            data_offset,
            data: Bytes::copy_from_slice(data),
            signed: Bytes::copy_from_slice(&whole[..whole.len() - MAC_LEN]),
            mac: Fields::new(mac).array()?,
        })
    }
}

/// The gateway's answer to a JOIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Joined {
    pub(crate) counter: u64,
    pub(crate) state: StreamState,
    /// The client must send a proof over `nonce` before data comes down.
    pub(crate) strict: bool,
    pub(crate) nonce: [u8; 16],
}

impl Joined {
    /// Everything but the MAC, the length already counting it.
    pub(crate) fn encode(&self) -> BytesMut {
        let mut out = begin(Kind::Joined, crate::VERSION);
        out.put_u64(self.counter);
        out.put_u32(self.state.epoch);
        out.put_u8(self.state.active.to_wire());
        out.put_u8(if self.strict { FLAG_STRICT } else { 0 });
        out.put_u16(0);
        out.put_u64(self.state.recv_next);
        out.put_u64(self.state.recv_limit);
        out.put_slice(&self.nonce);
        set_len(&mut out, MAC_LEN);
        out
    }

    /// Parses a body whose MAC is already cut off.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(body);
        let counter = fields.u64()?;
        let epoch = fields.u32()?;
        let active = Role::from_wire(fields.u8()?).ok_or(WireError("unknown role"))?;
        let flags = fields.u8()?;
        fields.u16()?;
        let recv_next = fields.u64()?;
        let recv_limit = fields.u64()?;
        let nonce = fields.array()?;
        while let Some((kind, _)) = fields.extension()? {
            unknown_extension(kind)?;
        }
        Ok(Self {
            counter,
            state: StreamState {
                epoch,
                active,
                recv_next,
                recv_limit,
            },
            strict: flags & FLAG_STRICT != 0,
            nonce,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fields::put_extension;
    use crate::wire::preamble::HEADER_LEN;

    const STATE: StreamState = StreamState {
        epoch: u32::MAX,
        active: Role::Backup,
        recv_next: 1,
        recv_limit: u64::MAX,
    };

    fn join(data_offset: u64) -> Join {
        let mut join = Join {
            session: SessionId([1; 16]),
            counter: 2,
            role: Role::Primary,
            state: STATE,
            credit: 3,
            received: 0,
            data_offset,
            data: Bytes::from_static(b"abc"),
            signed: Bytes::new(),
            mac: [4; MAC_LEN],
        };
        join.signed = join.encode().freeze();
        join
    }

    fn bytes(join: &Join) -> Vec<u8> {
        [&join.signed[..], &join.mac].concat()
    }

    fn parse(whole: &[u8]) -> Result<Join, WireError> {
        Join::parse(whole, &whole[HEADER_LEN..], b"abc")
    }

    #[test]
    fn a_join_cut_anywhere_is_malformed() {
        let whole = bytes(&join(5));
        assert_eq!(parse(&whole), Ok(join(5)));
        assert_eq!(Join::claimed_data(&whole[HEADER_LEN..]), Ok(3));
        for n in HEADER_LEN..whole.len() {
            assert!(parse(&whole[..n]).is_err(), "{n}");
        }
        for n in 0..66 {
            assert!(
                Join::claimed_data(&whole[HEADER_LEN..][..n]).is_err(),
                "{n}"
            );
        }
    }

    #[test]
    fn a_join_claims_no_more_data_than_is_kept_for_it() {
        let mut whole = bytes(&join(5));
        let at = HEADER_LEN + 64;
        whole[at..at + 2].copy_from_slice(&(MAX_JOIN_DATA as u16).to_be_bytes());
        assert_eq!(Join::claimed_data(&whole[HEADER_LEN..]), Ok(MAX_JOIN_DATA));
        whole[at..at + 2].copy_from_slice(&(MAX_JOIN_DATA as u16 + 1).to_be_bytes());
        assert!(Join::claimed_data(&whole[HEADER_LEN..]).is_err());
    }

    #[test]
    fn an_offset_whose_end_would_overflow_is_malformed() {
        assert!(parse(&bytes(&join(MAX_DATA_OFFSET))).is_ok());
        for offset in [MAX_DATA_OFFSET + 1, u64::MAX - 2, u64::MAX] {
            let error = WireError("offset out of range");
            assert_eq!(parse(&bytes(&join(offset))), Err(error));
        }
    }

    #[test]
    fn roles_that_do_not_exist_are_malformed() {
        for at in [24, 26] {
            let mut whole = bytes(&join(5));
            whole[HEADER_LEN + at] = 2;
            assert_eq!(parse(&whole), Err(WireError("unknown role")));
        }
        let mut body = joined().encode().split_off(HEADER_LEN);
        body[12] = 2;
        assert_eq!(Joined::parse(&body), Err(WireError("unknown role")));
    }

    #[test]
    fn unknown_extensions_of_a_join_are_passed_over_unless_critical() {
        let with = |kind| {
            let mut out = join(5).encode();
            put_extension(&mut out, kind, b"x");
            out.put_bytes(4, MAC_LEN);
            parse(&out)
        };
        let taken = with(0x0001).unwrap();
        assert_eq!((taken.counter, taken.mac), (2, [4; MAC_LEN]));
        assert_eq!(taken.signed.len(), join(5).signed.len() + 5);
        assert!(with(0x8001).is_err());
    }

    fn joined() -> Joined {
        Joined {
            counter: 1,
            state: STATE,
            strict: false,
            nonce: [2; 16],
        }
    }

    #[test]
    fn a_joined_cut_anywhere_is_malformed_and_extensions_follow_the_rule() {
        let body = joined().encode().split_off(HEADER_LEN);
        assert_eq!(Joined::parse(&body), Ok(joined()));
        for n in 0..body.len() {
            assert!(Joined::parse(&body[..n]).is_err(), "{n}");
        }
        let with = |kind| {
            let mut out = body.clone();
            put_extension(&mut out, kind, b"x");
            Joined::parse(&out)
        };
        assert_eq!(with(0x0001), Ok(joined()));
        assert!(with(0x8001).is_err());
    }
}
