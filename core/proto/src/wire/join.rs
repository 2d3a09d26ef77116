//! JOIN and JOINED: the preambles that add a leg to a session.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::WireError;
use crate::types::{Role, SessionId};
use crate::wire::fields::{Fields, unknown_extension};
use crate::wire::hello::MAC_LEN;
use crate::wire::preamble::{Kind, begin, set_len};

/// Data that may ride behind a JOIN, under its MAC.
pub(crate) const MAX_JOIN_DATA: usize = 16 * 1024;
const FLAG_STRICT: u8 = 1;

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
        fields.u16()?;
        while let Some((kind, _)) = fields.extension()? {
            unknown_extension(kind)?;
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
