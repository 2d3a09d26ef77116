//! Lookups by `getaddrinfo`, and by Android's version of it for one network.
#![allow(unsafe_code, reason = "getaddrinfo and its linked list")]

use std::{
    ffi::{CStr, c_char, c_int},
    io, mem,
    net::SocketAddr,
    ptr,
};

use super::sockaddr;

/// Why a lookup gave nothing.
#[derive(Debug)]
pub(in crate::sys) struct Failure {
    /// What the caller is told.
    pub(in crate::sys) error: io::Error,
    /// A resolver has said that there is no such name, or no address of it: to ask another way would be to doubt that.
    #[allow(dead_code, reason = "not every platform has another way to ask")]
    pub(in crate::sys) is_final: bool,
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

/// The addresses of `node`. `ask` is given the node, hints, and a place for the answer, all valid while it runs, and
/// returns the status. Waits as long as the system does.
///
/// # Safety
///
/// `ask` leaves null in the place for the answer, or a list that `freeaddrinfo` can free.
pub(in crate::sys) unsafe fn look_up(
    node: &CStr,
    port: u16,
    flags: c_int,
    ask: impl FnOnce(*const c_char, *const libc::addrinfo, *mut *mut libc::addrinfo) -> c_int,
) -> Result<Vec<SocketAddr>, Failure> {
    // SAFETY: all zeroes is a valid addrinfo.
    let mut hints: libc::addrinfo = unsafe { mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = flags;
    let mut answer = Answer(ptr::null_mut());
    let status = ask(node.as_ptr(), &raw const hints, &raw mut answer.0);
    if status != 0 {
        return Err(failure(node, status));
    }
    let mut found = Vec::new();
    let mut next = answer.0;
    // SAFETY: `next` is null or an entry of the answer, which lives as long as `answer`.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ai_next;
        // SAFETY: every entry has an address that is valid for its family.
        if let Some(ip) = unsafe { sockaddr::ip(entry.ai_addr) } {
            found.push(SocketAddr::new(ip, port));
        }
    }
    Ok(found)
}

fn failure(node: &CStr, status: c_int) -> Failure {
    if status == libc::EAI_SYSTEM {
        let error = io::Error::last_os_error();
        return Failure {
            error,
            is_final: false,
        };
    }
    // SAFETY: it returns a static C string for every number.
    let reason = unsafe { CStr::from_ptr(libc::gai_strerror(status)) };
    let (node, reason) = (node.to_string_lossy(), reason.to_string_lossy());
    Failure {
        error: io::Error::new(
            io::ErrorKind::NotFound,
            format!("cannot look up {node}: {reason}"),
        ),
        is_final: !matches!(status, libc::EAI_AGAIN | libc::EAI_FAIL | libc::EAI_MEMORY),
    }
}
