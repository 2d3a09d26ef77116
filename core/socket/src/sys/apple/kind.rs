//! What an interface is: the kernel's functional type. Names such as `en0` promise nothing.
#![allow(unsafe_code, reason = "an ioctl and if_nametoindex")]

use std::{ffi::CString, io, num::NonZeroU32, os::fd::AsRawFd};

use socket2::{Domain, Socket, Type};

use crate::{InterfaceKind, sys::shared::names};

/// <sys/sockio.h>: `_IOWR('i', 173, struct ifreq)`.
const SIOCGIFFUNCTIONALTYPE: libc::c_ulong = 0xc020_69ad;

/// `struct ifreq` with the member of its union that the request fills.
#[repr(C)]
struct TypeRequest {
    name: [u8; libc::IFNAMSIZ],
    functional_type: u32,
    rest_of_union: [u32; 3],
}

/// A socket to ask with.
pub(super) struct Query(Socket);

impl Query {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Socket::new(Domain::IPV4, Type::DGRAM, None)?))
    }

    pub(super) fn kind(&self, name: &str, flags: libc::c_int) -> InterfaceKind {
        if flags & libc::IFF_LOOPBACK != 0 {
            return InterfaceKind::Loopback;
        }
        // <net/if.h>: IFRTYPE_FUNCTIONAL_…
        match self.functional_type(name) {
            Some(1) => InterfaceKind::Loopback,
            Some(2) => InterfaceKind::Wired,
            Some(3) => InterfaceKind::Wifi,
            Some(5) => InterfaceKind::Cellular,
            // AWDL, coprocessors, companions: no way to the internet.
            Some(4 | 6..) => InterfaceKind::Other,
            Some(0) | None => names::kind(name),
        }
    }

    fn functional_type(&self, name: &str) -> Option<u32> {
        let mut request = TypeRequest {
            name: [0; libc::IFNAMSIZ],
            functional_type: 0,
            rest_of_union: [0; 3],
        };
        // One byte must stay zero.
        request.name[..libc::IFNAMSIZ - 1]
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        // SAFETY: the descriptor is open while `self` is borrowed; `request` has the size of a
        // `struct ifreq`, which is what this request reads and writes.
        let status =
            unsafe { libc::ioctl(self.0.as_raw_fd(), SIOCGIFFUNCTIONALTYPE, &raw mut request) };
        (status == 0).then_some(request.functional_type)
    }
}

const _: () = assert!(
    size_of::<TypeRequest>() == 32,
    "the size that is part of the request's number"
);

pub(super) fn index_of(name: &str) -> io::Result<NonZeroU32> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a valid C string.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    NonZeroU32::new(index).ok_or_else(io::Error::last_os_error)
}
