//! Android, from API level 24: networks rather than interfaces. The lists and the changes are best
//! fed from `ConnectivityManager`, since netlink is closed to apps.

mod network;
#[cfg(feature = "trust")]
mod trust;

use std::{io, net::SocketAddr, num::NonZeroU32, time::Duration};

use socket2::{SockRef, Socket};

pub(crate) use self::network::bind_network;
#[cfg(feature = "trust")]
pub(crate) use self::trust::platform_verifier;
use super::shared::{clock, ifaddrs, lookup, names};
pub(crate) use super::shared::{silent::Events, tcp_info::tcp_health};
use crate::{Binding, Interface, connect::Direction};

pub(crate) const REUSE_ADDRESS_ON_LISTEN: bool = true;

pub(crate) fn boottime() -> Duration {
    clock::read(libc::CLOCK_BOOTTIME).unwrap_or_default()
}

pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    ifaddrs::list(|name, _flags| names::kind(name))
}

/// Without a network handle: the kernel allows it, but it goes around Android's own choice of
/// networks. By name, since the index of an interface that is gone would be taken without an error.
pub(crate) fn bind_interface(
    socket: &Socket,
    name: &str,
    index: u32,
    _addr: SocketAddr,
    _direction: Direction,
) -> io::Result<()> {
    match NonZeroU32::new(index) {
        Some(index) if name.is_empty() => socket.bind_device_by_index_v4(Some(index)),
        _ => socket.bind_device(Some(name.as_bytes())),
    }
}

pub(crate) fn set_user_timeout(socket: &SockRef<'_>, timeout: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(timeout))
}

pub(crate) fn set_notsent_lowat(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(bytes)
}

pub(crate) async fn resolve(
    host: &str,
    port: u16,
    binding: &Binding,
) -> io::Result<Vec<SocketAddr>> {
    match binding {
        Binding::AndroidNetwork(handle) => network::resolve(host, port, *handle).await,
        _ => lookup::look_up(host, port).await,
    }
}
