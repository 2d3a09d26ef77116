//! Which addresses are one server's: a further leg has to go to the server that the first one reached.

use std::net::{IpAddr, SocketAddr};

use super::Path;
use crate::target::Target;

/// Where a further leg goes without asking anybody: to the server that the first one reached, or to an announced name's
/// addresses, as far as the path has their family. Empty for a first leg, and where only a lookup on the path can help.
pub(super) fn nearest(target: &Target, path: &Path) -> Vec<SocketAddr> {
    let known: Vec<_> = target
        .known_addresses()
        .iter()
        .map(|known| SocketAddr::new(untranslated(*known), target.port()))
        .filter(|known| path.leads_to(known.ip()))
        .collect();
    match target.reached_at() {
        Some(reached) => {
            let here = addresses_of(SocketAddr::new(reached, target.port()), &known, path);
            if here.is_empty() { known } else { here }
        }
        None => known,
    }
}

/// What a lookup on `path` adds when the nearest addresses lead nowhere.
pub(super) fn instead(found: &[SocketAddr], target: &Target, path: &Path) -> Vec<SocketAddr> {
    let same = target.reached_at().map_or_else(Vec::new, |reached| {
        addresses_of(SocketAddr::new(reached, target.port()), found, path)
            .into_iter()
            .filter(|address| found.contains(address))
            .collect()
    });
    if same.is_empty() {
        found.to_vec()
    } else {
        same
    }
}

/// What a lookup on `path` adds when the nearest addresses only take their time, as behind a modem that wakes up.
///
/// Another server would not know the session, and its answer could end it. So a name with two addresses of one family,
/// which stands for several servers, adds nothing but what is written differently here (NAT64).
pub(super) fn beside(
    found: &[SocketAddr],
    nearest: &[SocketAddr],
    target: &Target,
) -> Vec<SocketAddr> {
    let more_of = |v6: bool| found.iter().filter(|it| it.is_ipv6() == v6).count() > 1;
    let several = more_of(true) || more_of(false);
    found
        .iter()
        .copied()
        .filter(|address| !nearest.contains(address))
        .filter(|address| match target.reached_at() {
            Some(reached) => !several || is_same_server(address.ip(), reached),
            None => true,
        })
        .collect()
}

/// How the server at `reached` is written among the addresses that a lookup found. If it is not among them, the address
/// itself, if the path has that family; else nothing.
///
/// A lookup gives the addresses of several servers, not always the same ones nor in the same order; another server would
/// not know the session, and might begin a second one with the same data.
fn addresses_of(reached: SocketAddr, found: &[SocketAddr], path: &Path) -> Vec<SocketAddr> {
    let same: Vec<_> = found
        .iter()
        .copied()
        .filter(|address| is_same_server(address.ip(), reached.ip()))
        .filter(|address| path.leads_to(address.ip().to_canonical()))
        .collect();
    if !same.is_empty() {
        return same;
    }
    [untranslated(reached.ip()), reached.ip()]
        .into_iter()
        .find(|direct| path.leads_to(*direct))
        .map(|direct| SocketAddr::new(direct, reached.port()))
        .into_iter()
        .collect()
}

/// Whether two addresses are one server's: equal, or one the other's translation (NAT64, RFC 6052: with the usual
/// prefixes of 96 bits, the last 32 are the IPv4 address; the prefix is the network's own choice).
pub(crate) fn is_same_server(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(v4), IpAddr::V6(v6)) | (IpAddr::V6(v6), IpAddr::V4(v4)) => {
            v6.octets()[12..] == v4.octets()
        }
        (one, other) => one == other,
    }
}

/// The IPv4 address in one with NAT64's well-known prefix, which leads nowhere in another network.
fn untranslated(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
                let [.., a, b, c, d] = v6.octets();
                [a, b, c, d].into()
            }
            _ => address,
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use twinpath_proto::Role;
    use twinpath_socket::{Interface, InterfaceKind};

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn interface(list: &[&str]) -> Path {
        let mut wwan0 = Interface::new("wwan0", 3, InterfaceKind::Cellular);
        wwan0.addresses = list.iter().map(|text| text.parse().unwrap()).collect();
        Path::over(Role::Backup, Arc::new(wwan0), true)
    }

    #[test]
    fn a_further_leg_goes_to_the_server_of_the_first() {
        let both = interface(&["10.9.9.9", "2001:db8::9"]);
        let only_v6 = interface(&["2001:db8::9", "fe80::9"]);
        let only_v4 = interface(&["10.9.9.9", "fe80::9"]);
        let towards = |reached: &str, found: &[&str], path: &Path| {
            addresses_of(reached.parse().unwrap(), &addresses(found), path)
        };
        // Among several, whatever their order.
        assert_eq!(
            towards(
                "192.0.2.2:1",
                &["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.2:1"],
                &both
            ),
            addresses(&["192.0.2.2:1"])
        );
        // A lookup that finds others, or nothing.
        for found in [&["192.0.2.1:1"][..], &[]] {
            assert_eq!(
                towards("192.0.2.2:1", found, &both),
                addresses(&["192.0.2.2:1"])
            );
        }
        // Behind NAT64, with any prefix, and back.
        let translated = ["[64:ff9b::192.0.2.1]:1", "[2001:db8:64::192.0.2.2]:1"];
        assert_eq!(
            towards("192.0.2.2:1", &translated, &only_v6),
            addresses(&translated[1..])
        );
        assert_eq!(
            towards(
                "[2001:db8:64::192.0.2.2]:1",
                &["192.0.2.1:1", "192.0.2.2:1"],
                &only_v4
            ),
            addresses(&["192.0.2.2:1"])
        );
        for path in [&only_v4, &both] {
            assert_eq!(
                towards("[64:ff9b::192.0.2.2]:1", &[], path),
                addresses(&["192.0.2.2:1"])
            );
        }
        assert_eq!(
            towards("[64:ff9b::192.0.2.2]:1", &[], &only_v6),
            addresses(&["[64:ff9b::192.0.2.2]:1"])
        );
        // Not to be reached there: the whole lookup has to do.
        assert_eq!(towards("192.0.2.2:1", &translated[..1], &only_v6), []);
        assert_eq!(towards("[2001:db8::2]:1", &["192.0.2.1:1"], &only_v4), []);
    }

    #[test]
    fn a_name_in_both_families_is_sought_in_the_family_that_the_path_has() {
        let only_v6 = interface(&["2001:db8::9", "fe80::9"]);
        let target = Target::new("gw.example", 1).with_reached_at("192.0.2.2".parse().ok());
        assert_eq!(nearest(&target, &only_v6), []);
        let found = addresses(&["[2001:db8::2]:1", "192.0.2.2:1"]);
        // The address that was reached is in the lookup, and of no use here.
        assert_eq!(instead(&found, &target, &only_v6), found);
        let only_v4 = interface(&["10.9.9.9"]);
        assert_eq!(
            instead(&found, &target, &only_v4),
            addresses(&["192.0.2.2:1"])
        );
    }

    #[test]
    fn what_is_known_spares_the_lookup_as_far_as_the_family_goes() {
        let known = ["192.0.2.7", "2001:db8::7"].map(|text| text.parse().unwrap());
        let target = Target::new("join.example", 1).with_known(known.into());
        assert_eq!(
            nearest(&target, &interface(&["10.9.9.9"])),
            addresses(&["192.0.2.7:1"])
        );
        assert_eq!(
            nearest(&target, &interface(&["2001:db8::9"])),
            addresses(&["[2001:db8::7]:1"])
        );
        assert_eq!(
            nearest(&Target::new("join.example", 1), &interface(&["10.9.9.9"])),
            []
        );
    }

    #[test]
    fn a_slow_server_is_not_left_for_another_one() {
        let target = Target::new("gw.example", 1).with_reached_at("192.0.2.2".parse().ok());
        let nearest = addresses(&["192.0.2.2:1"]);
        // One server in two families.
        let one = addresses(&["[2001:db8::2]:1", "192.0.2.2:1"]);
        assert_eq!(beside(&one, &nearest, &target), one[..1]);
        // Several, one of them translated.
        let several = addresses(&["192.0.2.1:1", "192.0.2.2:1", "[64:ff9b::192.0.2.2]:1"]);
        assert_eq!(beside(&several, &nearest, &target), several[2..]);
    }
}
