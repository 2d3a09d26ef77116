//! A network namespace with one TUN device in it.
#![allow(
    unsafe_code,
    reason = "namespaces, TUN devices and their addresses are not in std or socket2, and tokio takes descriptors on trust"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::mem::zeroed;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::MPTCP;

const NAME: &[u8] = b"room";
/// The largest packet.
const MOST: usize = 65_535;
/// In which an address must be of use.
const USABLE: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(1);
const SYSCTL: &str = "/proc/sys/net/mptcp";
const FALLBACK: &str = "syn_retrans_before_tcp_fallback";

#[derive(Debug)]
pub(crate) struct Room {
    tun: AsyncFd<File>,
    netstat: File,
}

impl Room {
    pub(crate) fn open(
        source: IpAddr,
        peer: SocketAddr,
        port: u16,
        checksums: bool,
    ) -> io::Result<(Self, Socket)> {
        let settings = [
            (
                FALLBACK,
                fs::read_to_string(format!("{SYSCTL}/{FALLBACK}")).ok(),
            ),
            ("checksum_enabled", checksums.then(|| "1".to_owned())),
        ];
        // A thread of its own, which ends: the namespace of a thread is for its life.
        let making = thread::Builder::new().name("room".into()).spawn(move || {
            // SAFETY: takes no pointers; affects this thread alone.
            check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
            for (name, value) in settings {
                if let Some(value) = value {
                    fs::write(format!("{SYSCTL}/{name}"), value)?;
                }
            }
            let tun = tun()?;
            address(source, peer.ip())?;
            let netstat = File::open("/proc/thread-self/net/netstat")?;
            let domain = Domain::for_address(peer);
            let protocol = MPTCP.ok_or(io::ErrorKind::Unsupported)?;
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::from(protocol)))?;
            socket.set_nonblocking(true)?;
            bind(&socket, SocketAddr::new(source, port))?;
            io::Result::Ok((tun, netstat, socket))
        })?;
        let made = making
            .join()
            .map_err(|_| io::Error::other("a room could not be made"))?;
        let (tun, netstat, socket) = made?;
        // SAFETY: the file owns its descriptor, which stays the same until it is dropped.
        let tun = unsafe { AsyncFd::register_with_interest(tun, Interest::READABLE) }?;
        Ok((Self { tun, netstat }, socket))
    }

    /// The next packet that the room sends.
    pub(crate) async fn read(&self) -> io::Result<Vec<u8>> {
        self.tun.async_io(Interest::READABLE, read).await
    }

    /// The same, if it has sent it already.
    pub(crate) fn try_read(&self) -> io::Result<Vec<u8>> {
        read(self.tun.get_ref())
    }

    /// Has the room receive a packet.
    pub(crate) fn write(&self, packet: &[u8]) -> io::Result<()> {
        self.tun.get_ref().write_all(packet)
    }

    pub(crate) fn netstat(&self) -> io::Result<String> {
        let mut file = &self.netstat;
        file.rewind()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }
}

fn read(mut tun: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; MOST];
    let length = tun.read(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// An address of IPv6 is of use a moment after it was given, which only netlink would tell.
fn bind(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let begin = Instant::now();
    loop {
        match socket.bind(&address.into()) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable && begin.elapsed() < USABLE =>
            {
                thread::sleep(LOOK_EVERY);
            }
            bound => return bound,
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn request() -> libc::ifreq {
    // SAFETY: an all-zero ifreq is valid: it consists of byte arrays, integers and pointers.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(NAME) {
        *slot = *byte as libc::c_char;
    }
    request
}

/// A device of the thread's namespace, which nobody else is in.
fn tun() -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let tun = options
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    let mut request = request();
    // Both flags are below 2^15.
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    Ok(tun)
}

/// `struct in6_ifreq` (include/uapi/linux/ipv6.h).
#[repr(C)]
struct Request6 {
    address: [u8; 16],
    prefix: u32,
    index: libc::c_int,
}

/// Gives the device its address, the peer's at its other end, and has it come up.
fn address(source: IpAddr, peer: IpAddr) -> io::Result<()> {
    let domain = if source.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    };
    let control = Socket::new(domain, Type::DGRAM, None)?;
    if let (IpAddr::V4(here), IpAddr::V4(there)) = (source, peer) {
        for (what, address) in [(libc::SIOCSIFADDR, here), (libc::SIOCSIFDSTADDR, there)] {
            let mut request = request();
            request.ifr_ifru.ifru_addr = sockaddr(address);
            ask(&control, what, &mut request)?;
        }
    }
    let mut request = request();
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    ask(&control, libc::SIOCSIFFLAGS, &mut request)?;
    if let IpAddr::V6(here) = source {
        address6(&control, here)?;
    }
    Ok(())
}

/// A prefix of no length has the kernel lay a route to everywhere through the device.
fn address6(control: &Socket, address: Ipv6Addr) -> io::Result<()> {
    let mut named = request();
    ask(control, libc::SIOCGIFINDEX, &mut named)?;
    let mut request = Request6 {
        address: address.octets(),
        prefix: 0,
        // SAFETY: SIOCGIFINDEX has filled this member of the union.
        index: unsafe { named.ifr_ifru.ifru_ifindex },
    };
    ask(control, libc::SIOCSIFADDR, &mut request)
}

fn ask<T>(control: &Socket, what: libc::c_ulong, request: &mut T) -> io::Result<()> {
    // SAFETY: called with the requests above and the struct that each reads and writes, which outlives the call.
    check(unsafe { libc::ioctl(control.as_raw_fd(), what as _, &raw mut *request) })
}

fn sockaddr(address: Ipv4Addr) -> libc::sockaddr {
    let data = address.octets().map(|it| it as libc::c_char);
    // SAFETY: all-zero is valid: integers alone.
    let mut told: libc::sockaddr = unsafe { zeroed() };
    told.sa_family = libc::AF_INET as libc::sa_family_t;
    // `struct sockaddr_in`: a port, then the address.
    told.sa_data[2..6].copy_from_slice(&data);
    told
}
