//! HELLO and WELCOME: the preambles that open a session.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::WireError;
use crate::types::{JoinAddress, Role, ServiceType, SessionId, Standby};
use crate::wire::fields::{CRITICAL, Fields, put_extension, unknown_extension};
use crate::wire::preamble::{Kind, begin, set_len};

const EXT_RETRY: u16 = 0x0001 | CRITICAL;
const EXT_JOIN_ADDRESS: u16 = 0x0002;
const FLAG_PIN: u16 = 1;
const RETRY_LEN: usize = 32 + 4 + 2;

/// What a client asks for; `base` is what the keys are bound to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    pub(crate) version: u8,
    pub(crate) client_key: [u8; 32],
    pub(crate) retry_hash: [u8; 32],
    pub(crate) pin: bool,
    pub(crate) service: ServiceType,
    pub(crate) standby: Standby,
    pub(crate) window: u32,
    pub(crate) ttl_s: u32,
    pub(crate) credit: u64,
    pub(crate) role: Role,
    pub(crate) retry: Option<Retry>,
    /// The first HELLO as it was sent, without the retry extension.
    pub(crate) base: Bytes,
}

/// The claim that an earlier HELLO with the same key may be waiting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Retry {
    pub(crate) secret: [u8; 32],
    /// Milliseconds since the first HELLO left.
    pub(crate) age_ms: u32,
    pub(crate) role: Role,
    /// Whether data went behind the first HELLO.
    pub(crate) data_sent: bool,
}

impl Hello {
    /// Encodes everything but `base`, which is what comes out.
    pub(crate) fn encode_base(&self) -> Bytes {
        let mut out = begin(Kind::Hello, self.version);
        out.put_slice(&self.client_key);
        out.put_slice(&self.retry_hash);
        out.put_u16(if self.pin { FLAG_PIN } else { 0 });
        out.put_u8(self.service.to_wire());
        out.put_u8(matches!(self.standby, Standby::Warm).into());
        out.put_u32(self.window);
        out.put_u32(self.ttl_s);
        out.put_u64(self.credit);
        out.put_u8(self.role.to_wire());
        out.put_bytes(0, 3);
        set_len(&mut out, 0);
        out.freeze()
    }

    /// The base with the retry extension behind it.
    pub(crate) fn encode_retry(base: &[u8], retry: &Retry) -> Bytes {
        let mut out = BytesMut::from(base);
        let mut value = BytesMut::with_capacity(RETRY_LEN);
        value.put_slice(&retry.secret);
        value.put_u32(retry.age_ms);
        value.put_u8(retry.role.to_wire());
        value.put_u8(retry.data_sent.into());
        put_extension(&mut out, EXT_RETRY, &value);
        set_len(&mut out, 0);
        out.freeze()
    }

    pub(crate) fn parse(version: u8, whole: &[u8], body: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(body);
        let client_key = fields.array()?;
        let retry_hash = fields.array()?;
        let flags = fields.u16()?;
        let service = ServiceType::from_wire(fields.u8()?);
        let standby = match fields.u8()? {
            0 => Standby::Cold,
            _ => Standby::Warm,
        };
        let window = fields.u32()?;
        let ttl_s = fields.u32()?;
        let credit = fields.u64()?;
        let role = Role::from_wire(fields.u8()?).ok_or(WireError("unknown role"))?;
        fields.take(3)?;
        let mut retry = None;
        while let Some((kind, value)) = fields.extension()? {
            if retry.is_some() {
                return Err(WireError("extension behind the retry"));
            }
            match kind {
                EXT_RETRY => retry = Some(Retry::parse(value)?),
                other => unknown_extension(other)?,
            }
        }
        let mut base = BytesMut::from(whole);
        if retry.is_some() {
            base.truncate(whole.len() - RETRY_LEN - 4);
            set_len(&mut base, 0);
        }
        Ok(Self {
            version,
            client_key,
            retry_hash,
            pin: flags & FLAG_PIN != 0,
            service,
            standby,
            window,
            ttl_s,
            credit,
            role,
            retry,
            base: base.freeze(),
        })
    }

    /// The role of the path on which this HELLO came.
    pub fn role(&self) -> Role {
        self.retry.as_ref().map_or(self.role, |retry| retry.role)
    }
}

impl Retry {
    fn parse(value: &[u8]) -> Result<Self, WireError> {
        if value.len() != RETRY_LEN {
            return Err(WireError("bad length of the retry extension"));
        }
        let mut fields = Fields::new(value);
        Ok(Self {
            secret: fields.array()?,
            age_ms: fields.u32()?,
            role: Role::from_wire(fields.u8()?).ok_or(WireError("unknown role"))?,
            data_sent: fields.u8()? != 0,
        })
    }
}

/// What a gateway answers; the MAC over it is made and checked by `crypto`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Welcome {
    pub(crate) session: SessionId,
    pub(crate) gateway_key: [u8; 32],
    pub(crate) window: u32,
    pub(crate) ttl_s: u32,
    pub(crate) pinned: bool,
    pub(crate) join_addresses: Vec<JoinAddress>,
}

/// Length of the MAC at the end of WELCOME, JOIN and JOINED.
pub(crate) const MAC_LEN: usize = 32;
/// More join addresses are not announced.
pub(crate) const MAX_JOIN_ADDRESSES: usize = 8;

impl Welcome {
    /// Everything but the MAC, the length already counting it.
    pub(crate) fn encode(&self) -> BytesMut {
        let mut out = begin(Kind::Welcome, crate::VERSION);
        out.put_slice(&self.session.0);
        out.put_slice(&self.gateway_key);
        out.put_u32(self.window);
        out.put_u32(self.ttl_s);
        out.put_u16(if self.pinned { FLAG_PIN } else { 0 });
        out.put_u16(0);
        for address in self.join_addresses.iter().take(MAX_JOIN_ADDRESSES) {
            let mut value = BytesMut::with_capacity(2 + address.host.len());
            value.put_u16(address.port);
            value.put_slice(address.host.as_bytes());
            put_extension(&mut out, EXT_JOIN_ADDRESS, &value);
        }
        set_len(&mut out, MAC_LEN);
        out
    }

    /// Parses a body whose MAC is already cut off.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(body);
        let session = SessionId(fields.array()?);
        let gateway_key = fields.array()?;
        let window = fields.u32()?;
        let ttl_s = fields.u32()?;
        let flags = fields.u16()?;
        fields.u16()?;
        let mut join_addresses = Vec::new();
        while let Some((kind, value)) = fields.extension()? {
            match kind {
                EXT_JOIN_ADDRESS => {
                    let mut inner = Fields::new(value);
                    let port = inner.u16()?;
                    let host = std::str::from_utf8(&value[2..])
                        .map_err(|_| WireError("join address is not UTF-8"))?;
                    if host.is_empty() || host.len() > 255 || port == 0 {
                        return Err(WireError("bad join address"));
                    }
                    if join_addresses.len() < MAX_JOIN_ADDRESSES {
                        join_addresses.push(JoinAddress {
                            host: host.to_owned(),
                            port,
                        });
                    }
                }
                other => unknown_extension(other)?,
            }
        }
        Ok(Self {
            session,
            gateway_key,
            window,
            ttl_s,
            pinned: flags & FLAG_PIN != 0,
            join_addresses,
        })
    }
}
