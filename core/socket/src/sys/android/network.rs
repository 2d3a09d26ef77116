//! Android's networks: sockets bound to one, and names looked up on one
//! (`<android/multinetwork.h>`, API level 23).
#![allow(unsafe_code, reason = "libandroid's functions")]

use std::{
    ffi::{CStr, CString, c_char, c_int},
    io, mem,
    net::SocketAddr,
    os::fd::AsRawFd,
    ptr,
};

use socket2::Socket;

use crate::sys::shared::ifaddrs;

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

/// The answer of a lookup, freed with this.
struct Answer(*mut libc::addrinfo);

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it came from a lookup, and nothing borrows from it any more.
            unsafe { libc::freeaddrinfo(self.0) }
        }
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
    // SAFETY: all zeroes is a valid addrinfo.
    let mut hints: libc::addrinfo = unsafe { mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    // Of the network that is asked, not of the default one.
    hints.ai_flags = libc::AI_ADDRCONFIG;
    let mut answer = Answer(ptr::null_mut());
    // SAFETY: the strings are valid or null, `hints` is valid, and the answer has a place.
    let status = unsafe {
        android_getaddrinfofornetwork(
            handle,
            node.as_ptr(),
            ptr::null(),
            &raw const hints,
            &raw mut answer.0,
        )
    };
    match status {
        0 => {}
        libc::EAI_SYSTEM => return Err(io::Error::last_os_error()),
        code => {
            // SAFETY: it returns a static C string for every number.
            let reason = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "cannot look up {} on network {handle}: {}",
                    node.to_string_lossy(),
                    reason.to_string_lossy()
                ),
            ));
        }
    }
    let mut found = Vec::new();
    let mut next = answer.0;
    // SAFETY: `next` is null or an entry of the answer, which lives as long as `answer`.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ai_next;
        // SAFETY: every entry has an address that is valid for its family.
        if let Some(ip) = unsafe { ifaddrs::ip(entry.ai_addr) } {
            found.push(SocketAddr::new(ip, port));
        }
    }
    Ok(found)
}
