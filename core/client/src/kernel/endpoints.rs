//! The endpoints that the kernel opens backup subflows from, and which are there for the time of a connector.

use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use twinpath_socket::Interface;
use twinpath_socket::mptcp::{Endpoint, EndpointFlags, PathManager};

use crate::mptcp::Lease;

const STANDING_BY: EndpointFlags = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);

/// What a connector holds: one lease per address of the backup.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    held: Mutex<Vec<(IpAddr, Lease)>>,
}

impl Endpoints {
    /// Has the kernel have endpoints for that interface, and gives the leases of those that were missing.
    ///
    /// # Errors
    ///
    /// Why there is no backup on it, in words.
    pub(crate) fn hold(&self, backup: &Interface) -> Result<Vec<Lease>, String> {
        let is_there = is_there(backup)?;
        let mut held = self.lock();
        let mut failure = None;
        let mut now = Vec::new();
        for address in usable(&backup.addresses) {
            // Again for those that are held, for somebody may have removed the endpoint meanwhile.
            match Lease::hold(&Endpoint::new(address, backup.index, STANDING_BY)) {
                Ok(lease) => now.push((address, lease)),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        if now.is_empty() && !is_there {
            return Err(missing(&backup.name, failure));
        }
        held.clone_from(&now);
        Ok(now.into_iter().map(|(_, lease)| lease).collect())
    }

    /// Holds none any more.
    pub(crate) fn clear(&self) {
        let held = std::mem::take(&mut *self.lock());
        drop(held);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(IpAddr, Lease)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the kernel has an endpoint that stands by on that interface.
///
/// # Errors
///
/// Why there can be no backup on it, in words.
pub(super) fn is_there(backup: &Interface) -> Result<bool, String> {
    let manager = PathManager::open();
    let asked = manager.and_then(|mut manager| Ok((manager.endpoints()?, manager.limits()?)));
    let (endpoints, limits) =
        asked.map_err(|error| format!("the kernel's path manager cannot be asked: {error}"))?;
    let is_there = judge(&endpoints, backup)?;
    if limits.subflows == 0 {
        return Err(
            "the kernel lets MPTCP connections have no second subflow (ip mptcp limits set subflows 2)"
                .into(),
        );
    }
    Ok(is_there)
}

fn missing(name: &str, failure: Option<io::Error>) -> String {
    let missing = format!("the kernel has no MPTCP endpoint for {name}");
    match failure {
        Some(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            format!(
                "{missing}, and adding one needs CAP_NET_ADMIN (sudo twinpath mptcp setup --backup {name})"
            )
        }
        Some(error) => format!("{missing}, and it could not be added: {error}"),
        None => missing,
    }
}

/// The addresses of an interface that others can reach it by: IPv6 has several, of which the widest serve.
pub(crate) fn usable(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let has_global = addresses.iter().any(|it| match it {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unique_local(),
    });
    let is_usable = |address: &&IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_loopback(),
        IpAddr::V6(v6) => {
            !(v6.is_unicast_link_local() || v6.is_loopback() || has_global && v6.is_unique_local())
        }
    };
    addresses.iter().filter(is_usable).copied().collect()
}

/// Whether the kernel opens subflows on that interface already; an error if it would do so in a way that costs.
fn judge(endpoints: &[Endpoint], backup: &Interface) -> Result<bool, String> {
    let mut serving = endpoints
        .iter()
        .filter(|it| backup.addresses.contains(&it.address))
        .peekable();
    if serving.peek().is_none() {
        return Ok(false);
    }
    let mut serving = serving
        .filter(|it| it.flags.has(EndpointFlags::SUBFLOW))
        .peekable();
    let name = &backup.name;
    if serving.peek().is_none() {
        return Err(format!(
            "the kernel's MPTCP endpoint for {name} has no subflow flag, so that no connection uses it"
        ));
    }
    // NetworkManager makes endpoints of all interfaces alike: cellular would carry bytes while Wi-Fi is good.
    if serving.any(|it| !it.flags.has(EndpointFlags::BACKUP)) {
        return Err(format!(
            "the kernel's MPTCP endpoint for {name} has no backup flag, so that it would always be used"
        ));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use twinpath_socket::InterfaceKind;

    use super::*;

    #[test]
    fn only_an_endpoint_that_stands_by_is_a_backup() {
        let mut wwan0 = Interface::new("wwan0", 3, InterfaceKind::Cellular);
        wwan0.addresses = vec!["198.51.100.7".parse().unwrap()];
        let judged = |address: &str, flags| {
            let endpoint = Endpoint::new(address.parse().unwrap(), 3, flags);
            judge(&[endpoint], &wwan0)
        };
        assert_eq!(judged("198.51.100.7", STANDING_BY), Ok(true));
        assert_eq!(judged("198.51.100.8", STANDING_BY), Ok(false));
        for (flags, why) in [
            (EndpointFlags::SUBFLOW, "no backup flag"),
            (EndpointFlags::SIGNAL, "no subflow flag"),
        ] {
            let error = judged("198.51.100.7", flags).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn addresses_that_lead_nowhere_get_no_endpoint() {
        let parse =
            |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|it| it.parse().unwrap()).collect() };
        let all = parse(&[
            "10.0.0.2",
            "169.254.0.9",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
        ]);
        assert_eq!(usable(&all), parse(&["10.0.0.2", "2001:db8::1"]));
        assert_eq!(usable(&all[1..4]), parse(&["fd00::1"]));
    }
}
