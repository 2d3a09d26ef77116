//! What the device insists on for all traffic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::{Interface, InterfaceKind, feed, interface, interfaces};

/// What the device insists on: with either of them, a connection must take the system's route and
/// must not be spread over interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Mandate {
    /// The VPN interface by which this process's traffic to the internet leaves, if it does.
    pub vpn: Option<String>,
    /// The platform has [said](crate::feed_proxy) that a proxy is mandated.
    ///
    /// Nothing else sets it: on Android and Apple's systems the proxy of a network is known to the
    /// platform's framework only, and environment variables (`https_proxy`) are an agreement
    /// between a user and a program, not a mandate.
    pub proxy: bool,
}

impl Mandate {
    /// Whether nothing is mandated.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.vpn.is_none() && !self.proxy
    }
}

/// What the device mandates for this process at this moment. Never fails: what cannot be learnt is
/// not reported.
///
/// The VPN is found in the same way on every platform: the system is asked for the source address
/// that it would use towards the internet (by connecting a datagram socket, which sends nothing),
/// and the interface that has this address is looked at. This respects metrics, routing rules and,
/// on Android, VPNs that apply to some apps only. A VPN that carries only its own networks is no
/// mandate. If the VPN's interface is not visible to the process, or not known as one (an IPsec
/// tunnel without an interface of its own), it is missed.
#[must_use]
pub fn system_mandate() -> Mandate {
    system_mandate_among(&interfaces().unwrap_or_default())
}

/// The same where the interfaces of this moment are known already.
#[must_use]
pub fn system_mandate_among(known: &[Interface]) -> Mandate {
    Mandate {
        vpn: vpn(known),
        proxy: feed::proxy(),
    }
}

fn vpn(known: &[Interface]) -> Option<String> {
    // Any public address will do, since nothing is sent: these are a root name server's.
    let v4 = source_towards(Ipv4Addr::new(198, 41, 0, 4).into());
    let v6 = source_towards(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30).into());
    // A platform that feeds the networks that it offers may leave out the tunnel, which the system
    // still lists.
    let mut known = known.to_vec();
    if feed::current().is_some() {
        known.extend(interface::from_system().unwrap_or_default());
    }
    [v4, v6]
        .into_iter()
        .flatten()
        .find_map(|source| owner(&known, source).filter(|it| it.kind == InterfaceKind::Vpn))
        .map(|it| it.name.clone())
}

fn owner(known: &[Interface], source: IpAddr) -> Option<&Interface> {
    known
        .iter()
        .find(|interface| interface.addresses.contains(&source))
}

fn source_towards(address: IpAddr) -> Option<IpAddr> {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((address, 53)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
