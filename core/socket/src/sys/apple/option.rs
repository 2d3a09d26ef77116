//! Socket options that socket2 does not have for these systems.
#![allow(unsafe_code, reason = "setsockopt")]

use std::{io, os::fd::AsRawFd};

use socket2::SockRef;

pub(super) fn set(
    socket: &SockRef<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` is borrowed, and `value` is `length` bytes.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
