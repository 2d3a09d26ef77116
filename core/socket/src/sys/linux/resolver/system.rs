//! The system's own resolver.
#![allow(unsafe_code, reason = "getaddrinfo")]

use std::{ffi::CString, io, net::SocketAddr, ptr};

use crate::sys::shared::addrinfo::{self, Failure};

/// Dropping the future leaves a thread behind until the system gives up.
pub(super) async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let node = CString::new(host).map_err(|error| Failure {
        error: io::Error::new(io::ErrorKind::InvalidInput, error),
        is_final: true,
    })?;
    let asking = tokio::task::spawn_blocking(move || {
        let ask = |node, hints, answer| {
            // SAFETY: all three are valid while this runs, and the service may be null.
            unsafe { libc::getaddrinfo(node, ptr::null(), hints, answer) }
        };
        // SAFETY: what getaddrinfo leaves is to be freed by `freeaddrinfo`.
        unsafe { addrinfo::look_up(&node, port, 0, ask) }
    });
    asking.await.unwrap_or_else(|stopped| {
        Err(Failure {
            error: io::Error::other(stopped),
            is_final: true,
        })
    })
}
