//! Platforms on which a program can neither make TCP packets of its own nor see those that arrive.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use crate::Binding;
use crate::raw::Arrived;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "raw TCP packets are for Linux only",
    ))
}

/// There are none.
#[derive(Debug)]
pub(crate) enum RawPackets {}

impl RawPackets {
    pub(crate) fn open(_binding: &Binding, _peer: SocketAddr) -> io::Result<Self> {
        unsupported()
    }

    #[allow(clippy::unused_async, reason = "Linux waits here")]
    pub(crate) async fn send(&self, _packet: &[u8], _peer: SocketAddr) -> io::Result<()> {
        match *self {}
    }

    #[allow(clippy::unused_async, reason = "Linux waits here")]
    pub(crate) async fn receive(&self, _peer: SocketAddr) -> io::Result<Arrived> {
        match *self {}
    }
}

pub(crate) fn raw_is_permitted() -> io::Result<()> {
    unsupported()
}

pub(crate) fn save_syns(_listener: &TcpListener) -> io::Result<()> {
    unsupported()
}

pub(crate) fn saved_syn(_stream: &TcpStream) -> io::Result<Vec<u8>> {
    unsupported()
}
