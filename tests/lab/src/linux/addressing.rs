//! The numbers of a link, and putting them on and off the client's device.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netlink::Netlink;
use super::route::Route;

/// The server's addresses. Documentation ranges: nobody mistakes them for private ones, for which
/// a multipath client may well decide that they are not worth a second path.
pub(super) const SERVER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
pub(super) const SECOND_SERVER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 20));
pub(super) const SERVER_V6: IpAddr =
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x10));

const FIRST_METRIC: u32 = 600;
const FIRST_TABLE: u32 = 100;
/// The first host number the client has on a link; a change of address takes the next.
const FIRST_HOST: u8 = 2;
/// The host number of the proxy.
const PEP_HOST: u8 = 254;

/// Most links a world can have.
pub(super) const MOST_LINKS: u8 = 100;

/// The networks of the link with this number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Networks(pub(super) u8);

impl Networks {
    pub(super) fn v4(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 10 + self.0, host)
    }

    pub(super) fn v6(self, host: u8) -> Ipv6Addr {
        Ipv6Addr::new(
            0x2001,
            0xdb8,
            0,
            u16::from(self.0) + 1,
            0,
            0,
            0,
            u16::from(host),
        )
    }

    /// Both networks, or that of IPv4 alone.
    pub(super) fn routes(self, ipv6: bool) -> Vec<(IpAddr, u8)> {
        let mut routes = vec![(self.v4(0).into(), 24)];
        if ipv6 {
            routes.push((self.v6(0).into(), 64));
        }
        routes
    }

    /// What the client is called outside when the link translates addresses.
    pub(super) fn public(self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, 10 + self.0)
    }

    pub(super) fn pep(self) -> (Ipv4Addr, Ipv6Addr) {
        (self.v4(PEP_HOST), self.v6(PEP_HOST))
    }
}

/// The client's device and what is configured on it.
#[derive(Debug)]
pub(super) struct Addressing {
    networks: Networks,
    device: u32,
    ipv6: bool,
    host: u8,
    present: bool,
}

impl Addressing {
    pub(super) fn new(networks: Networks, device: u32, ipv6: bool) -> Self {
        Self {
            networks,
            device,
            ipv6,
            host: FIRST_HOST,
            present: true,
        }
    }

    pub(super) fn device(&self) -> u32 {
        self.device
    }

    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        if !self.present {
            return Vec::new();
        }
        self.numbers().into_iter().map(|(ip, _)| ip).collect()
    }

    fn numbers(&self) -> Vec<(IpAddr, u8)> {
        let mut numbers = vec![(self.networks.v4(self.host).into(), 24)];
        if self.ipv6 {
            numbers.push((self.networks.v6(self.host).into(), 64));
        }
        numbers
    }

    /// Puts addresses, routes and rules in place, whatever is left of them.
    pub(super) fn apply(&self, netlink: &mut Netlink) -> io::Result<()> {
        if !self.present {
            return Ok(());
        }
        for (ip, prefix) in self.numbers() {
            netlink.add_address(self.device, ip, prefix)?;
            netlink.add_rule(ip, self.table())?;
            for route in self.default_routes(ip) {
                netlink.add_route(&route)?;
            }
        }
        Ok(())
    }

    /// Takes the addresses away; the kernel takes the routes that start at them.
    pub(super) fn remove(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        if !self.present {
            return Ok(());
        }
        for (ip, prefix) in self.numbers() {
            tolerate_absence(netlink.delete_rule(ip, self.table()))?;
            for route in self.default_routes(ip) {
                tolerate_absence(netlink.delete_route(&route))?;
            }
            tolerate_absence(netlink.delete_address(self.device, ip, prefix))?;
        }
        self.present = false;
        Ok(())
    }

    /// Takes addresses that the link has not had before, in place of those it has.
    pub(super) fn change(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        self.remove(netlink)?;
        self.host = if self.host + 1 < PEP_HOST {
            self.host + 1
        } else {
            FIRST_HOST
        };
        self.restore(netlink)
    }

    pub(super) fn restore(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        self.present = true;
        self.apply(netlink)
    }

    pub(super) fn remove_default_routes(&self, netlink: &mut Netlink) -> io::Result<()> {
        for (ip, _) in self.numbers() {
            for route in self.default_routes(ip) {
                tolerate_absence(netlink.delete_route(&route))?;
            }
        }
        Ok(())
    }

    fn table(&self) -> u32 {
        FIRST_TABLE + u32::from(self.networks.0)
    }

    /// One for everybody, and one for sockets bound to the address.
    fn default_routes(&self, ip: IpAddr) -> [Route; 2] {
        let main = Route {
            to: None,
            device: self.device,
            v6: ip.is_ipv6(),
            table: None,
            metric: FIRST_METRIC + 100 * u32::from(self.networks.0),
            source: Some(ip),
        };
        let own = Route {
            table: Some(self.table()),
            ..main
        };
        [main, own]
    }
}

/// The kernel may have removed it first: with its device or with its address.
fn tolerate_absence(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ESRCH | libc::ENOENT | libc::EADDRNOTAVAIL | libc::ENETDOWN)
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}
