//! The list of interfaces by `getifaddrs`, which every Unix has and lets apps call.
#![allow(unsafe_code, reason = "getifaddrs and its linked list")]

use std::{ffi::CStr, io, ptr};

use super::sockaddr;
use crate::{Interface, InterfaceKind};

/// The list that the C library allocated, freed with this.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it came from getifaddrs, and nothing borrows from it any more.
        unsafe { libc::freeifaddrs(self.0) }
    }
}

/// All interfaces; `kind` says what one is by its name and flags (`IFF_…`).
pub(in crate::sys) fn list(
    kind: impl Fn(&str, libc::c_int) -> InterfaceKind,
) -> io::Result<Vec<Interface>> {
    let mut head = ptr::null_mut();
    // SAFETY: `head` is a valid place for the pointer.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let list = List(head);
    let mut found: Vec<Interface> = Vec::new();
    let mut next = list.0;
    // SAFETY: `next` is null or an entry of the list, which lives as long as `list`.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: every entry has a name, a C string that lives as long as the list.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) };
        let text = name.to_string_lossy();
        let position = found
            .iter()
            .position(|interface| interface.name == text)
            .unwrap_or_else(|| {
                let flags = entry.ifa_flags as libc::c_int;
                // SAFETY: `name` is a valid C string.
                let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
                let mut interface = Interface::new(text.as_ref(), index, kind(&text, flags));
                let ready = libc::IFF_UP | libc::IFF_RUNNING;
                interface.up = flags & ready == ready;
                found.push(interface);
                found.len() - 1
            });
        // SAFETY: the address is null or valid for its family, and lives as long as the list.
        if let Some(address) = unsafe { sockaddr::ip(entry.ifa_addr) } {
            found[position].addresses.push(address);
        }
    }
    found.sort_by_key(|interface| interface.index);
    Ok(found)
}
