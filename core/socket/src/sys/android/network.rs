//! Android's networks: sockets bound to one, and names looked up on one
//! (`<android/multinetwork.h>`, API level 23).
#![allow(unsafe_code, reason = "libandroid's functions")]

use std::{
    ffi::{CStr, CString, c_char, c_int},
    io,
    net::SocketAddr,
    os::fd::AsRawFd,
    ptr,
};

use socket2::Socket;

use crate::sys::shared::addrinfo;

#[link(name = "android")]
unsafe extern "C" {
    fn android_setsocknetwork(network: u64, fd: c_int) -> c_int;
    fn android_getaddrinfofornetwork(
        network: u64,
        node: *const c_char,
        service: *const c_char,
        hints: *const libc::addrinfo,
        found: *mut *mut libc::addrinfo,
    ) -> c_int;
}

/// Must come before connect. ENONET: the network is gone; EPERM: a VPN that must not be left;
/// EACCES: a network that this app may not use.
pub(crate) fn bind_network(socket: &Socket, handle: u64) -> io::Result<()> {
    // SAFETY: the descriptor is open while `socket` is borrowed; the function takes nothing else.
    let status = unsafe { android_setsocknetwork(handle, socket.as_raw_fd()) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The addresses of a name, as the resolvers of a network know them, with DNS64 where the network
/// has it.
pub(super) async fn resolve(host: &str, port: u16, handle: u64) -> io::Result<Vec<SocketAddr>> {
    let node = CString::new(host)?;
    match tokio::task::spawn_blocking(move || look_up(&node, port, handle)).await {
        Ok(result) => result,
        Err(stopped) => Err(io::Error::other(stopped)),
    }
}

fn look_up(node: &CStr, port: u16, handle: u64) -> io::Result<Vec<SocketAddr>> {
    // Of the network that is asked, not of the default one.
    let flags = libc::AI_ADDRCONFIG;
    let ask = |node, hints, answer| {
        // SAFETY: all three are valid while this runs, and the service may be null.
        unsafe { android_getaddrinfofornetwork(handle, node, ptr::null(), hints, answer) }
    };
    // SAFETY: what the function leaves is to be freed by `freeaddrinfo`.
    unsafe { addrinfo::look_up(node, port, flags, ask) }.map_err(|failure| failure.error)
}
