//! Platforms that nobody has looked at yet: unbound sockets work, everything else says that it does
//! not.

use std::{io, net::SocketAddr, sync::OnceLock, time::Duration, time::Instant};

use socket2::{SockRef, Socket};
use tokio::net::TcpStream;

use super::shared::lookup;
pub(crate) use super::shared::silent::Events;
use crate::{Binding, Interface, TcpHealth, connect::Direction};

pub(crate) const REUSE_ADDRESS_ON_LISTEN: bool = cfg!(unix);

fn unsupported<T>(what: &str) -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("{what} on this platform"),
    ))
}

/// May stand still during sleep.
pub(crate) fn boottime() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    unsupported("interfaces cannot be listed; feed them with feed_interfaces")
}

pub(crate) fn bind_interface(
    _socket: &Socket,
    _name: &str,
    _index: u32,
    _addr: SocketAddr,
    _direction: Direction,
) -> io::Result<()> {
    unsupported("sockets cannot be bound to an interface")
}

pub(crate) fn bind_network(_socket: &Socket, _handle: u64) -> io::Result<()> {
    unsupported("sockets cannot be bound to a network")
}

#[allow(clippy::unnecessary_wraps, reason = "other platforms can fail here")]
pub(crate) fn set_user_timeout(_socket: &SockRef<'_>, _timeout: Duration) -> io::Result<()> {
    Ok(())
}

#[allow(clippy::unnecessary_wraps, reason = "other platforms can fail here")]
pub(crate) fn set_notsent_lowat(_socket: &SockRef<'_>, _bytes: u32) -> io::Result<()> {
    Ok(())
}

pub(crate) fn tcp_health(_stream: &TcpStream) -> io::Result<TcpHealth> {
    unsupported("the health of a TCP connection is not known")
}

pub(crate) async fn resolve(
    host: &str,
    port: u16,
    _binding: &Binding,
) -> io::Result<Vec<SocketAddr>> {
    lookup::look_up(host, port).await
}
