//! The system calls that have no safe wrapper.
#![allow(
    unsafe_code,
    reason = "namespaces, TUN devices and ppoll are not in std or socket2"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Moves the calling thread into a new network namespace.
pub(super) fn unshare_network() -> io::Result<()> {
    // SAFETY: takes no pointers; affects only the calling thread's namespace.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

/// Moves the process into a new user namespace with a network namespace of its own.
pub(super) fn unshare_user() -> io::Result<()> {
    // SAFETY: takes no pointers; the kernel refuses it in a process with several threads.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) })
}

/// Moves the calling thread into the network namespace behind `namespace`.
pub(super) fn set_network(namespace: BorrowedFd<'_>) -> io::Result<()> {
    set_network_raw(namespace.as_raw_fd())
}

fn set_network_raw(namespace: RawFd) -> io::Result<()> {
    // SAFETY: takes no pointers; a descriptor that is no namespace is refused with EINVAL.
    check(unsafe { libc::setns(namespace, libc::CLONE_NEWNET) })
}

/// Lets `command` start its program inside the namespace, which must stay open until then.
pub(super) fn start_in(command: &mut Command, namespace: std::sync::Arc<File>) {
    // SAFETY: between fork and exec the closure makes one system call, which is async-signal-safe,
    // and builds an error from errno without allocating.
    unsafe {
        command.pre_exec(move || set_network_raw(namespace.as_raw_fd()));
    }
}

/// The effective user and group ids.
pub(super) fn effective_ids() -> (u32, u32) {
    // SAFETY: both always succeed and take no arguments.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Turns an open `/dev/net/tun` into the device `name` of the opener's namespace.
pub(super) fn name_tun(tun: &File, name: &str) -> io::Result<()> {
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: an all-zero ifreq is valid: it consists of byte arrays, integers and pointers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    // Both flags are below 2^15.
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
}

/// Plugs or unplugs the device's cable.
pub(super) fn set_tun_carrier(tun: &File, on: bool) -> io::Result<()> {
    let on = libc::c_int::from(on);
    // SAFETY: TUNSETCARRIER reads one int, which outlives the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETCARRIER, &raw const on) })
}

/// Lets the calling thread's sleeps end on time instead of up to 50 µs late.
pub(super) fn be_punctual() -> io::Result<()> {
    let nanoseconds: libc::c_ulong = 1;
    // SAFETY: PR_SET_TIMERSLACK takes one integer and no pointer.
    check(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds) })
}

/// Waits until one of `files` can be read or `timeout` has passed; tells which can be read.
pub(super) fn wait_readable<const N: usize>(
    files: &[Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    // A negative descriptor is skipped by the kernel.
    let mut polled = files.map(|file| libc::pollfd {
        fd: file.map_or(-1, |file| file.as_raw_fd()),
        events: libc::POLLIN,
        revents: 0,
    });
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        // Below 10^9, which fits every c_long.
        tv_nsec: timeout.subsec_nanos() as libc::c_long,
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `polled` has exactly N entries, `limit` is null or valid, and a null signal mask
    // leaves the mask alone.
    let result = unsafe {
        libc::ppoll(
            polled.as_mut_ptr(),
            N as libc::nfds_t,
            limit,
            std::ptr::null(),
        )
    };
    match check(result) {
        Ok(()) => Ok(polled.map(|p| p.revents & libc::POLLIN != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; N]),
        Err(error) => Err(error),
    }
}
