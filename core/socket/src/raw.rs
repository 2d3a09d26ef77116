//! TCP packets of one's own making, and what comes back for them: segments and ICMP errors.
//!
//! Linux with `CAP_NET_RAW` only; elsewhere everything here fails as
//! [`Unsupported`](io::ErrorKind::Unsupported). What arrives is given as the kernel gives it, and
//! believed by nobody before it is parsed.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::timeout;

use crate::connect::{Direction, bind};
use crate::{Binding, sys};

/// What an arrived packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// A segment from the peer.
    Tcp,
    /// An ICMP or ICMPv6 message from anybody: time exceeded, or destination unreachable.
    Icmp,
}

/// A packet that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrived {
    /// Who sent it.
    pub source: IpAddr,
    /// What it is.
    pub protocol: Carried,
    /// IPv4: with its IP header. IPv6: without.
    pub bytes: Vec<u8>,
}

/// Sockets for packets between this machine and one TCP port of a peer.
#[derive(Debug)]
pub struct RawPackets {
    os: sys::RawPackets,
    peer: SocketAddr,
    source: IpAddr,
    binding: Binding,
}

impl RawPackets {
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_RAW`;
    /// [`Unsupported`](io::ErrorKind::Unsupported) on other platforms than Linux; the kernel's, as
    /// when no route leads to the peer.
    pub fn open(binding: &Binding, peer: SocketAddr) -> io::Result<Self> {
        let os = sys::RawPackets::open(binding, peer)?;
        let source = source_towards(binding, peer)?;
        Ok(Self {
            os,
            peer,
            source,
            binding: binding.clone(),
        })
    }

    /// The peer.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address that packets to the peer leave from.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// A TCP port of this machine that nobody else gets until it is dropped. Nobody listens on it:
    /// the kernel answers what arrives there with a RST, so that nothing stays open at the peer.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn reserve(&self) -> io::Result<ReservedPort> {
        let address = SocketAddr::new(self.source, 0);
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        bind(&socket, &self.binding, self.peer, Direction::Out)?;
        let mut address = socket2::SockAddr::from(address);
        if let (SocketAddr::V6(peer), IpAddr::V6(source)) = (self.peer, self.source) {
            address = std::net::SocketAddrV6::new(source, 0, 0, peer.scope_id()).into();
        }
        socket.bind(&address)?;
        let port = socket.local_addr()?.as_socket().map_or(0, |it| it.port());
        Ok(ReservedPort { port, socket })
    }

    /// Sends a whole IP packet.
    ///
    /// # Errors
    ///
    /// The kernel's.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready sends nothing.
    pub async fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.os.send(packet, self.peer).await
    }

    /// The next packet, or `None` once `limit` has passed.
    ///
    /// # Errors
    ///
    /// The kernel's.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn receive(&self, limit: Duration) -> io::Result<Option<Arrived>> {
        match timeout(limit, self.os.receive(self.peer)).await {
            Ok(arrived) => arrived.map(Some),
            Err(_) => Ok(None),
        }
    }
}

/// See [`RawPackets::reserve`].
#[derive(Debug)]
pub struct ReservedPort {
    port: u16,
    socket: Socket,
}

impl ReservedPort {
    pub(crate) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.port
    }
}

/// Whether raw packets can be sent and received here; nothing is sent to find out.
///
/// # Errors
///
/// As [`RawPackets::open`].
pub fn is_permitted() -> io::Result<()> {
    sys::raw_is_permitted()
}

/// The address of this machine that packets to `peer` leave from. Sends nothing.
///
/// # Errors
///
/// The kernel's when no route leads there.
pub fn source_towards(binding: &Binding, peer: SocketAddr) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
    bind(&socket, binding, peer, Direction::Out)?;
    socket.connect(&peer.into())?;
    Ok(UdpSocket::from(socket).local_addr()?.ip())
}
