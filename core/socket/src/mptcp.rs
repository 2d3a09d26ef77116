//! Multipath TCP as the kernel makes it (RFC 8684): what a connection has negotiated, its subflows,
//! and the path manager, which decides by which addresses connections open further ones.
//!
//! Linux only; elsewhere everything here fails as [`Unsupported`](io::ErrorKind::Unsupported).
//! Sockets are made by [`connect`](crate::connect()) and [`listen`](crate::listen) with the option
//! `mptcp`.

use std::{
    collections::HashMap,
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use crate::{TcpHealth, sys};

/// What the kernel says of a connection at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MptcpInfo {
    /// The subflows, in the order in which they were opened.
    pub subflows: Vec<Subflow>,
    /// Bytes of the stream that the peer has not acknowledged, on whichever subflow they were sent.
    pub unacked: u64,
    /// Names the connection in this network namespace.
    pub token: u32,
    /// Whether the data has checksums (RFC 8684 §3.3): if one of both ends asks for them.
    pub checksums: bool,
}

/// One TCP connection under an MPTCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subflow {
    /// The address at this end, which tells the interface.
    pub local: SocketAddr,
    /// The address of the peer.
    pub remote: SocketAddr,
    /// Whether its handshake is done and neither end has begun to close it.
    pub established: bool,
    /// Whether it is over; the kernel goes on listing the first one.
    pub closed: bool,
    /// How it is doing.
    pub health: TcpHealth,
}

impl Subflow {
    /// A subflow between two addresses, of which nothing more is known.
    #[must_use]
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            local,
            remote,
            established: false,
            closed: false,
            health: TcpHealth::default(),
        }
    }
}

/// Whether sockets that ask for MPTCP can be made here, now.
///
/// # Errors
///
/// The kernel's when it refuses: it was built without MPTCP, it is switched off
/// (`net.mptcp.enabled`), or something forbids it. [`Unsupported`](io::ErrorKind::Unsupported) on
/// other platforms.
pub fn is_available() -> io::Result<()> {
    let protocol = sys::MPTCP.ok_or(io::ErrorKind::Unsupported)?;
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(protocol))).map(drop)
}

/// Whether a connection is MPTCP, and if so, how it is doing: `None` if it is plain TCP, because it
/// was made so, the peer does not know MPTCP, or something on the way took the option out.
///
/// True at the moment of the answer only. An option that is taken out of all but the first segments
/// shows after the first answer of the peer, or any later one.
///
/// Sources: `TCP_IS_MPTCP` (Linux 6.10) and `MPTCP_FULL_INFO` (6.5), else `MPTCP_INFO`,
/// `MPTCP_SUBFLOW_ADDRS` and `MPTCP_TCPINFO` (5.16).
///
/// # Errors
///
/// The kernel's, when it cannot say; [`Unsupported`](io::ErrorKind::Unsupported) where there is no
/// MPTCP.
pub fn mptcp_info(stream: &TcpStream) -> io::Result<Option<MptcpInfo>> {
    sys::mptcp_info(stream)
}

/// The kernel's counters of MPTCP in this network namespace, by the names that `nstat` gives them
/// without `MPTcpExt`; empty where there are none. All programs count.
#[must_use]
pub fn counters() -> HashMap<String, u64> {
    parse_counters(&fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default())
}

/// Of two lines with the same beginning the first has the names and the second the values.
pub(crate) fn parse_counters(netstat: &str) -> HashMap<String, u64> {
    let mut lines = netstat
        .lines()
        .filter_map(|it| it.strip_prefix("MPTcpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return HashMap::new();
    };
    let values = values.split_whitespace().map(|it| it.parse().unwrap_or(0));
    names
        .split_whitespace()
        .map(str::to_owned)
        .zip(values)
        .collect()
}

/// How long a connect with MPTCP may go unanswered before the kernel tries without. If that then
/// works, Linux (6.12 and later) leaves the option out of all connections of this network namespace
/// for an hour: who only wants to know gives up before.
///
/// Sources: `net.mptcp.syn_retrans_before_tcp_fallback`, 2 where there is none; a SYN is sent again
/// after a second at the earliest (RFC 6298).
#[must_use]
pub fn fallback_after() -> Duration {
    let retries = fs::read_to_string("/proc/sys/net/mptcp/syn_retrans_before_tcp_fallback");
    let retries = retries.ok().and_then(|text| text.trim().parse().ok());
    Duration::from_secs(1 + retries.unwrap_or(2_u64))
}

/// Ends one subflow, as a RST from its peer would: what it has sent in vain goes on another one at
/// once, and the kernel does not open it anew. The peer learns of it only if the path lets the RST
/// through.
///
/// Source: `SOCK_DESTROY` (Linux 4.5, built with `CONFIG_INET_DIAG_DESTROY`).
///
/// # Errors
///
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`;
/// [`NotFound`](io::ErrorKind::NotFound) if it is gone already; the kernel's.
pub fn end_subflow(subflow: &Subflow) -> io::Result<()> {
    sys::end_subflow(subflow.local, subflow.remote)
}

/// The peers of all established MPTCP subflows that start at that address, whichever program they
/// belong to, and how long ago each was last heard: whether a path that is silent for one peer is so
/// for all.
///
/// # Errors
///
/// The kernel's. Without `CAP_NET_ADMIN` it tells of none.
pub fn last_heard_at(local: IpAddr) -> io::Result<Vec<(IpAddr, Duration)>> {
    sys::last_heard_at(local)
}

/// An address of this machine that the path manager uses for MPTCP connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The kernel's number of it; 0 asks for a new one.
    pub id: u8,
    /// The address.
    pub address: IpAddr,
    /// The index of the interface that subflows from it leave by; 0 if none is named.
    pub interface: u32,
    /// What it is used for.
    pub flags: EndpointFlags,
}

impl Endpoint {
    /// An endpoint that is not there yet.
    #[must_use]
    pub const fn new(address: IpAddr, interface: u32, flags: EndpointFlags) -> Self {
        Self {
            id: 0,
            address,
            interface,
            flags,
        }
    }
}

/// What an [`Endpoint`] is used for (`MPTCP_PM_ADDR_FLAG_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EndpointFlags(u32);

impl EndpointFlags {
    /// Announced to peers, which may connect to it.
    pub const SIGNAL: Self = Self(1);
    /// Connections of this machine open a subflow from it.
    pub const SUBFLOW: Self = Self(2);
    /// Its subflows carry bytes only when no other can.
    pub const BACKUP: Self = Self(4);
    /// Subflows to every address of the peer.
    pub const FULLMESH: Self = Self(8);

    const NAMES: [(Self, &'static str); 4] = [
        (Self::SIGNAL, "signal"),
        (Self::SUBFLOW, "subflow"),
        (Self::BACKUP, "backup"),
        (Self::FULLMESH, "fullmesh"),
    ];

    /// As the kernel has them.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// As the kernel has them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for EndpointFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::NAMES.iter().filter(|(flag, _)| self.has(*flag));
        let names: Vec<_> = known.map(|(_, name)| *name).collect();
        f.write_str(&names.join(" "))
    }
}

/// How many subflows a connection of this network namespace may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MptcpLimits {
    /// Subflows besides the first.
    pub subflows: u32,
    /// Addresses of a peer that are connected to.
    pub accepted_addresses: u32,
}

/// The kernel's path manager of the network namespace that this was opened in. Its settings hold for
/// every MPTCP connection there, of whichever program.
///
/// Reading needs no privilege on Linux 6.12 and later; changing needs `CAP_NET_ADMIN`.
#[derive(Debug)]
pub struct PathManager {
    os: sys::PathManager,
}

impl PathManager {
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) if the kernel was built without MPTCP;
    /// [`Unsupported`](io::ErrorKind::Unsupported) on other platforms.
    pub fn open() -> io::Result<Self> {
        sys::PathManager::open().map(|os| Self { os })
    }

    /// Names the network namespace. No other has this number before the next boot.
    ///
    /// # Errors
    ///
    /// The kernel's, before Linux 5.14.
    pub fn namespace(&self) -> io::Result<u64> {
        self.os.namespace()
    }

    /// Whether this program may change anything here; nothing is changed to find out.
    ///
    /// # Errors
    ///
    /// As for [`endpoints`](Self::endpoints), and the kernel's.
    pub fn may_change(&mut self) -> io::Result<bool> {
        let used = self.endpoints()?;
        let free = (1..=u8::MAX).rev();
        let mut nobody = Endpoint::new(Ipv4Addr::UNSPECIFIED.into(), 0, EndpointFlags::default());
        // There are eight at most.
        let is_free = |id: &u8| used.iter().all(|it| it.id != *id);
        nobody.id = free.into_iter().find(is_free).unwrap_or_default();
        // The privilege is asked for before the endpoint is looked for.
        match self.os.remove(&nobody) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(true),
            other => other.map(|()| true),
        }
    }

    /// The endpoints there are.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN` before Linux
    /// 6.12, else the kernel's.
    pub fn endpoints(&mut self) -> io::Result<Vec<Endpoint>> {
        self.os.endpoints()
    }

    /// Adds an endpoint; connections that live open a subflow from it as well. Gives it with its
    /// number.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`;
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is one of that address; the
    /// kernel's when there are eight.
    pub fn add(&mut self, endpoint: &Endpoint) -> io::Result<Endpoint> {
        self.os.add(endpoint)?;
        let mut added = self.os.endpoints()?.into_iter().rev();
        added
            .find(|it| it.address == endpoint.address)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Removes an endpoint, and with it the subflows that started there, of every connection; their
    /// peers are told. With the number 0: the first subflow of each connection that started at that
    /// address, though no endpoint made it.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`; the kernel's
    /// when there is none.
    pub fn remove(&mut self, endpoint: &Endpoint) -> io::Result<()> {
        self.os.remove(endpoint)
    }

    /// The limits in force.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn limits(&mut self) -> io::Result<MptcpLimits> {
        self.os.limits()
    }

    /// Sets the limits.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`.
    pub fn set_limits(&mut self, limits: MptcpLimits) -> io::Result<()> {
        self.os.set_limits(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_names_of_the_line_before() {
        let netstat = "IpExt: A B\nIpExt: 7 8\nMPTcpExt: A Blackhole\nMPTcpExt: 1 2\n";
        let read = parse_counters(netstat);
        assert_eq!((read["A"], read["Blackhole"]), (1, 2));
        assert!(parse_counters("IpExt: A\nIpExt: 7\n").is_empty());
    }
}
