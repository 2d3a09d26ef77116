//! A throw-away network, in which the kernel's MPTCP may be set otherwise and learn what it likes:
//! for this machine it changes nothing.
//!
//! A room has one device, whose other end this process carries to the real network by
//! [raw packets](crate::raw). Its packets leave from this machine's own address and from a port that
//! is held for them, so that to everybody outside they are this machine's.
//!
//! Linux with `CAP_NET_RAW`, `CAP_NET_ADMIN`, `CAP_SYS_ADMIN` and `/dev/net/tun` only; elsewhere
//! everything here fails as [`Unsupported`](io::ErrorKind::Unsupported).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream as StdStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use socket2::Socket;
use tokio::net::{TcpSocket, TcpStream};

use crate::mptcp::parse_counters;
use crate::raw::{Arrived, Carried, RawPackets, ReservedPort};
use crate::{Binding, checksum, sys};

/// Wakes up for nothing but the end of the wait: packets wake it as they come.
const IDLE: Duration = Duration::from_secs(60);
/// Of IPv6.
const HEADER: usize = 40;
const TCP: u8 = 6;
const HOPS: u8 = 64;
/// Where the flags of TCP are, and that of a SYN (RFC 9293 §3.1).
const FLAGS: usize = 13;
const SYN: u8 = 0x02;

/// See the [module](self). It is gone with the last of its sockets.
#[derive(Debug)]
pub struct Room {
    os: sys::Room,
    packets: RawPackets,
    port: ReservedPort,
    last: Mutex<Option<Sent>>,
}

/// A segment that left the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    seq: u32,
    is_syn: bool,
}

/// The only connection of a room, not made yet.
#[derive(Debug)]
pub struct Guest {
    socket: Socket,
    peer: SocketAddr,
}

impl Room {
    /// Makes one for a single connection with MPTCP to `peer`; with `checksums`, its kernel asks for
    /// checksums over the data (RFC 8684 §3.3). Otherwise it is set as this machine is. Must be called
    /// inside a tokio runtime. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without the capabilities;
    /// [`Unsupported`](io::ErrorKind::Unsupported) on other platforms than Linux, and for a peer that is
    /// this machine or on its link alone; the kernel's.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn open(
        binding: &Binding,
        peer: SocketAddr,
        checksums: bool,
    ) -> io::Result<(Self, Guest)> {
        let packets = RawPackets::open(binding, peer)?;
        let source = packets.source();
        let is_near = matches!(peer.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
        if source == peer.ip() || peer.ip().is_loopback() || is_near {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a peer on this machine, or of this link alone",
            ));
        }
        let port = packets.reserve()?;
        // The kernel refuses what comes to a port at which nobody listens. Here somebody does, who
        // is shown nothing.
        sys::show_nothing(port.socket())?;
        port.socket().listen(1)?;
        let number = port.number();
        let making = move || sys::Room::open(source, peer, number, checksums);
        // The kernel takes milliseconds for it.
        let (os, socket) = tokio::task::spawn_blocking(making).await??;
        let room = Self {
            os,
            packets,
            port,
            last: Mutex::default(),
        };
        Ok((room, Guest { socket, peer }))
    }

    /// Carries packets for as long as `work` takes, and then what its kernel has to say at once, as to a
    /// connection that was given up. Nothing that happens in the room goes on without.
    ///
    /// # Errors
    ///
    /// The kernel's, when packets cannot be carried any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work`, and packets that are on their way.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> io::Result<T> {
        let done = tokio::select! {
            done = work => done,
            error = self.carry_out() => return Err(error),
            error = self.carry_in() => return Err(error),
        };
        while let Ok(packet) = self.os.try_read() {
            self.carry(&packet).await?;
        }
        Ok(done)
    }

    /// Where the packets of the room come from.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        SocketAddr::new(self.packets.source(), self.port.number())
    }

    /// The sequence number of its SYN, if it had nothing to say after that: the peer may have accepted it,
    /// and wait for a long time.
    #[must_use]
    pub fn unanswered(&self) -> Option<u32> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|it| it.is_syn).map(|it| it.seq)
    }

    /// As [`counters`](crate::mptcp::counters), of this room, where nobody else counts.
    #[must_use]
    pub fn counters(&self) -> HashMap<String, u64> {
        parse_counters(&self.os.netstat().unwrap_or_default())
    }

    async fn carry_out(&self) -> io::Error {
        loop {
            let carried = match self.os.read().await {
                Ok(packet) => self.carry(&packet).await,
                Err(error) => Err(error),
            };
            if let Err(error) = carried {
                return error;
            }
        }
    }

    async fn carry(&self, packet: &[u8]) -> io::Result<()> {
        let Some(sent) = self.sent_from_here(packet) else {
            // What a kernel says when a device comes up: neighbours, routers, groups.
            return Ok(());
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent);
        self.packets.send(packet).await
    }

    async fn carry_in(&self) -> io::Error {
        loop {
            let packet = match self.packets.receive(IDLE).await {
                Ok(Some(arrived)) => self.of_this_room(arrived),
                Ok(None) => None,
                Err(error) => return error,
            };
            if let Some(packet) = packet {
                // A queue that is full drops, as everywhere.
                let _ = self.os.write(&packet);
            }
        }
    }

    fn sent_from_here(&self, packet: &[u8]) -> Option<Sent> {
        let tcp = match packet.first().map(|it| it >> 4) {
            Some(4) if packet.get(9) == Some(&TCP) => packet.get(after_v4(packet)..),
            Some(6) if packet.get(6) == Some(&TCP) => packet.get(HEADER..),
            _ => None,
        };
        let tcp = tcp.filter(|it| it.get(..2) == Some(&self.port.number().to_be_bytes()[..]))?;
        let seq = tcp.get(4..8)?.try_into().ok()?;
        Some(Sent {
            seq: u32::from_be_bytes(seq),
            is_syn: tcp.get(FLAGS)? & SYN != 0,
        })
    }

    /// The packet with its IP header, if it is for the room.
    fn of_this_room(&self, arrived: Arrived) -> Option<Vec<u8>> {
        if arrived.protocol != Carried::Tcp {
            return None;
        }
        let (mut packet, tcp) = match (self.packets.source(), arrived.source) {
            (IpAddr::V4(_), IpAddr::V4(_)) => {
                let at = after_v4(&arrived.bytes);
                (arrived.bytes, at)
            }
            (IpAddr::V6(here), IpAddr::V6(there)) => {
                (with_header(there, here, &arrived.bytes)?, HEADER)
            }
            _ => return None,
        };
        let to = packet.get(tcp + 2..tcp + 4)?;
        if to != self.port.number().to_be_bytes() {
            return None;
        }
        let addresses = if arrived.source.is_ipv6() {
            8..HEADER
        } else {
            12..20
        };
        let (header, segment) = packet.split_at_mut(tcp);
        checksum::finish(header.get(addresses)?, segment);
        Some(packet)
    }
}

impl Guest {
    /// Connects. It only comes to something [`during`](Room::during) which packets are carried.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect()).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket and ends the attempt.
    pub async fn connect(self) -> io::Result<TcpStream> {
        TcpSocket::from_std_stream(StdStream::from(self.socket))
            .connect(self.peer)
            .await
    }
}

fn after_v4(packet: &[u8]) -> usize {
    packet.first().map_or(0, |it| usize::from(it & 0x0f) * 4)
}

/// Raw sockets of IPv6 give the header to nobody.
fn with_header(source: Ipv6Addr, destination: Ipv6Addr, tcp: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(tcp.len()).ok()?;
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([TCP, HOPS]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(tcp);
    Some(packet)
}
