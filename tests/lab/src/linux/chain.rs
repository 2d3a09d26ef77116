//! A client and a server with routers in a row between them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::cable::{Cable, Ends};
use super::host::Host;
use super::route::Route;
use super::twin::Twin;
use super::world::{device, prepare};
use crate::error::{LabError, Step as _};

pub(super) const MTU: u32 = 1500;
/// The device towards the client, and on the client the one towards the server.
pub(super) const WEST: &str = "west";
pub(super) const EAST: &str = "east";
/// What the client's device is called.
const CLIENT_DEVICE: &str = "wlan0";
const MOST_ROUTERS: u8 = 30;

/// Routers in a row, each of them a network namespace whose kernel forwards, counts down TTLs and sends ICMP errors at
/// the rate it is used to; between them [cables](Cable) that can do what kernels cannot. Rules for packets are the
/// kernel's own: run `nft` or `iptables` on a [router](Self::router).
///
/// Node 0 is the client, the last one the server; cable `k` leads from node `k` to node `k + 1`.
#[derive(Debug)]
pub struct Chain {
    // The order of the fields is the order of the end.
    twin: Option<Twin>,
    cables: Vec<Cable>,
    hosts: Vec<Host>,
    /// The indexes of the devices of each cable, at its western and its eastern end.
    devices: Vec<[u32; 2]>,
    ipv6: bool,
}

impl Chain {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// When there are more than 30 routers, or the machine has not what it takes; see [`LabError::is_unavailable`].
    pub fn new(routers: u8) -> Result<Self, LabError> {
        if routers > MOST_ROUTERS {
            let text = format!("a chain has at most {MOST_ROUTERS} routers");
            return Err(LabError::BadSpec(text));
        }
        let ipv6 = Path::new("/proc/sys/net/ipv6").exists();
        let last = routers + 1;
        let mut chain = Self {
            twin: None,
            cables: Vec::new(),
            hosts: Vec::new(),
            devices: Vec::new(),
            ipv6,
        };
        for node in 0..=last {
            let host = Host::new(match node {
                0 => "client",
                _ if node == last => "server",
                _ => "router",
            })?;
            prepare(host.namespace(), ipv6)?;
            if node != 0 && node != last {
                host.sysctl("ipv4/ip_forward", "1")?;
                if ipv6 {
                    host.sysctl("ipv6/conf/all/forwarding", "1")?;
                }
            }
            chain.hosts.push(host);
        }
        for node in 0..last {
            chain.connect(node, last)?;
        }
        // Routes need addresses to name as their source, and so come last.
        for node in 0..=last {
            let routes = chain.routes(node, last);
            routes.step(|| format!("give node {node} of the chain its routes"))?;
        }
        Ok(chain)
    }

    /// The same with another router beside `router`: what goes out is shared between the two by flow, as routers share
    /// it (a nexthop group of the kernel's, with addresses and ports in the hash); what comes back takes the first.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); when `router` is the first one, which has no router before it, or there is none.
    pub fn with_twin(routers: u8, router: u8) -> Result<Self, LabError> {
        let mut chain = Self::new(routers)?;
        if router < 2 || router > routers {
            let text = "a router with a twin has a router before it";
            return Err(LabError::BadSpec(text.into()));
        }
        let at = usize::from(router);
        let last = chain.last();
        let before: Vec<_> = (0..router)
            .flat_map(|node| addresses(node, last, chain.ipv6))
            .collect();
        let after = addresses(router + 1, last, chain.ipv6);
        let [west, east] = [&chain.hosts[at - 1], &chain.hosts[at + 1]];
        let first = chain.devices[at - 1][0];
        let own = twin_addresses(router, chain.ipv6);
        chain.twin = Some(Twin::beside(west, east, first, &own, &before, &after)?);
        Ok(chain)
    }

    /// Lays the cable from `node` to the next one.
    fn connect(&mut self, node: u8, last: u8) -> Result<(), LabError> {
        let (near, far) = (
            &self.hosts[usize::from(node)],
            &self.hosts[usize::from(node) + 1],
        );
        let name = if node == 0 { CLIENT_DEVICE } else { EAST };
        let (near_tun, near_device) = device(near.namespace(), name, MTU)?;
        let (far_tun, far_device) = device(far.namespace(), WEST, MTU)?;
        // One address for all that a node does: on the device towards the client, the client's on its only one.
        let mut give = vec![(far, far_device, node + 1)];
        if node == 0 {
            give.push((near, near_device, 0));
        }
        for (host, device, of) in give {
            let mut route = host.namespace().route();
            for (address, length) in addresses(of, last, self.ipv6) {
                let given = route.add_address(device, address, length);
                given.step(|| format!("give node {of} of the chain its address"))?;
            }
        }
        let only = |node| {
            let all = addresses(node, last, self.ipv6).into_iter();
            all.map(|(it, _)| it).collect()
        };
        let ends = Ends {
            west: near_tun,
            east: far_tun,
            near: only(node),
            next: only(node + 1),
            seed: u64::from(node) + 1,
        };
        self.devices.push([near_device, far_device]);
        self.cables.push(Cable::lay(ends)?);
        Ok(())
    }

    fn routes(&self, node: u8, last: u8) -> std::io::Result<()> {
        let mut route = self.hosts[usize::from(node)].namespace().route();
        for v6 in [false, true].into_iter().filter(|v6| self.ipv6 || !v6) {
            let mut add = |to, device| {
                let metric = 0;
                let (table, source) = (None, None);
                route.add_route(&Route {
                    to,
                    device,
                    v6,
                    table,
                    metric,
                    source,
                })
            };
            if let Some([device, _]) = self.devices.get(usize::from(node)) {
                add(None, *device)?;
            }
            for to in 0..node {
                let device = self.devices[usize::from(node) - 1][1];
                let all = addresses(to, last, true).into_iter();
                for (address, length) in all.filter(|(it, _)| it.is_ipv6() == v6) {
                    add(Some((address, length)), device)?;
                }
            }
        }
        Ok(())
    }
}

/// The addresses of a node, from documentation ranges.
fn addresses(node: u8, last: u8, ipv6: bool) -> Vec<(IpAddr, u8)> {
    let v4 = if node == last {
        Ipv4Addr::new(203, 0, 113, 10)
    } else {
        Ipv4Addr::new(198, 51, 100, 10 + node)
    };
    let mut all = vec![(v4.into(), 32)];
    if ipv6 {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10 + u16::from(node));
        all.push((v6.into(), 128));
    }
    all
}

/// As [`addresses`], of the router beside one.
fn twin_addresses(router: u8, ipv6: bool) -> Vec<(IpAddr, u8)> {
    let v4 = Ipv4Addr::new(198, 51, 100, 100 + router);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100 + u16::from(router));
    let all = [(v4.into(), 32), (v6.into(), 128)];
    all[..1 + usize::from(ipv6)].to_vec()
}

impl Chain {
    /// The host from which it is looked.
    #[must_use]
    pub fn client(&self) -> &Host {
        &self.hosts[0]
    }

    /// Router `number`, from 1.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn router(&self, number: u8) -> &Host {
        assert!(
            (1..self.last()).contains(&number),
            "there is no router {number}"
        );
        &self.hosts[usize::from(number)]
    }

    /// The host at the far end.
    #[must_use]
    pub fn server(&self) -> &Host {
        &self.hosts[usize::from(self.last())]
    }

    /// The cable from node `number` to the next one.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn cable(&self, number: u8) -> &Cable {
        &self.cables[usize::from(number)]
    }

    /// The router beside another, if there is one.
    #[must_use]
    pub fn twin(&self) -> Option<&Twin> {
        self.twin.as_ref()
    }

    /// How many cables there are in the row: one more than routers.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.last()
    }

    /// The server's address of one family.
    #[must_use]
    pub fn server_socket(&self, v6: bool, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(self.last(), v6), port)
    }

    /// A node's address of one family.
    #[must_use]
    pub fn address(&self, node: u8, v6: bool) -> IpAddr {
        let all = addresses(node, self.last(), true);
        all[usize::from(v6)].0
    }

    /// Whether the kernel has IPv6.
    #[must_use]
    pub fn has_v6(&self) -> bool {
        self.ipv6
    }

    fn last(&self) -> u8 {
        // One cable fewer than hosts, and at most 31 of them.
        self.cables.len() as u8
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let twin = self.twin.as_ref().map(Twin::router);
        for host in self.hosts.iter().chain(twin) {
            host.end_detached();
        }
    }
}
