//! iOS, macOS and their siblings: `IP_BOUND_IF`, `getifaddrs`, the routing socket, DNS-SD.

mod dns;
mod events;
mod health;
mod kind;
mod option;

use std::{io, net::SocketAddr, num::NonZeroU32, time::Duration};

use socket2::{SockRef, Socket};

pub(crate) use self::{events::Events, health::tcp_health};
use super::shared::{clock, ifaddrs, lookup};
use crate::{Binding, Interface, connect::Direction};

pub(crate) const REUSE_ADDRESS_ON_LISTEN: bool = true;

/// <netinet/tcp.h>: seconds of retransmission after which a connection is dropped.
const TCP_RXT_CONNDROPTIME: libc::c_int = 0x80;
/// <netinet/tcp.h>
const TCP_NOTSENT_LOWAT: libc::c_int = 0x201;

pub(crate) fn boottime() -> Duration {
    // Here it is CLOCK_UPTIME_RAW that stands still during sleep.
    clock::read(libc::CLOCK_MONOTONIC_RAW).unwrap_or_default()
}

pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    let asked = kind::Query::new()?;
    ifaddrs::list(|name, flags| asked.kind(name, flags))
}

/// EHOSTUNREACH or ENETUNREACH from connect: no route leaves by the interface. The option must be
/// that of the socket's family.
pub(crate) fn bind_interface(
    socket: &Socket,
    name: &str,
    index: u32,
    addr: SocketAddr,
    _direction: Direction,
) -> io::Result<()> {
    let index = match NonZeroU32::new(index) {
        Some(index) => index,
        None => kind::index_of(name)?,
    };
    match addr {
        SocketAddr::V4(_) => socket.bind_device_by_index_v4(Some(index)),
        SocketAddr::V6(_) => socket.bind_device_by_index_v6(Some(index)),
    }
}

pub(crate) fn bind_network(_socket: &Socket, _handle: u64) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only Android has network handles; bind to an interface",
    ))
}

pub(crate) fn set_user_timeout(socket: &SockRef<'_>, timeout: Duration) -> io::Result<()> {
    let seconds = libc::c_int::try_from(timeout.as_secs()).unwrap_or(libc::c_int::MAX);
    option::set(
        socket,
        libc::IPPROTO_TCP,
        TCP_RXT_CONNDROPTIME,
        seconds.max(1),
    )
}

pub(crate) fn set_notsent_lowat(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    option::set(socket, libc::IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes)
}

pub(crate) async fn resolve(
    host: &str,
    port: u16,
    binding: &Binding,
) -> io::Result<Vec<SocketAddr>> {
    match binding {
        Binding::Interface { name, index } => {
            let index = match NonZeroU32::new(*index) {
                Some(index) => index,
                None => kind::index_of(name)?,
            };
            dns::resolve(host, port, index).await
        }
        _ => lookup::look_up(host, port).await,
    }
}
