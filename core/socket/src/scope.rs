//! Addresses that only mean something nearby.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address means something only on this device or in a network near it: loopback,
/// unspecified, link-local, private (RFC 1918), shared (100.64.0.0/10), unique local (`fc00::/7`),
/// site-local, multicast and broadcast. IPv4 addresses inside IPv6 ones (mapped, or behind the
/// NAT64 prefix
/// `64:ff9b::/96`) are judged as IPv4.
///
/// Such a target is reached over the system's route only: the same address on the other path would
/// be another machine, or none.
#[must_use]
pub fn is_local_scope(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_local_v4(v4),
        IpAddr::V6(v6) => is_local_v6(v6),
    }
}

fn is_local_v4(v4: Ipv4Addr) -> bool {
    let [a, b, ..] = v4.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.is_broadcast()
        || a == 0
        || shared
}

fn is_local_v6(v6: Ipv6Addr) -> bool {
    if let Some(v4) = embedded_v4(v6) {
        return is_local_v4(v4);
    }
    let site_local = v6.segments()[0] & 0xffc0 == 0xfec0;
    v6.is_loopback()
        || v6.is_unspecified()
        || v6.is_unicast_link_local()
        || v6.is_unique_local()
        || v6.is_multicast()
        || site_local
}

fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let behind_nat64 = v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let [.., a, b, c, d] = v6.octets();
    if behind_nat64 {
        Some(Ipv4Addr::new(a, b, c, d))
    } else {
        v6.to_ipv4_mapped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_addresses_are_local() {
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::c0a8:101",
        ] {
            assert!(is_local_scope(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn far_addresses_are_not() {
        for text in [
            "1.1.1.1",
            "172.32.0.1",
            "192.167.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "198.51.100.1",
            "2001:db8::1",
            "2606:4700::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(!is_local_scope(text.parse().unwrap()), "{text}");
        }
    }
}
