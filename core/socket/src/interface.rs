//! The interfaces of this device, as one snapshot.

use std::{fmt, net::IpAddr};

use crate::{Binding, InterfaceError, feed, sys};

/// One network interface (on Android: one network) at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// The system's name, as in `wlan0`, `en0` or, on Windows, `Wi-Fi`. Unique on the device, but
    /// no promise of what it is: see [`kind`](Self::kind).
    pub name: String,
    /// The system's index, 0 where it is not known.
    pub index: u32,
    /// What it is.
    pub kind: InterfaceKind,
    /// What its bytes cost.
    pub cost: Cost,
    /// Switched on, and the link is there: for Wi-Fi, associated.
    pub up: bool,
    /// Its addresses that can be used as a source: no tentative or duplicate ones. Link-local ones
    /// are included.
    pub addresses: Vec<IpAddr>,
    /// Whether a default route leaves by it, in any routing table; `None` where the platform does
    /// not say.
    pub has_default_route: Option<DefaultRoute>,
    /// Android's `Network.getNetworkHandle()`, when it was [fed](crate::feed_interfaces): sockets
    /// are bound to it, not to the interface.
    pub network_handle: Option<u64>,
}

impl Interface {
    /// An interface that is up, without addresses; set the other fields as they are known.
    #[must_use]
    pub fn new(name: impl Into<String>, index: u32, kind: InterfaceKind) -> Self {
        Self {
            name: name.into(),
            index,
            kind,
            cost: kind.usual_cost(),
            up: true,
            addresses: Vec::new(),
            has_default_route: None,
            network_handle: None,
        }
    }

    /// What a socket has to be bound to for using this interface.
    #[must_use]
    pub fn binding(&self) -> Binding {
        match self.network_handle {
            Some(handle) => Binding::AndroidNetwork(handle),
            None => Binding::Interface {
                name: self.name.clone(),
                index: self.index,
            },
        }
    }

    /// Whether a connection to the internet may be tried on it: up, not loopback, an address that
    /// is not link-local, and no knowledge that it has no default route.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.up
            && self.kind != InterfaceKind::Loopback
            && self.addresses.iter().any(|address| !is_link_local(address))
            && self
                .has_default_route
                .is_none_or(|route| route.v4 || route.v6)
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// What an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InterfaceKind {
    /// A wireless LAN.
    Wifi,
    /// A mobile network.
    Cellular,
    /// Ethernet, or something that looks like it: a bridge, the end of a virtual cable.
    Wired,
    /// A tunnel: what enters it leaves the device, changed, by another interface.
    Vpn,
    /// The device itself.
    Loopback,
    /// None of these, or not known.
    Other,
}

impl InterfaceKind {
    /// The cost that is assumed until somebody knows it: cellular is metered, cables are not, and
    /// of the others nothing is known.
    #[must_use]
    pub fn usual_cost(self) -> Cost {
        match self {
            Self::Cellular => Cost::Metered,
            Self::Wired | Self::Loopback => Cost::Unmetered,
            Self::Wifi | Self::Vpn | Self::Other => Cost::Unknown,
        }
    }
}

impl fmt::Display for InterfaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wifi => "Wi-Fi",
            Self::Cellular => "cellular",
            Self::Wired => "wired",
            Self::Vpn => "VPN",
            Self::Loopback => "loopback",
            Self::Other => "other",
        })
    }
}

/// What the bytes of an interface cost its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cost {
    /// Nothing per byte.
    Unmetered,
    /// Paid for, or limited.
    Metered,
    /// In a foreign network, where it may be dear.
    Roaming,
    /// Not known.
    Unknown,
}

/// For which families a default route leaves by an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DefaultRoute {
    /// There is an IPv4 default route.
    pub v4: bool,
    /// There is an IPv6 default route.
    pub v6: bool,
}

/// All interfaces, as they are at this moment, sorted by index. Needs no privilege.
///
/// If a platform [feeds](crate::feed_interfaces) its own list, this returns that list. Otherwise
/// the operating system is asked, which takes well under a millisecond and does not block on the
/// network.
///
/// # Errors
///
/// [`InterfaceError::Os`] if the operating system refuses, as some sandboxes do.
pub fn interfaces() -> Result<Vec<Interface>, InterfaceError> {
    match feed::current() {
        Some(list) => Ok(list.to_vec()),
        None => from_system(),
    }
}

/// What the operating system itself says, whatever was fed.
pub(crate) fn from_system() -> Result<Vec<Interface>, InterfaceError> {
    sys::interfaces().map_err(|source| InterfaceError::Os {
        action: "list interfaces",
        source,
    })
}

/// The interface of that name.
///
/// # Errors
///
/// [`InterfaceError::NotFound`], whose message lists the interfaces that there are, or
/// [`InterfaceError::Os`].
pub fn find(name: &str) -> Result<Interface, InterfaceError> {
    let available = interfaces()?;
    match available.iter().find(|interface| interface.name == name) {
        Some(interface) => Ok(interface.clone()),
        None => Err(InterfaceError::NotFound {
            name: name.to_owned(),
            available,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_means_up_addressed_and_routed() {
        let mut wlan0 = Interface::new("wlan0", 2, InterfaceKind::Wifi);
        assert!(!wlan0.is_usable(), "no address");
        wlan0.addresses = vec!["169.254.3.4".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert!(!wlan0.is_usable(), "only link-local addresses");
        wlan0.addresses.push("192.0.2.7".parse().unwrap());
        assert!(wlan0.is_usable());
        wlan0.has_default_route = Some(DefaultRoute::default());
        assert!(!wlan0.is_usable(), "known to have no default route");
        wlan0.has_default_route = Some(DefaultRoute {
            v4: true,
            v6: false,
        });
        assert!(wlan0.is_usable());
        wlan0.up = false;
        assert!(!wlan0.is_usable());
    }

    #[test]
    fn a_network_handle_goes_before_the_interface() {
        let mut wlan0 = Interface::new("wlan0", 2, InterfaceKind::Wifi);
        assert_eq!(
            wlan0.binding(),
            Binding::Interface {
                name: "wlan0".into(),
                index: 2
            }
        );
        wlan0.network_handle = Some(7);
        assert_eq!(wlan0.binding(), Binding::AndroidNetwork(7));
    }
}
