//! Socket addresses as C libraries give them.
#![allow(unsafe_code, reason = "a socket address is read through a pointer")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IP address in a socket address.
///
/// # Safety
///
/// `address` is null, or points to a socket address that is valid for the family it claims.
pub(in crate::sys) unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: null, or valid, says the caller.
    let family = libc::c_int::from(unsafe { address.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in; its alignment is not relied upon.
            let v4 = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6; its alignment is not relied upon.
            let v6 = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}
