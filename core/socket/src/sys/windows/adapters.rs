//! The list of interfaces, by `GetAdaptersAddresses`.
#![allow(unsafe_code, reason = "GetAdaptersAddresses and its linked lists")]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr,
};

use windows_sys::Win32::{
    Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA, NO_ERROR},
    NetworkManagement::{
        IpHelper::{
            GAA_FLAG_INCLUDE_GATEWAYS, GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_DNS_SERVER,
            GAA_FLAG_SKIP_MULTICAST, GetAdaptersAddresses, IF_TYPE_ETHERNET_CSMACD,
            IF_TYPE_IEEE80211, IF_TYPE_PPP, IF_TYPE_PROP_VIRTUAL, IF_TYPE_SOFTWARE_LOOPBACK,
            IF_TYPE_TUNNEL, IF_TYPE_WWANPP, IF_TYPE_WWANPP2, IP_ADAPTER_ADDRESSES_LH,
        },
        Ndis::IfOperStatusUp,
    },
    Networking::WinSock::{
        AF_INET, AF_INET6, AF_UNSPEC, IpDadStateDeprecated, IpDadStatePreferred, SOCKADDR_IN,
        SOCKADDR_IN6, SOCKET_ADDRESS,
    },
};

use crate::{DefaultRoute, Interface, InterfaceKind};

/// The list may grow between the question for its size and the one for itself.
const TRIES: usize = 5;

pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    let flags = GAA_FLAG_INCLUDE_GATEWAYS
        | GAA_FLAG_SKIP_ANYCAST
        | GAA_FLAG_SKIP_MULTICAST
        | GAA_FLAG_SKIP_DNS_SERVER;
    let mut size: u32 = 16 * 1024;
    for _ in 0..TRIES {
        // In words of eight bytes, for the alignment of the structs that it will hold.
        let mut buffer = vec![0u64; (size as usize).div_ceil(8)];
        let first = buffer.as_mut_ptr().cast::<IP_ADAPTER_ADDRESSES_LH>();
        // SAFETY: the buffer has `size` bytes.
        let status = unsafe {
            GetAdaptersAddresses(AF_UNSPEC.into(), flags, ptr::null(), first, &raw mut size)
        };
        match status {
            // SAFETY: the system has filled the buffer, which lives until the list is made.
            NO_ERROR => return Ok(unsafe { list(first) }),
            ERROR_NO_DATA => return Ok(Vec::new()),
            ERROR_BUFFER_OVERFLOW => {}
            code => return Err(io::Error::from_raw_os_error(code as i32)),
        }
    }
    Err(io::Error::other(
        "the list of adapters grew faster than it could be read",
    ))
}

/// # Safety
///
/// `next` is null or the head of a list as `GetAdaptersAddresses` makes it.
unsafe fn list(mut next: *const IP_ADAPTER_ADDRESSES_LH) -> Vec<Interface> {
    let mut found = Vec::new();
    // SAFETY: null or an entry, says the caller.
    while let Some(adapter) = unsafe { next.as_ref() } {
        next = adapter.Next;
        // SAFETY: every pointer of an entry is null or leads to its own list or string.
        found.push(unsafe { interface(adapter) });
    }
    found.sort_by_key(|interface: &Interface| interface.index);
    found
}

/// # Safety
///
/// `adapter` is an entry of a list as `GetAdaptersAddresses` makes it.
unsafe fn interface(adapter: &IP_ADAPTER_ADDRESSES_LH) -> Interface {
    // SAFETY: both members of the union are plain integers.
    let index = unsafe { adapter.Anonymous1.Anonymous.IfIndex };
    // The two are the same wherever both families are enabled.
    let index = if index == 0 {
        adapter.Ipv6IfIndex
    } else {
        index
    };
    // SAFETY: null or a string that ends with a zero.
    let name = unsafe { text(adapter.FriendlyName) };
    let mut interface = Interface::new(name, index, kind(adapter.IfType));
    interface.up = adapter.OperStatus == IfOperStatusUp;

    let mut next = adapter.FirstUnicastAddress;
    // SAFETY: null or an entry.
    while let Some(unicast) = unsafe { next.as_ref() } {
        next = unicast.Next;
        if [IpDadStatePreferred, IpDadStateDeprecated].contains(&unicast.DadState) {
            // SAFETY: the address is null or valid for its family.
            interface.addresses.extend(unsafe { ip(&unicast.Address) });
        }
    }
    let mut route = DefaultRoute::default();
    let mut next = adapter.FirstGatewayAddress;
    // SAFETY: null or an entry.
    while let Some(gateway) = unsafe { next.as_ref() } {
        next = gateway.Next;
        // SAFETY: the address is null or valid for its family.
        match unsafe { ip(&gateway.Address) } {
            Some(IpAddr::V4(_)) => route.v4 = true,
            Some(IpAddr::V6(_)) => route.v6 = true,
            None => {}
        }
    }
    // A tunnel's default route has no gateway, so there its absence says nothing.
    interface.has_default_route =
        (route != DefaultRoute::default() || interface.kind != InterfaceKind::Vpn).then_some(route);
    interface
}

fn kind(if_type: u32) -> InterfaceKind {
    match if_type {
        IF_TYPE_IEEE80211 => InterfaceKind::Wifi,
        IF_TYPE_WWANPP | IF_TYPE_WWANPP2 => InterfaceKind::Cellular,
        IF_TYPE_ETHERNET_CSMACD => InterfaceKind::Wired,
        IF_TYPE_SOFTWARE_LOOPBACK => InterfaceKind::Loopback,
        // The last is WireGuard's and OpenVPN's.
        IF_TYPE_PPP | IF_TYPE_TUNNEL | IF_TYPE_PROP_VIRTUAL => InterfaceKind::Vpn,
        _ => InterfaceKind::Other,
    }
}

/// # Safety
///
/// The address in it is null or valid for the family it claims.
unsafe fn ip(address: &SOCKET_ADDRESS) -> Option<IpAddr> {
    // SAFETY: null or valid.
    let family = unsafe { address.lpSockaddr.as_ref() }?.sa_family;
    match family {
        AF_INET => {
            // SAFETY: the family says that it is a SOCKADDR_IN.
            let v4 = unsafe { address.lpSockaddr.cast::<SOCKADDR_IN>().read_unaligned() };
            // SAFETY: every member of the union is the same four bytes.
            let bytes = unsafe { v4.sin_addr.S_un.S_addr }.to_ne_bytes();
            Some(Ipv4Addr::from(bytes).into())
        }
        AF_INET6 => {
            // SAFETY: the family says that it is a SOCKADDR_IN6.
            let v6 = unsafe { address.lpSockaddr.cast::<SOCKADDR_IN6>().read_unaligned() };
            // SAFETY: every member of the union is the same sixteen bytes.
            let bytes = unsafe { v6.sin6_addr.u.Byte };
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// # Safety
///
/// `wide` is null or a string that ends with a zero.
unsafe fn text(wide: *const u16) -> String {
    if wide.is_null() {
        return String::new();
    }
    let mut length = 0;
    // SAFETY: everything up to the zero is part of the string.
    while unsafe { wide.add(length).read() } != 0 {
        length += 1;
    }
    // SAFETY: as above.
    String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(wide, length) })
}
