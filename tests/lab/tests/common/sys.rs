//! The socket options and addresses that neither std nor socket2 know.
#![allow(
    unsafe_code,
    reason = "getsockopt and sockaddr_nl have no safe wrapper for these"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use socket2::SockAddr;

const TCP_IS_MPTCP: libc::c_int = 43;
/// Offset of `tcpi_bytes_retrans` in `struct tcp_info`.
const BYTES_RETRANS: usize = 208;

/// Fills `value` with as much of a TCP option as there is.
fn tcp_option<const N: usize>(
    socket: &impl AsFd,
    option: libc::c_int,
    mut value: [u64; N],
) -> [u64; N] {
    let mut length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to the array, which outlives the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_TCP,
            option,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    value
}

/// Whether the connection is MPTCP at this moment.
pub(crate) fn is_mptcp(socket: &impl AsFd) -> bool {
    tcp_option(socket, TCP_IS_MPTCP, [0]) != [0]
}

/// How many bytes the socket's TCP has sent more than once.
pub(crate) fn repeated_bytes(socket: &impl AsFd) -> u64 {
    tcp_option(socket, libc::TCP_INFO, [0; 40])[BYTES_RETRANS / 8]
}

/// The netlink address that is told of changes of devices.
pub(crate) fn link_events() -> SockAddr {
    // SAFETY: the closure fills in a sockaddr_nl, which the storage is large enough for, and the
    // length is that of sockaddr_nl.
    let built = unsafe {
        SockAddr::try_init(|storage, length| {
            let address = storage.cast::<libc::sockaddr_nl>();
            (*address).nl_family = libc::AF_NETLINK as u16;
            (*address).nl_groups = libc::RTMGRP_LINK as u32;
            *length = size_of::<libc::sockaddr_nl>() as u32;
            Ok(())
        })
    };
    built.expect("the closure does not fail").1
}
