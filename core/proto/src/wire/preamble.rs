//! The frozen header that opens every leg, in both directions.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::WireError;
use crate::wire::fields::Fields;

/// First bytes of a client. 0xF5 opens no TLS, HTTP, SSH, SOCKS or PROXY stream and no UTF-8 text.
pub(crate) const CLIENT_MAGIC: [u8; 8] = *b"\xf5TWINP\r\n";
/// First bytes of a gateway; they differ, so that an echo service is not taken for one.
pub(crate) const GATEWAY_MAGIC: [u8; 8] = *b"\xf5TWING\r\n";
/// Magic, kind, version and length.
pub(crate) const HEADER_LEN: usize = 12;
/// No body is longer.
pub(crate) const MAX_BODY: usize = 4096;

/// What a preamble is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Hello,
    Join,
    Welcome,
    Joined,
    Refused,
}

impl Kind {
    const fn to_wire(self) -> u8 {
        match self {
            Self::Hello => 0x01,
            Self::Join => 0x02,
            Self::Welcome => 0x81,
            Self::Joined => 0x82,
            Self::Refused => 0x83,
        }
    }

    const fn from_wire(value: u8) -> Option<Self> {
        match value {
            0x01 => Some(Self::Hello),
            0x02 => Some(Self::Join),
            0x81 => Some(Self::Welcome),
            0x82 => Some(Self::Joined),
            0x83 => Some(Self::Refused),
            _ => None,
        }
    }

    const fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Hello | Self::Join => &CLIENT_MAGIC,
            Self::Welcome | Self::Joined | Self::Refused => &GATEWAY_MAGIC,
        }
    }
}

/// The header, parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// `None`: a kind that this version does not know.
    pub(crate) kind: Option<Kind>,
    pub(crate) version: u8,
    pub(crate) body_len: usize,
}

/// How the first bytes of a leg compare with what they should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sniff {
    /// The same so far, but not enough of it.
    Incomplete,
    /// Something else.
    Foreign,
    /// A header.
    Header(Header),
}

/// Compares with `magic` byte by byte: the first that differs decides.
pub(crate) fn sniff(bytes: &[u8], magic: &[u8; 8]) -> Sniff {
    let n = bytes.len().min(magic.len());
    if bytes[..n] != magic[..n] {
        return Sniff::Foreign;
    }
    let Some(rest) = bytes.get(8..HEADER_LEN) else {
        return Sniff::Incomplete;
    };
    Sniff::Header(Header {
        kind: Kind::from_wire(rest[0]),
        version: rest[1],
        body_len: usize::from(u16::from_be_bytes([rest[2], rest[3]])),
    })
}

/// Starts a preamble; `finish` puts in the length.
pub(crate) fn begin(kind: Kind, version: u8) -> BytesMut {
    let mut out = BytesMut::with_capacity(256);
    out.put_slice(kind.magic());
    out.put_u8(kind.to_wire());
    out.put_u8(version);
    out.put_u16(0);
    out
}

/// Writes the length of the body, of which `more` bytes are still to come (a MAC).
pub(crate) fn set_len(out: &mut BytesMut, more: usize) {
    let len = (out.len() - HEADER_LEN + more).min(MAX_BODY);
    // Bounded by MAX_BODY, which fits.
    out[10..12].copy_from_slice(&(len as u16).to_be_bytes());
}

/// The codes of REFUSED, with what comes with them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) code: u8,
    pub(crate) min_version: u8,
    pub(crate) max_version: u8,
    /// Only with a closed session: bytes read, bytes written by the gateway's side.
    pub(crate) offsets: Option<(u64, u64)>,
    pub(crate) mac: Option<[u8; 32]>,
}

impl Refused {
    /// The preamble without a MAC.
    pub(crate) fn encode(code: u8, offsets: Option<(u64, u64)>, mac_len: usize) -> BytesMut {
        let mut out = begin(Kind::Refused, crate::VERSION);
        out.put_u8(code);
        out.put_u8(crate::MIN_VERSION);
        out.put_u8(crate::VERSION);
        out.put_u8(0);
        if let Some((read, written)) = offsets {
            out.put_u64(read);
            out.put_u64(written);
        }
        set_len(&mut out, mac_len);
        out
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(body);
        let (code, min_version, max_version) = (fields.u8()?, fields.u8()?, fields.u8()?);
        let mut refused = Self {
            code,
            min_version,
            max_version,
            offsets: None,
            mac: None,
        };
        fields.u8()?;
        if body.len() >= 4 + 16 + 32 {
            refused.offsets = Some((fields.u64()?, fields.u64()?));
            refused.mac = Some(fields.array()?);
        }
        Ok(refused)
    }
}

/// A REFUSED without a session.
pub(crate) fn refused(code: crate::error::Refusal) -> Bytes {
    Refused::encode(code.to_wire(), None, 0).freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    #[test]
    fn the_first_byte_that_differs_decides() {
        let whole = refused(Refusal::Busy);
        for n in 0..HEADER_LEN {
            assert_eq!(sniff(&whole[..n], &GATEWAY_MAGIC), Sniff::Incomplete);
        }
        for n in 0..GATEWAY_MAGIC.len() {
            let mut other = whole[..=n].to_vec();
            other[n] ^= 1;
            assert_eq!(sniff(&other, &GATEWAY_MAGIC), Sniff::Foreign);
        }
        assert_eq!(sniff(&whole, &CLIENT_MAGIC), Sniff::Foreign);
    }

    #[test]
    fn no_other_protocol_begins_as_a_session_does() {
        let others: [&[u8]; 8] = [
            b"GET / HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"\x16\x03\x01",
            b"SSH-2.0-x",
            b"\x04\x01",
            b"\x05\x01\x00",
            b"PROXY TCP4",
            b"\r\n\r\n\x00\r\nQUIT\n",
        ];
        for other in others {
            assert_eq!(sniff(&other[..1], &CLIENT_MAGIC), Sniff::Foreign);
            assert_eq!(sniff(other, &GATEWAY_MAGIC), Sniff::Foreign);
        }
        assert!(std::str::from_utf8(&CLIENT_MAGIC).is_err());
    }

    #[test]
    fn a_kind_of_a_later_version_still_has_a_header() {
        let mut bytes = begin(Kind::Welcome, 9);
        bytes[8] = 0x84;
        let header = Header {
            kind: None,
            version: 9,
            body_len: 0,
        };
        assert_eq!(sniff(&bytes, &GATEWAY_MAGIC), Sniff::Header(header));
    }

    #[test]
    fn refused_may_be_longer_but_not_shorter_than_known() {
        let whole = Refused::encode(3, Some((5, 6)), 32);
        let mut body = whole[HEADER_LEN..].to_vec();
        body.extend_from_slice(&[7; 32]);
        for n in 0..4 {
            assert!(Refused::parse(&body[..n]).is_err());
        }
        for n in 4..body.len() {
            assert_eq!(Refused::parse(&body[..n]).unwrap().offsets, None);
        }
        let closed = Refused::parse(&body).unwrap();
        assert_eq!((closed.offsets, closed.mac), (Some((5, 6)), Some([7; 32])));
        body.push(0);
        assert!(Refused::parse(&body).is_ok());
    }
}
