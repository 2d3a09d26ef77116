//! Platforms whose kernel has no MPTCP, or none that sockets can ask for.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::mptcp::{Endpoint, MptcpInfo, MptcpLimits};

pub(crate) const MPTCP: Option<i32> = None;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "there are no MPTCP sockets on this platform",
    ))
}

pub(crate) fn mptcp_info(_stream: &TcpStream) -> io::Result<Option<MptcpInfo>> {
    unsupported()
}

pub(crate) fn last_heard_at(_local: IpAddr) -> io::Result<Vec<(IpAddr, Duration)>> {
    unsupported()
}

pub(crate) fn end_subflow(_local: SocketAddr, _remote: SocketAddr) -> io::Result<()> {
    unsupported()
}

/// There is none.
#[derive(Debug)]
pub(crate) enum PathManager {}

impl PathManager {
    pub(crate) fn open() -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn namespace(&self) -> io::Result<u64> {
        match *self {}
    }

    pub(crate) fn endpoints(&mut self) -> io::Result<Vec<Endpoint>> {
        match *self {}
    }

    pub(crate) fn add(&mut self, _endpoint: &Endpoint) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn remove(&mut self, _endpoint: &Endpoint) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn limits(&mut self) -> io::Result<MptcpLimits> {
        match *self {}
    }

    pub(crate) fn set_limits(&mut self, _limits: MptcpLimits) -> io::Result<()> {
        match *self {}
    }
}
