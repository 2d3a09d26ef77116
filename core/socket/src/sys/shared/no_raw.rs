//! Platforms on which a program can neither make TCP packets of its own nor see those that arrive.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::Socket;
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

/// There are none.
#[derive(Debug)]
pub(crate) enum Room {}

impl Room {
    pub(crate) fn open(
        _source: IpAddr,
        _peer: SocketAddr,
        _port: u16,
        _checksums: bool,
    ) -> io::Result<(Self, Socket)> {
        unsupported()
    }

    #[allow(clippy::unused_async, reason = "Linux waits here")]
    pub(crate) async fn read(&self) -> io::Result<Vec<u8>> {
        match *self {}
    }

    pub(crate) fn try_read(&self) -> io::Result<Vec<u8>> {
        match *self {}
    }

    pub(crate) fn write(&self, _packet: &[u8]) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn netstat(&self) -> io::Result<String> {
        match *self {}
    }
}

pub(crate) fn raw_is_permitted() -> io::Result<()> {
    unsupported()
}

pub(crate) fn show_nothing(_socket: &Socket) -> io::Result<()> {
    unsupported()
}

pub(crate) fn save_syns(_listener: &TcpListener) -> io::Result<()> {
    unsupported()
}

pub(crate) fn saved_syn(_stream: &TcpStream) -> io::Result<Vec<u8>> {
    unsupported()
}
