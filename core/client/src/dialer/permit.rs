//! Where a path may lead.

use std::io;
use std::net::{IpAddr, SocketAddr};

use twinpath_proto::Role;
use twinpath_socket::is_local_scope;

use super::Path;
use crate::target::Target;

/// The addresses that may be dialled on that path, and can be.
pub(super) fn permitted(
    mut addresses: Vec<SocketAddr>,
    path: &Path,
    target: &Target,
) -> io::Result<Vec<SocketAddr>> {
    addresses.retain(|address| may_lead(address.ip(), path, target));
    if addresses.is_empty() {
        return Err(refused());
    }
    // Linux takes a target of a family without a route for a neighbour, and the attempt would end in silence.
    addresses.retain(|address| path.leads_to(address.ip().to_canonical()));
    if addresses.is_empty() {
        let foreign = format!(
            "{target} has only addresses of a family (IPv4 or IPv6) that {} has not",
            path.info().name
        );
        return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, foreign));
    }
    Ok(addresses)
}

/// Whether that path may lead there.
pub(super) fn may_lead(address: IpAddr, path: &Path, target: &Target) -> bool {
    let beside = target.is_announced() && is_beside(address);
    let near = path.near_by_system && path.role() == Role::Backup && is_local_scope(address);
    !beside && !near
}

/// Of a path that may not lead to any address of a target.
pub(super) fn refused() -> io::Error {
    let refused = "every address of the target is in a private or local network, which this path does not lead to";
    io::Error::new(io::ErrorKind::PermissionDenied, refused)
}

/// Whether an address is on this device or the network beside it, where no peer may send us.
pub(crate) fn is_beside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_beside(v4.into()),
            None => {
                v6.is_loopback()
                    || v6.is_unicast_link_local()
                    || v6.is_multicast()
                    || v6.is_unspecified()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use twinpath_socket::{Interface, InterfaceKind};

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_announced_target_leads_neither_here_nor_next_door() {
        let path = Path::system_route(Role::Backup);
        let target = Target::new("gw.example", 1).announced();
        let found = addresses(&[
            "127.0.0.1:1",
            "[fe80::1]:1",
            "[::ffff:127.0.0.1]:1",
            "198.51.100.1:1",
        ]);
        assert_eq!(
            permitted(found, &path, &target).unwrap(),
            addresses(&["198.51.100.1:1"])
        );
        let error = permitted(addresses(&["[::1]:1"]), &path, &target).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_private_address_is_not_sought_on_the_backup() {
        let mut wwan0 = Interface::new("wwan0", 3, InterfaceKind::Cellular);
        wwan0.addresses = vec![[10, 9, 9, 9].into()];
        let wwan0 = Arc::new(wwan0);
        let target = Target::new("nas.example", 1);
        let backup = Path::over(Role::Backup, Arc::clone(&wwan0), true);
        assert!(permitted(addresses(&["192.168.1.2:1"]), &backup, &target).is_err());
        let named = Path::over(Role::Backup, wwan0, false);
        assert!(permitted(addresses(&["192.168.1.2:1"]), &named, &target).is_ok());
    }

    #[test]
    fn a_path_is_not_asked_for_a_family_that_it_has_not() {
        let mut wlan0 = Interface::new("wlan0", 3, InterfaceKind::Wifi);
        wlan0.addresses = addresses(&["192.0.2.9:1", "[fe80::9]:1"])
            .iter()
            .map(SocketAddr::ip)
            .collect();
        let path = Path::over(Role::Primary, Arc::new(wlan0), true);
        let target = Target::new("gw.example", 1);
        let both = addresses(&["[2001:db8::1]:1", "198.51.100.1:1"]);
        assert_eq!(permitted(both.clone(), &path, &target).unwrap(), both[1..]);
        let error = permitted(both[..1].to_vec(), &path, &target).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NetworkUnreachable);
        assert!(error.to_string().contains("wlan0"), "{error}");
    }
}
