//! Raw sockets: one to send whole packets, one for the peer's segments, one for ICMP errors.
#![allow(unsafe_code, reason = "tokio takes descriptors on trust")]

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::Binding;
use crate::connect::{Direction, bind};
use crate::raw::{Arrived, Carried};

/// The largest packet: a kernel hands on as one what it has merged, or what its neighbour has not split.
const MOST: usize = 65_535;
/// Room for the answers to many probes at once.
const BUFFER: usize = 1 << 20;

// Classic BPF (include/uapi/linux/bpf_common.h).
const LOAD_BYTE_AT_X: u16 = 0x50;
const LOAD_HALF_AT_X: u16 = 0x48;
const LOAD_X_IP_LENGTH: u16 = 0xb1;
const LOAD_X: u16 = 0x01;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

#[derive(Debug)]
pub(crate) struct RawPackets {
    out: AsyncFd<UdpSocket>,
    // A raw socket and a UDP socket read alike, and std reads without `MaybeUninit`.
    tcp: AsyncFd<UdpSocket>,
    icmp: AsyncFd<UdpSocket>,
}

impl RawPackets {
    pub(crate) fn open(binding: &Binding, peer: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(peer);
        let make = |protocol: Protocol| -> io::Result<Socket> {
            let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
            socket.set_nonblocking(true)?;
            bind(&socket, binding, peer, Direction::Out)?;
            Ok(socket)
        };
        let out = make(Protocol::from(libc::IPPROTO_RAW))?;
        let tcp = make(Protocol::TCP)?;
        tcp.attach_filter(&from_port(peer))?;
        let icmp = if peer.is_ipv4() {
            out.set_header_included_v4(true)?;
            make(Protocol::ICMPV4)?
        } else {
            out.set_header_included_v6(true)?;
            make(Protocol::ICMPV6)?
        };
        icmp.attach_filter(&errors(peer))?;
        for socket in [&tcp, &icmp] {
            socket.set_recv_buffer_size(BUFFER)?;
        }
        let wrap = |socket: Socket, interest| {
            let socket = UdpSocket::from(std::os::fd::OwnedFd::from(socket));
            // SAFETY: the socket owns its descriptor, which stays the same until it is dropped.
            unsafe { AsyncFd::register_with_interest(socket, interest) }
        };
        Ok(Self {
            out: wrap(out, Interest::WRITABLE)?,
            tcp: wrap(tcp, Interest::READABLE)?,
            icmp: wrap(icmp, Interest::READABLE)?,
        })
    }

    pub(crate) async fn send(&self, packet: &[u8], peer: SocketAddr) -> io::Result<()> {
        let mut to = peer;
        // A raw socket of IPv6 takes it for the protocol.
        to.set_port(0);
        let write = |socket: &UdpSocket| socket.send_to(packet, to).map(drop);
        self.out.async_io(Interest::WRITABLE, write).await
    }

    pub(crate) async fn receive(&self, peer: SocketAddr) -> io::Result<Arrived> {
        loop {
            let arrived = tokio::select! {
                segment = read(&self.tcp, Carried::Tcp) => segment?,
                error = read(&self.icmp, Carried::Icmp) => error?,
            };
            if arrived.protocol == Carried::Icmp || arrived.source == peer.ip() {
                return Ok(arrived);
            }
        }
    }
}

pub(crate) fn raw_is_permitted() -> io::Result<()> {
    Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP)).map(drop)
}

/// Has the socket be shown nothing that arrives, which the kernel then answers with nothing.
pub(crate) fn show_nothing(socket: &Socket) -> io::Result<()> {
    socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])
}

async fn read(socket: &AsyncFd<UdpSocket>, protocol: Carried) -> io::Result<Arrived> {
    let read = |socket: &UdpSocket| {
        let mut space = [0; MOST];
        let (length, source) = socket.recv_from(&mut space)?;
        Ok((space[..length].to_vec(), source))
    };
    let (bytes, source) = socket.async_io(Interest::READABLE, read).await?;
    let source: IpAddr = source.ip();
    Ok(Arrived {
        source,
        protocol,
        bytes,
    })
}

/// Where the packet proper begins: raw sockets of IPv4 see the IP header, those of IPv6 do not.
fn after_header(peer: SocketAddr) -> SockFilter {
    match peer {
        SocketAddr::V4(_) => SockFilter::new(LOAD_X_IP_LENGTH, 0, 0, 0),
        SocketAddr::V6(_) => SockFilter::new(LOAD_X, 0, 0, 0),
    }
}

/// The peer's port alone: a busy machine receives much else.
fn from_port(peer: SocketAddr) -> [SockFilter; 5] {
    [
        after_header(peer),
        SockFilter::new(LOAD_HALF_AT_X, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, peer.port().into()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

/// Time exceeded and destination unreachable.
fn errors(peer: SocketAddr) -> [SockFilter; 6] {
    let (unreachable, exceeded) = match peer {
        SocketAddr::V4(_) => (3, 11),
        SocketAddr::V6(_) => (1, 3),
    };
    [
        after_header(peer),
        SockFilter::new(LOAD_BYTE_AT_X, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, unreachable),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, exceeded),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
