//! Windows 10 and later: `IP_UNICAST_IF` and a source address, since it is a strong host.

mod adapters;
mod events;
mod health;
mod option;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use socket2::{SockRef, Socket};

pub(crate) use self::{adapters::interfaces, events::Events, health::tcp_health, option::boottime};
use super::shared::lookup;
use crate::{Binding, connect::Direction};

/// Here the option would let two listeners share an address.
pub(crate) const REUSE_ADDRESS_ON_LISTEN: bool = false;

pub(crate) fn bind_interface(
    socket: &Socket,
    name: &str,
    index: u32,
    addr: SocketAddr,
    direction: Direction,
) -> io::Result<()> {
    if direction == Direction::In {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "Windows cannot bind a listener to an interface; listen on the interface's address",
        ));
    }
    let not_there = || io::Error::new(io::ErrorKind::NotFound, format!("no interface {name}"));
    let list = interfaces()?;
    let interface = list
        .iter()
        .find(|interface| index != 0 && interface.index == index)
        .or_else(|| list.iter().find(|interface| interface.name == name))
        .ok_or_else(not_there)?;
    option::set_unicast_interface(socket, interface.index, addr)?;
    // Without a route by this interface the system says so at connect; without an address there is
    // nothing to bind to, and the option alone has to do.
    match source(&interface.addresses, addr) {
        Some(source) => socket.bind(&SocketAddr::new(source, 0).into()),
        None => Ok(()),
    }
}

/// An address of the same family, and not a link-local one unless the target is.
fn source(addresses: &[IpAddr], target: SocketAddr) -> Option<IpAddr> {
    let is_link_local = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let wanted = is_link_local(&target.ip());
    addresses
        .iter()
        .copied()
        .find(|ip| ip.is_ipv4() == target.is_ipv4() && is_link_local(ip) == wanted)
}

pub(crate) fn bind_network(_socket: &Socket, _handle: u64) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "only Android has network handles; bind to an interface",
    ))
}

pub(crate) fn set_user_timeout(socket: &SockRef<'_>, timeout: Duration) -> io::Result<()> {
    option::set_retransmission_limit(socket, timeout)
}

/// There is no such option; the caller's own bound on unsent bytes has to do.
#[allow(clippy::unnecessary_wraps, reason = "other platforms can fail here")]
pub(crate) fn set_notsent_lowat(_socket: &SockRef<'_>, _bytes: u32) -> io::Result<()> {
    Ok(())
}

pub(crate) async fn resolve(
    host: &str,
    port: u16,
    _binding: &Binding,
) -> io::Result<Vec<SocketAddr>> {
    lookup::look_up(host, port).await
}
