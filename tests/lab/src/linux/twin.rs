//! A router beside another one, which takes a share of the flows.

use std::net::IpAddr;

use super::cable::{Cable, Ends};
use super::chain::{EAST, MTU, WEST};
use super::host::Host;
use super::route::Route;
use super::world::{device, prepare};
use crate::error::{LabError, Step as _};

/// The router before the two has a second device, and so has the one behind them.
const SECOND_EAST: &str = "east2";
const SECOND_WEST: &str = "west2";
const SEED: u64 = 101;

/// See [`Chain::with_twin`](super::Chain::with_twin).
#[derive(Debug)]
pub struct Twin {
    // Ends before the host.
    cables: [Cable; 2],
    host: Host,
    addresses: Vec<IpAddr>,
}

impl Twin {
    /// Lays it between `west` and `east`. `first` is the device of `west` towards the first router; `own` are the
    /// addresses of the new one, `before` those of all nodes on the client's side, and `after` those of `east`.
    pub(super) fn beside(
        west: &Host,
        east: &Host,
        first: u32,
        own: &[(IpAddr, u8)],
        before: &[(IpAddr, u8)],
        after: &[(IpAddr, u8)],
    ) -> Result<Self, LabError> {
        let ipv6 = own.iter().any(|(it, _)| it.is_ipv6());
        let host = Host::new("twin")?;
        prepare(host.namespace(), ipv6)?;
        host.sysctl("ipv4/ip_forward", "1")?;
        west.sysctl("ipv4/fib_multipath_hash_policy", "1")?;
        if ipv6 {
            host.sysctl("ipv6/conf/all/forwarding", "1")?;
            west.sysctl("ipv6/fib_multipath_hash_policy", "1")?;
        }
        let (west_tun, second) = device(west.namespace(), SECOND_EAST, MTU)?;
        let (near_tun, near) = device(host.namespace(), WEST, MTU)?;
        let (far_tun, far) = device(host.namespace(), EAST, MTU)?;
        let (east_tun, _) = device(east.namespace(), SECOND_WEST, MTU)?;
        let mut route = host.namespace().route();
        for (address, length) in own {
            let given = route.add_address(near, *address, *length);
            given.step(|| "give the twin its address".into())?;
        }
        for v6 in [false, true].into_iter().filter(|v6| ipv6 || !v6) {
            let mut add = |to, device| {
                let metric = 0;
                let (table, source) = (None, None);
                let added = route.add_route(&Route {
                    to,
                    device,
                    v6,
                    table,
                    metric,
                    source,
                });
                added.step(|| "give the twin its routes".into())
            };
            add(None, far)?;
            for address in before.iter().filter(|(it, _)| it.is_ipv6() == v6) {
                add(Some(*address), near)?;
            }
            let mut shared = west.namespace().route();
            let shared = shared.add_shared_route([first, second], v6);
            shared.step(|| "share a route between two routers".into())?;
        }
        drop(route);
        let only = |all: &[(IpAddr, u8)]| all.iter().map(|(it, _)| *it).collect();
        let near = Ends {
            west: west_tun,
            east: near_tun,
            near: only(&before[before.len() - own.len()..]),
            next: only(own),
            seed: SEED,
        };
        let far = Ends {
            west: far_tun,
            east: east_tun,
            near: only(own),
            next: only(after),
            seed: SEED + 1,
        };
        Ok(Self {
            addresses: only(own),
            cables: [Cable::lay(near)?, Cable::lay(far)?],
            host,
        })
    }

    /// The router itself.
    #[must_use]
    pub fn router(&self) -> &Host {
        &self.host
    }

    /// Its address of one family.
    ///
    /// # Panics
    ///
    /// When the kernel has no IPv6, and it is asked for.
    #[must_use]
    pub fn address(&self, v6: bool) -> IpAddr {
        self.addresses[usize::from(v6)]
    }

    /// The cable towards it from the client's side.
    #[must_use]
    pub fn before(&self) -> &Cable {
        &self.cables[0]
    }

    /// The cable from it towards the server.
    #[must_use]
    pub fn behind(&self) -> &Cable {
        &self.cables[1]
    }
}
