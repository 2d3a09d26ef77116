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

const fn join_address_ok(host: &str, port: u16) -> bool {
    !host.is_empty() && host.len() <= 255 && port != 0
}

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
        // One that a client would not take would cost the session.
        let good = |address: &&JoinAddress| join_address_ok(&address.host, address.port);
        let announced = self.join_addresses.iter().filter(good);
        for address in announced.take(MAX_JOIN_ADDRESSES) {
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
                    if !join_address_ok(host, port) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::preamble::{HEADER_LEN, MAX_BODY};

    fn hello() -> Hello {
        let mut hello = Hello {
            version: crate::VERSION,
            client_key: [1; 32],
            retry_hash: [2; 32],
            pin: false,
            service: ServiceType::Aggregate,
            standby: Standby::Cold,
            window: 1,
            ttl_s: 2,
            credit: u64::MAX,
            role: Role::Backup,
            retry: None,
            base: Bytes::new(),
        };
        hello.base = hello.encode_base();
        hello
    }

    fn retry() -> Retry {
        Retry {
            secret: [3; 32],
            age_ms: u32::MAX,
            role: Role::Primary,
            data_sent: false,
        }
    }

    fn parse(whole: &[u8]) -> Result<Hello, WireError> {
        Hello::parse(crate::VERSION, whole, &whole[HEADER_LEN..])
    }

    fn with_extension(whole: &[u8], kind: u16, value: &[u8]) -> BytesMut {
        let mut out = BytesMut::from(whole);
        put_extension(&mut out, kind, value);
        set_len(&mut out, 0);
        out
    }

    fn welcome() -> Welcome {
        Welcome {
            session: SessionId([4; 16]),
            gateway_key: [5; 32],
            window: 6,
            ttl_s: 7,
            pinned: true,
            join_addresses: Vec::new(),
        }
    }

    fn address(host: &str, port: u16) -> JoinAddress {
        JoinAddress {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn a_hello_cut_anywhere_is_malformed() {
        let base = hello().base;
        assert_eq!(parse(&base), Ok(hello()));
        for n in HEADER_LEN..base.len() {
            assert!(parse(&base[..n]).is_err(), "{n}");
        }
        let repeated = Hello::encode_retry(&base, &retry());
        for n in base.len() + 1..repeated.len() {
            assert!(parse(&repeated[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn unknown_extensions_of_a_hello_are_passed_over_unless_critical() {
        let base = hello().base;
        let more = with_extension(&base, 0x0777, b"whatever");
        let parsed = parse(&more).unwrap();
        assert_eq!(parsed.client_key, hello().client_key);
        assert_eq!(parsed.base, more);
        let critical = with_extension(&base, 0x8777, b"whatever");
        assert_eq!(
            parse(&critical),
            Err(WireError("unknown critical extension"))
        );
    }

    #[test]
    fn the_first_hello_is_what_remains_without_the_retry() {
        let first = with_extension(&hello().base, 0x0777, b"whatever").freeze();
        let repeated = Hello::encode_retry(&first, &retry());
        let parsed = parse(&repeated).unwrap();
        assert_eq!(parsed.base, first);
        assert_eq!(parsed.retry, Some(retry()));
        assert_eq!(parsed.role(), Role::Primary);
    }

    #[test]
    fn the_retry_stands_last_and_has_its_length() {
        let repeated = Hello::encode_retry(&hello().base, &retry());
        assert!(parse(&with_extension(&repeated, 0x0777, b"x")).is_err());
        assert!(parse(&Hello::encode_retry(&repeated, &retry())).is_err());
        assert!(parse(&with_extension(&hello().base, EXT_RETRY, &[0; 37])).is_err());
        assert!(parse(&with_extension(&hello().base, EXT_RETRY, &[0; 39])).is_err());
    }

    #[test]
    fn a_role_that_does_not_exist_is_malformed_but_a_new_service_is_not() {
        let mut base = BytesMut::from(&hello().base[..]);
        base[HEADER_LEN + 66] = 9;
        assert_eq!(parse(&base).unwrap().service, ServiceType::Handover);
        base[HEADER_LEN + 84] = 2;
        assert_eq!(parse(&base), Err(WireError("unknown role")));
    }

    #[test]
    fn a_welcome_cut_anywhere_is_malformed() {
        let mut full = welcome();
        full.join_addresses.push(address("a", 1));
        let whole = full.encode();
        let body = &whole[HEADER_LEN..];
        let bare = body.len() - 7;
        assert_eq!(Welcome::parse(body), Ok(full));
        assert_eq!(Welcome::parse(&body[..bare]), Ok(welcome()));
        for n in (0..body.len()).filter(|n| *n != bare) {
            assert!(Welcome::parse(&body[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn unknown_extensions_of_a_welcome_are_passed_over_unless_critical() {
        let whole = welcome().encode();
        let with = |kind| with_extension(&whole, kind, b"x");
        assert_eq!(Welcome::parse(&with(0x7777)[HEADER_LEN..]), Ok(welcome()));
        assert!(Welcome::parse(&with(0x8002)[HEADER_LEN..]).is_err());
    }

    #[test]
    fn join_addresses_that_make_no_sense_are_malformed() {
        let whole = welcome().encode();
        let values: [&[u8]; 5] = [b"", b"\0", b"\0\x50", b"\0\0host", b"\0\x50\xff"];
        for value in values {
            let with = with_extension(&whole, EXT_JOIN_ADDRESS, value);
            assert!(Welcome::parse(&with[HEADER_LEN..]).is_err(), "{value:?}");
        }
        let long = [b"\0\x50", &[b'a'; 256][..]].concat();
        let with = with_extension(&whole, EXT_JOIN_ADDRESS, &long);
        assert!(Welcome::parse(&with[HEADER_LEN..]).is_err());
    }

    #[test]
    fn a_gateway_announces_only_what_a_client_takes() {
        let mut full = welcome();
        let long = "a".repeat(255);
        full.join_addresses = vec![
            address("", 1),
            address("b", 0),
            address(&"c".repeat(256), 1),
        ];
        full.join_addresses.extend(vec![address(&long, 1); 9]);
        let whole = full.encode();
        assert!(whole.len() + MAC_LEN <= HEADER_LEN + MAX_BODY);
        let parsed = Welcome::parse(&whole[HEADER_LEN..]).unwrap();
        assert_eq!(parsed.join_addresses, vec![address(&long, 1); 8]);
        let more = with_extension(&whole, EXT_JOIN_ADDRESS, b"\0\x50ninth");
        assert_eq!(Welcome::parse(&more[HEADER_LEN..]), Ok(parsed));
    }
}
