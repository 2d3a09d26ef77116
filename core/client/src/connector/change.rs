//! What a new list of interfaces means for a path that is in use.

use std::net::IpAddr;

use twinpath_proto::PathChange;
use twinpath_socket::Interface;

use crate::dialer::Path;

/// What a new list of interfaces means for one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Lost,
    Found,
    /// Another interface, or another address under the leg: its socket is dead.
    Moved,
    /// Its leg may live, but something about the network is different.
    Altered,
}

impl Change {
    /// What the session is told, step by step: availability where it changes, and the change.
    pub(super) fn steps(self) -> impl Iterator<Item = (Option<bool>, PathChange)> {
        let steps = match self {
            Self::None => [None, None],
            Self::Lost => [Some((Some(false), PathChange::Gone)), None],
            Self::Found => [Some((Some(true), PathChange::Back)), None],
            Self::Moved => [
                Some((None, PathChange::Gone)),
                Some((None, PathChange::Back)),
            ],
            Self::Altered => [Some((None, PathChange::Changed)), None],
        };
        steps.into_iter().flatten()
    }
}

/// Compares the interfaces under a path before and after; `bound` is this end of its leg.
pub(super) fn change(
    old: Option<&Path>,
    new: Option<&Path>,
    bound: Option<IpAddr>,
    interfaces: &[Interface],
) -> Change {
    let (old, new) = match (old, new) {
        (None, None) => return Change::None,
        (Some(_), None) => return Change::Lost,
        (None, Some(_)) => return Change::Found,
        (Some(old), Some(new)) => (old, new),
    };
    match (old.interface(), new.interface()) {
        (Some(before), Some(after)) => {
            let same = before.name == after.name
                && before.index == after.index
                && before.network_handle == after.network_handle;
            let alive = bound.is_none_or(|bound| after.addresses.contains(&bound));
            match same && alive {
                false => Change::Moved,
                true if before.addresses == after.addresses
                    && before.has_default_route == after.has_default_route =>
                {
                    Change::None
                }
                true => Change::Altered,
            }
        }
        (None, None) => {
            let alive = bound.is_none_or(|bound| {
                interfaces
                    .iter()
                    .any(|interface| interface.up && interface.addresses.contains(&bound))
            });
            if alive {
                Change::Altered
            } else {
                Change::Moved
            }
        }
        _ => Change::Moved,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use twinpath_proto::Role;
    use twinpath_socket::InterfaceKind;

    use super::*;

    fn path(name: &str, addresses: &[&str]) -> Path {
        let mut interface = Interface::new(name, 1, InterfaceKind::Wifi);
        interface.addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Path::over(Role::Primary, Arc::new(interface), true)
    }

    fn between(old: Option<Path>, new: Option<Path>) -> Change {
        change(old.as_ref(), new.as_ref(), "192.0.2.1".parse().ok(), &[])
    }

    #[test]
    fn a_path_is_lost_found_moved_or_altered() {
        let home = || Some(path("wlan0", &["192.0.2.1", "2001:db8::1"]));
        assert_eq!(between(home(), home()), Change::None);
        assert_eq!(between(home(), None), Change::Lost);
        assert_eq!(between(None, home()), Change::Found);
        assert_eq!(
            between(home(), Some(path("wlan0", &["192.0.2.9"]))),
            Change::Moved
        );
        assert_eq!(
            between(home(), Some(path("eth0", &["192.0.2.1"]))),
            Change::Moved
        );
        // A temporary address that expires is not the leg's business.
        assert_eq!(
            between(home(), Some(path("wlan0", &["192.0.2.1", "2001:db8::2"]))),
            Change::Altered
        );
    }

    #[test]
    fn on_the_systems_route_the_leg_lives_while_its_address_does() {
        let system = || Some(Path::system_route(Role::Primary));
        let mut eth0 = Interface::new("eth0", 1, InterfaceKind::Wired);
        let bound = "192.0.2.1".parse().ok();
        assert_eq!(
            change(system().as_ref(), system().as_ref(), bound, &[eth0.clone()]),
            Change::Moved
        );
        eth0.addresses = bound.into_iter().collect();
        assert_eq!(
            change(system().as_ref(), system().as_ref(), bound, &[eth0]),
            Change::Altered
        );
    }
}
