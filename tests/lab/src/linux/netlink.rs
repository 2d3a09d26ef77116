//! Netlink requests: built by hand, sent, and waited for.

use std::io::{self, Read as _};

use socket2::{Domain, Protocol, Socket, Type};

const HEADER: usize = 16;
const REQUEST: u16 = 0x01;
const ACK: u16 = 0x04;
const NESTED: u16 = 0x8000;

const MESSAGE_ERROR: u16 = 2;
const MESSAGE_DONE: u16 = 3;

/// Flag of a request that makes something.
pub(super) const CREATE: u16 = 0x400;
/// Flag of a request that may replace what is there.
pub(super) const REPLACE: u16 = 0x100;

/// Flag of a request that must not find it there.
pub(super) const EXCLUSIVE: u16 = 0x200;

const ROUTE: i32 = 0;
const GENERIC: i32 = 16;

/// A message under construction.
#[derive(Debug)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// A request of `kind` whose fixed part is `body`.
    pub(super) fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST | ACK).to_ne_bytes());
        bytes.extend_from_slice(body);
        Self(bytes).pad()
    }

    fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        // Attributes here are a few bytes long.
        let length = (4 + value.len()) as u16;
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.pad()
    }

    pub(super) fn u32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    pub(super) fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self = fill(self.attribute(kind | NESTED, &[]));
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

/// The attributes of a message, one by one.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]));
        let kind = u16::from_ne_bytes([*bytes.get(2)?, *bytes.get(3)?]) & !NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A socket on which one request is made at a time.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// For links, addresses, routes and rules of the calling thread's namespace.
    pub(super) fn route() -> io::Result<Self> {
        Self::open(ROUTE)
    }

    /// For generic families of the calling thread's namespace.
    pub(super) fn generic() -> io::Result<Self> {
        Self::open(GENERIC)
    }

    fn open(protocol: i32) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::from(libc::AF_NETLINK),
            Type::RAW,
            Some(Protocol::from(protocol)),
        )?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Sends the request, waits until it is acknowledged, and returns the answer's body if any.
    pub(super) fn request(&mut self, request: Request) -> io::Result<Option<Vec<u8>>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = request.0;
        let length = bytes.len() as u32;
        bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        self.socket.send(&bytes)?;
        let mut answer = None;
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let length = (&self.socket).read(&mut buffer)?;
            let mut rest = &buffer[..length];
            while rest.len() >= HEADER {
                let size = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                let sequence = u32::from_ne_bytes([rest[8], rest[9], rest[10], rest[11]]);
                let Some(body) = rest.get(HEADER..size) else {
                    return Err(io::ErrorKind::InvalidData.into());
                };
                if sequence == self.sequence {
                    match kind {
                        MESSAGE_ERROR => return outcome(body).map(|()| answer),
                        MESSAGE_DONE => return Ok(answer),
                        _ => answer = Some(body.to_vec()),
                    }
                }
                rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

fn outcome(body: &[u8]) -> io::Result<()> {
    let Some(code) = body.get(..4) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    match i32::from_ne_bytes([code[0], code[1], code[2], code[3]]) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code)),
    }
}
