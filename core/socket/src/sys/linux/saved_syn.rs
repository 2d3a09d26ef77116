//! The SYN of an accepted connection, as it arrived (`TCP_SAVE_SYN`, Linux 4.2).
#![allow(unsafe_code, reason = "socket2 does not know the options")]

use std::io;
use std::os::fd::AsRawFd as _;

use tokio::net::{TcpListener, TcpStream};

const TCP_SAVE_SYN: libc::c_int = 27;
const TCP_SAVED_SYN: libc::c_int = 28;
/// An IPv6 header with a few extensions, and the longest TCP header.
const MOST: usize = 512;

pub(crate) fn save_syns(listener: &TcpListener) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open; `on` is an int of the length that is given.
    let status = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_SAVE_SYN,
            (&raw const on).cast(),
            length,
        )
    };
    outcome(status)
}

pub(crate) fn saved_syn(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; MOST];
    let mut length = MOST as libc::socklen_t;
    // SAFETY: the descriptor is open; `bytes` has `length` bytes, of which any values are valid.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_SAVED_SYN,
            bytes.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    outcome(status)?;
    bytes.truncate(length as usize);
    Ok(bytes)
}

fn outcome(status: libc::c_int) -> io::Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
