//! Linux: netlink for interfaces, `SO_BINDTODEVICE` for sockets.

mod events;
mod generic;
mod kind;
mod list;
mod message;
mod mptcp;
mod netlink;
mod raw;
mod resolver;
mod room;
pub(crate) mod runtime;
mod saved_syn;

use std::{io, net::SocketAddr, num::NonZeroU32, time::Duration};

use socket2::{SockRef, Socket};

pub(crate) use self::{
    events::Events,
    list::interfaces,
    mptcp::{PROTOCOL as MPTCP, PathManager, end_subflow, last_heard_at, mptcp_info},
    raw::{RawPackets, raw_is_permitted, show_nothing},
    resolver::resolve,
    room::Room,
    saved_syn::{save_syns, saved_syn},
};
use super::shared::clock;
pub(crate) use super::shared::tcp_info::tcp_health;
use crate::connect::Direction;

/// Without it a server could not start again while its old connections are in TIME_WAIT.
pub(crate) const REUSE_ADDRESS_ON_LISTEN: bool = true;

pub(crate) fn boottime() -> Duration {
    // Every kernel since 2.6.39 has this clock.
    clock::read(libc::CLOCK_BOOTTIME).unwrap_or_default()
}

/// By name: the index of an interface that is gone would be taken without an error, and one that
/// was made anew has another. Unprivileged since Linux 5.7 for a socket that is not bound yet.
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

pub(crate) fn bind_network(_socket: &Socket, _handle: u64) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only Android has network handles; bind to an interface",
    ))
}

pub(crate) fn set_user_timeout(socket: &SockRef<'_>, timeout: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(timeout))
}

pub(crate) fn set_notsent_lowat(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(bytes)
}
