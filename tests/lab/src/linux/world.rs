//! Two hosts and the links between them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::addressing::{Addressing, MOST_LINKS, Networks, SECOND_SERVER_V4, SERVER_V4, SERVER_V6};
use super::emulator::{Emulator, Tuns};
use super::host::Host;
use super::link::LinkHandle;
use super::namespace::Namespace;
use super::proxy::Proxy;
use super::route::Route;
use crate::engine::Engine;
use crate::error::{LabError, Step as _};
use crate::nat::Nat;
use crate::spec::LinkSpec;

/// Packets that may wait for the emulator. It sees every one of them: only its own queue drops.
const DEVICE_QUEUE: u32 = 50_000;
pub(super) const LOOPBACK: u32 = 1;

/// A client and a server with links between them. Dropping it removes all of it.
#[derive(Debug)]
pub struct World {
    // The order of the fields is the order of the end: first who uses the links.
    links: Vec<LinkHandle>,
    emulators: Vec<Emulator>,
    proxies: Vec<Host>,
    client: Host,
    server: Host,
    ipv6: bool,
}

/// Collects the links of a [`World`].
#[derive(Debug, Default, Clone)]
#[must_use]
pub struct WorldBuilder {
    links: Vec<(String, LinkSpec)>,
    seed: u64,
}

impl WorldBuilder {
    /// Adds a link. The first one added is the client's preferred default route.
    pub fn link(mut self, name: &str, spec: LinkSpec) -> Self {
        self.links.push((name.to_owned(), spec));
        self
    }

    /// Seeds random loss and jitter; the same seed loses the same packets.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// When a name or number does not fit, or the machine has not what it takes; see
    /// [`LabError::is_unavailable`].
    pub fn build(self) -> Result<World, LabError> {
        World::build(self)
    }
}

impl World {
    /// `wlan0` as [`LinkSpec::wifi`] and `wwan0` as [`LinkSpec::cellular`].
    ///
    /// # Errors
    ///
    /// As [`WorldBuilder::build`].
    pub fn new() -> Result<Self, LabError> {
        Self::builder()
            .link("wlan0", LinkSpec::wifi())
            .link("wwan0", LinkSpec::cellular())
            .build()
    }

    /// A world without links, to add them to.
    pub fn builder() -> WorldBuilder {
        WorldBuilder::default()
    }

    fn build(plan: WorldBuilder) -> Result<Self, LabError> {
        check(&plan)?;
        let client = Host::new("client")?;
        let server = Host::new("server")?;
        let ipv6 = Path::new("/proc/sys/net/ipv6").exists();
        for host in [&client, &server] {
            prepare(host.namespace(), ipv6)?;
        }
        give_server_address(server.namespace(), ipv6)?;
        let mut world = Self {
            links: Vec::new(),
            emulators: Vec::new(),
            proxies: Vec::new(),
            client,
            server,
            ipv6,
        };
        for ((name, spec), number) in plan.links.into_iter().zip(0..) {
            world.add_link(
                &name,
                spec,
                Networks(number),
                plan.seed ^ (u64::from(number) << 56),
            )?;
        }
        Ok(world)
    }

    fn add_link(
        &mut self,
        name: &str,
        spec: LinkSpec,
        networks: Networks,
        seed: u64,
    ) -> Result<(), LabError> {
        let (client_tun, client_device) = device(self.client.namespace(), name, spec.mtu)?;
        let (server_tun, server_device) = device(self.server.namespace(), name, spec.mtu)?;
        let addressing = Addressing::new(networks, client_device, self.ipv6);
        addressing
            .apply(&mut self.client.namespace().route())
            .step(|| format!("give {name} its addresses"))?;
        let mut behind = networks.routes(self.ipv6);
        behind.push((networks.public().into(), 32));
        for to in behind {
            let back = Route {
                to: Some(to),
                device: server_device,
                v6: to.0.is_ipv6(),
                table: None,
                metric: 0,
                source: Some(if to.0.is_ipv6() { SERVER_V6 } else { SERVER_V4 }),
            };
            let mut route = self.server.namespace().route();
            route
                .add_route(&back)
                .step(|| format!("route to the client over {name}"))?;
        }
        let public = spec.nat.then(|| networks.public());
        let client_tun = Arc::new(client_tun);
        let mut tuns: Tuns = [
            Some(Arc::clone(&client_tun)),
            Some(Arc::new(server_tun)),
            None,
            None,
        ];
        let mut redirect = None;
        if spec.pep.is_some() {
            let proxy = Proxy::start(networks, spec.mtu, self.ipv6)?;
            tuns[2] = Some(Arc::new(proxy.near));
            tuns[3] = Some(Arc::new(proxy.far));
            redirect = Some(proxy.redirect);
            self.proxies.push(proxy.host);
        }
        let engine = Engine::new(spec, Nat::new(public), redirect, seed);
        let emulator = Emulator::start(name, engine, tuns)?;
        self.links.push(LinkHandle::new(
            name.to_owned(),
            Arc::clone(emulator.shared()),
            Arc::clone(self.client.namespace()),
            addressing,
            &client_tun,
        ));
        self.emulators.push(emulator);
        Ok(())
    }

    /// The host with the links.
    #[must_use]
    pub fn client(&self) -> &Host {
        &self.client
    }

    /// The host at the far end of all links.
    #[must_use]
    pub fn server(&self) -> &Host {
        &self.server
    }

    /// The server's IPv4 address, in reach over every link.
    #[must_use]
    pub fn server_addr(&self) -> IpAddr {
        SERVER_V4
    }

    /// Another IPv4 address of the server, as in reach as the first one: for tests with two servers.
    #[must_use]
    pub fn second_server_addr(&self) -> IpAddr {
        SECOND_SERVER_V4
    }

    /// The server's IPv6 address, in reach over every link, if the kernel has IPv6.
    #[must_use]
    pub fn server_addr_v6(&self) -> Option<IpAddr> {
        self.ipv6.then_some(SERVER_V6)
    }

    /// The server's IPv4 address with a port.
    #[must_use]
    pub fn server_socket(&self, port: u16) -> SocketAddr {
        SocketAddr::new(SERVER_V4, port)
    }

    /// The links in the order in which they were added.
    #[must_use]
    pub fn links(&self) -> &[LinkHandle] {
        &self.links
    }

    /// The link of this name.
    ///
    /// # Panics
    ///
    /// When there is none; [`find_link`](Self::find_link) does not panic.
    #[must_use]
    #[track_caller]
    pub fn link(&self, name: &str) -> LinkHandle {
        match self.find_link(name) {
            Ok(link) => link,
            Err(error) => panic!("{error}"),
        }
    }

    /// The link of this name.
    ///
    /// # Errors
    ///
    /// [`LabError::NoSuchLink`].
    pub fn find_link(&self, name: &str) -> Result<LinkHandle, LabError> {
        let found = self.links.iter().find(|link| link.name() == name);
        found
            .cloned()
            .ok_or_else(|| LabError::NoSuchLink(name.to_owned()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.client.end_detached();
        self.server.end_detached();
        for proxy in &self.proxies {
            proxy.end_detached();
        }
    }
}

fn check(plan: &WorldBuilder) -> Result<(), LabError> {
    let bad = |text: String| Err(LabError::BadSpec(text));
    if plan.links.len() > usize::from(MOST_LINKS) {
        return bad(format!("a world has at most {MOST_LINKS} links"));
    }
    for (at, (name, spec)) in plan.links.iter().enumerate() {
        if name.is_empty() || name.len() > 15 || name == "lo" || name.contains(['/', ' ']) {
            return bad(format!("{name:?} is no name for a device"));
        }
        if plan.links[..at].iter().any(|(other, _)| other == name) {
            return bad(format!("there are two links named {name:?}"));
        }
        if !(1280..=65_000).contains(&spec.mtu) {
            return bad(format!("the MTU of {name} is not from 1280 to 65000"));
        }
        if !(0.0..=1.0).contains(&spec.loss) {
            return bad(format!("the loss of {name} is no probability"));
        }
    }
    Ok(())
}

/// Sets what every namespace of the lab needs before it has devices.
pub(super) fn prepare(namespace: &Namespace, ipv6: bool) -> Result<(), LabError> {
    // Both links lead to one server: answers may come in where the best route does not go out.
    for which in ["all", "default"] {
        namespace.sysctl(&format!("ipv4/conf/{which}/rp_filter"), "0")?;
    }
    // What one connection learns about the path must not make the next run faster.
    namespace.sysctl_if_present("ipv4/tcp_no_metrics_save", "1")?;
    namespace.sysctl_if_present("mptcp/enabled", "1")?;
    if ipv6 {
        for which in ["all", "default"] {
            namespace.sysctl(&format!("ipv6/conf/{which}/disable_ipv6"), "0")?;
            namespace.sysctl(&format!("ipv6/conf/{which}/accept_dad"), "0")?;
        }
        // An idle link carries nothing: no router solicitations, no link-local address.
        namespace.sysctl("ipv6/conf/default/addr_gen_mode", "1")?;
        namespace.sysctl("ipv6/conf/default/router_solicitations", "0")?;
    }
    let mut route = namespace.route();
    route
        .set_device_up(LOOPBACK, true)
        .step(|| "bring the loopback device up".into())
}

fn give_server_address(server: &Namespace, ipv6: bool) -> Result<(), LabError> {
    let mut route = server.route();
    let mut addresses = vec![(SERVER_V4, 32), (SECOND_SERVER_V4, 32)];
    if ipv6 {
        addresses.push((SERVER_V6, 128));
    }
    let given: io::Result<()> = addresses
        .into_iter()
        .try_for_each(|(address, length)| route.add_address(LOOPBACK, address, length));
    given.step(|| "give the server its address".into())
}

pub(super) fn device(
    namespace: &Namespace,
    name: &str,
    mtu: u32,
) -> Result<(std::fs::File, u32), LabError> {
    let tun = namespace.tun(name)?;
    let mut route = namespace.route();
    let index = route
        .device_index(name)
        .step(|| format!("find the device {name}"))?;
    route
        .set_device_size(index, mtu, DEVICE_QUEUE)
        .and_then(|()| route.set_device_up(index, true))
        .step(|| format!("bring up the device {name}"))?;
    Ok((tun, index))
}
