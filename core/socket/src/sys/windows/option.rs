//! Socket options that socket2 does not have, and the clock.
#![allow(unsafe_code, reason = "setsockopt and a clock")]

use std::{io, net::SocketAddr, os::windows::io::AsRawSocket, time::Duration};

use socket2::{SockRef, Socket};
use windows_sys::Win32::{
    Networking::WinSock::{
        IP_UNICAST_IF, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPV6_UNICAST_IF, SOCKET, TCP_MAXRT,
        setsockopt,
    },
    System::WindowsProgramming::QueryInterruptTimePrecise,
};

/// Counts from the boot and goes on during sleep.
pub(crate) fn boottime() -> Duration {
    const STEPS_PER_SECOND: u64 = 10_000_000;
    let mut steps = 0;
    // SAFETY: `steps` is a valid place for the result.
    unsafe { QueryInterruptTimePrecise(&raw mut steps) };
    let nanos = (steps % STEPS_PER_SECOND) as u32 * 100;
    Duration::new(steps / STEPS_PER_SECOND, nanos)
}

/// Which interface a connection leaves by.
pub(super) fn set_unicast_interface(
    socket: &Socket,
    index: u32,
    addr: SocketAddr,
) -> io::Result<()> {
    let raw = socket.as_raw_socket() as SOCKET;
    match addr {
        // Its documentation asks for network byte order in IPv4, so that the value cannot be an
        // address 0.x.x.x, and for host byte order in IPv6.
        SocketAddr::V4(_) => set(raw, IPPROTO_IP, IP_UNICAST_IF, index.to_be()),
        SocketAddr::V6(_) => set(raw, IPPROTO_IPV6, IPV6_UNICAST_IF, index),
    }
}

/// For how long, in whole seconds, the system sends again before it gives up.
pub(super) fn set_retransmission_limit(socket: &SockRef<'_>, limit: Duration) -> io::Result<()> {
    let seconds = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX).max(1);
    set(
        socket.as_raw_socket() as SOCKET,
        IPPROTO_TCP,
        TCP_MAXRT,
        seconds,
    )
}

fn set(socket: SOCKET, level: i32, option: i32, value: u32) -> io::Result<()> {
    // SAFETY: `value` is the four bytes that are announced; a closed socket would be an error, not
    // a fault.
    let status = unsafe {
        setsockopt(
            socket,
            level,
            option,
            (&raw const value).cast(),
            size_of::<u32>() as i32,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
