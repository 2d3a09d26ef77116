//! What a client's SYN looked like when it arrived here.

use std::io;

use tokio::net::{TcpListener, TcpStream};

use crate::sys;

/// Has `listener` keep the SYN of every connection, for [`saved_syn`]. Needs no privilege.
///
/// Source: `TCP_SAVE_SYN` (Linux 4.2).
///
/// # Errors
///
/// The kernel's, as for a listener that speaks MPTCP; [`Unsupported`](io::ErrorKind::Unsupported)
/// on other platforms.
pub fn save_syns(listener: &TcpListener) -> io::Result<()> {
    sys::save_syns(listener)
}

/// The IP and TCP header of the SYN that opened an accepted connection, byte for byte; empty if the
/// listener did not keep it. It can be had once.
///
/// # Errors
///
/// As [`save_syns`].
pub fn saved_syn(stream: &TcpStream) -> io::Result<Vec<u8>> {
    sys::saved_syn(stream)
}
