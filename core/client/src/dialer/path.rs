//! One way to a peer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use twinpath_proto::Role;
use twinpath_socket::{Binding, Cost, Interface, InterfaceKind};

use super::{permit, server};
use crate::mode::PathInfo;
use crate::target::Target;

/// One way to a peer: a role, and the interface that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    role: Role,
    interface: Option<Arc<Interface>>,
    /// Addresses near this device are reached over the system's route only.
    pub(super) near_by_system: bool,
    /// Sockets ask the peer for MPTCP.
    pub(super) mptcp: bool,
}

impl Path {
    pub(crate) const fn over(role: Role, interface: Arc<Interface>, near_by_system: bool) -> Self {
        Self {
            role,
            interface: Some(interface),
            near_by_system,
            mptcp: false,
        }
    }

    /// The way that the system itself would take.
    pub(crate) const fn system_route(role: Role) -> Self {
        Self {
            role,
            interface: None,
            near_by_system: false,
            mptcp: false,
        }
    }

    /// The same path, on which sockets ask the peer for MPTCP.
    pub(crate) fn over_mptcp(&self) -> Self {
        Self {
            mptcp: true,
            ..self.clone()
        }
    }

    /// Primary or backup.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The interface to use; `None` for the way that the system itself would take.
    #[must_use]
    pub fn interface(&self) -> Option<&Interface> {
        self.interface.as_deref()
    }

    /// What a socket has to be bound to.
    #[must_use]
    pub fn binding(&self) -> Binding {
        self.interface
            .as_ref()
            .map_or(Binding::Unbound, |interface| interface.binding())
    }

    /// Name, kind and cost.
    #[must_use]
    pub fn info(&self) -> PathInfo {
        match &self.interface {
            Some(interface) => {
                PathInfo::new(interface.name.as_str(), interface.kind, interface.cost)
            }
            None => PathInfo::new("system route", InterfaceKind::Other, Cost::Unknown),
        }
    }

    /// Where a leg to `target` goes over this path without asking for its name, the best first: the address, if the host
    /// is one; for a further leg, the server that the first one reached. Empty if the name has to be looked up, over this
    /// path. For dialers of a platform's own.
    ///
    /// # Errors
    ///
    /// If none of them may be dialled over this path, or none can be.
    pub fn addresses_of(&self, target: &Target) -> io::Result<Vec<SocketAddr>> {
        let direct = || {
            target
                .address()
                .map(|it| SocketAddr::new(it, target.port()))
        };
        let nearest = match server::nearest(target, self) {
            nearest if nearest.is_empty() => direct().into_iter().collect(),
            nearest => nearest,
        };
        match nearest.is_empty() {
            true => Ok(nearest),
            false => permit::permitted(nearest, self, target),
        }
    }

    /// Whether a leg to `target` that reached `address` may be used: a name may lead to places to which this path must not.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn admit(&self, target: &Target, address: IpAddr) -> io::Result<()> {
        match permit::may_lead(address, self, target) {
            true => Ok(()),
            false => Err(permit::refused()),
        }
    }

    /// Whether the path has the family of that address: an address of its own, or a default route.
    pub(crate) fn leads_to(&self, address: IpAddr) -> bool {
        // What the system's own route can reach, its errors tell.
        let Some(interface) = &self.interface else {
            return true;
        };
        // A network that translates (464XLAT) may have the route without showing the address.
        let routed = interface.has_default_route.is_some_and(|route| {
            if address.is_ipv4() {
                route.v4
            } else {
                route.v6
            }
        });
        routed
            || interface.addresses.iter().any(|own| match own {
                IpAddr::V4(_) => address.is_ipv4(),
                IpAddr::V6(v6) => address.is_ipv6() && !v6.is_unicast_link_local(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platforms_dialer_is_told_where_to_go_and_where_not() {
        let path = Path::system_route(Role::Backup);
        let address = "198.51.100.7".parse().unwrap();
        let told = |target: &Target| path.addresses_of(target).unwrap();
        assert_eq!(told(&Target::new("gw.example", 443)), []);
        let literal = Target::new("198.51.100.7", 443);
        assert_eq!(told(&literal), [SocketAddr::new(address, 443)]);
        let further = Target::new("gw.example", 443).with_reached_at(Some(address));
        assert_eq!(told(&further), [SocketAddr::new(address, 443)]);
        // A peer must not send a leg back to this device, by whichever name.
        let announced = Target::new("join.example", 443).announced();
        assert!(path.admit(&announced, address).is_ok());
        let here = path.admit(&announced, "127.0.0.1".parse().unwrap());
        assert_eq!(here.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
