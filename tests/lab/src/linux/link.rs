//! The handle to one link: its faults, its device, its books.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::addressing::{Addressing, SERVER_V4, SERVER_V6};
use super::emulator::Shared;
use super::namespace::Namespace;
use super::sys;
use crate::counters::Counters;
use crate::engine::Engine;
use crate::error::{LabError, Step as _};
use crate::spec::{Direction, End, LinkSpec, Rebind, Shape, StripHow, StripMode};

/// The discard port of old, which nobody serves.
const UNUSED_PORT: u16 = 9;
const PATIENCE: Duration = Duration::from_secs(5);

/// One link of a [`World`](crate::World). Clones are the same link.
///
/// Every change takes effect before the call returns.
#[derive(Clone)]
pub struct LinkHandle {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    shared: Arc<Shared>,
    client: Arc<Namespace>,
    addressing: Mutex<Addressing>,
    device: Weak<File>,
}

impl fmt::Debug for LinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkHandle")
            .field("name", &self.inner.name)
            .field("spec", self.engine().spec())
            .finish_non_exhaustive()
    }
}

impl LinkHandle {
    pub(super) fn new(
        name: String,
        shared: Arc<Shared>,
        client: Arc<Namespace>,
        addressing: Addressing,
        device: &Arc<File>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                name,
                shared,
                client,
                addressing: Mutex::new(addressing),
                device: Arc::downgrade(device),
            }),
        }
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.inner.shared.lock()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Engine) -> T) -> T {
        let result = change(&mut self.engine());
        self.inner.shared.wake();
        result
    }

    fn addressing(&self) -> MutexGuard<'_, Addressing> {
        self.inner
            .addressing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The device's name in the client's namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The device's index in the client's namespace.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.addressing().device()
    }

    /// What the link is like at the moment.
    #[must_use]
    pub fn spec(&self) -> LinkSpec {
        self.engine().spec().clone()
    }

    /// Changes what the link is like, in both directions. What is in flight arrives as it would
    /// have; what waits in the queue goes at the new rate. `mtu`, `nat` and `pep` stay as they were.
    /// The specification knows no directions: what [`set_one_way`](Self::set_one_way) has made
    /// different is alike again.
    pub fn set(&self, change: impl FnOnce(&mut LinkSpec)) {
        self.change(|engine| {
            let mut spec = engine.spec().clone();
            change(&mut spec);
            engine.set_spec(spec, Instant::now());
        });
    }

    /// Changes one direction alone; the next [`set`](Self::set) makes both alike again.
    pub fn set_one_way(&self, direction: Direction, change: impl Fn(&mut Shape)) {
        self.change(|engine| engine.reshape(direction, change, Instant::now()));
    }

    /// Lets nothing more arrive in `direction`, without a word to anyone; what is in flight is lost.
    pub fn blackhole(&self, direction: Direction) {
        self.change(|engine| engine.blackhole(direction));
    }

    /// As [`blackhole`](Self::blackhole), but the link's proxy stays in reach of the client and
    /// goes on acknowledging.
    pub fn blackhole_behind_pep(&self, direction: Direction) {
        self.change(|engine| engine.blackhole_behind_pep(direction));
    }

    /// Lets nothing more to or from that address of the server in, in either direction; its other
    /// addresses stay in reach.
    pub fn blackhole_server(&self, server: IpAddr) {
        self.change(|engine| engine.blackhole_server(server));
    }

    /// Ends every blackhole, SYN drop and stripping.
    pub fn heal(&self) {
        self.change(Engine::heal);
    }

    /// Drops SYNs (not SYN-ACKs) of both directions, or stops doing so.
    pub fn drop_syns(&self, on: bool) {
        self.change(|engine| engine.drop_syns(on));
    }

    /// Drops SYNs that carry option 30, as some firewalls do, or stops doing so.
    pub fn drop_mptcp_syns(&self, on: bool) {
        self.change(|engine| engine.drop_mptcp_syns(on));
    }

    /// Overwrites option 30 with NOPs on the chosen segments.
    pub fn strip_mptcp(&self, mode: StripMode, direction: Direction) {
        self.take_out_mptcp(mode, StripHow::Overwrite, direction);
    }

    /// Takes option 30 out of the chosen segments.
    pub fn take_out_mptcp(&self, mode: StripMode, how: StripHow, direction: Direction) {
        self.change(|engine| engine.strip_mptcp(mode, how, direction));
    }

    /// Forges resets for every TCP connection the link has seen; says for how many.
    pub fn inject_rst(&self, to: End) -> usize {
        self.change(|engine| engine.inject_rst(to, None))
    }

    /// Forges resets for the connections to one port of the server; says for how many.
    pub fn inject_rst_port(&self, to: End, port: u16) -> usize {
        self.change(|engine| engine.inject_rst(to, Some(port)))
    }

    /// Lets the NAT lose its table.
    pub fn rebind_nat(&self, how: Rebind) {
        self.change(|engine| engine.rebind_nat(how));
    }

    /// Exact numbers of what went through and what did not.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.engine().counters()
    }

    /// Bytes that wait in the queues, up and down.
    #[must_use]
    pub fn backlog(&self) -> (usize, usize) {
        self.engine().backlog(Instant::now())
    }

    /// Panics unless the link has dropped packets since `before`: a test of a fault that never
    /// struck proves nothing.
    ///
    /// # Panics
    ///
    /// When nothing was dropped.
    #[track_caller]
    pub fn assert_dropped_since(&self, before: &Counters) {
        let since = self.counters() - *before;
        assert!(
            since.dropped() > 0,
            "{} dropped nothing: {since:?}",
            self.name()
        );
    }

    /// Panics if the ends have put TCP payload on the link since `before` beyond `allowed` bytes.
    ///
    /// # Panics
    ///
    /// When they have.
    #[track_caller]
    pub fn assert_payload_since(&self, before: &Counters, allowed: u64) {
        let since = self.counters() - *before;
        let payload = since.payload_offered();
        assert!(
            payload <= allowed,
            "{} carried {payload} bytes of payload, {allowed} were allowed",
            self.name()
        );
    }

    /// How long the link takes there and back at this moment: the shortest of three connections to
    /// a port of the server's where nobody listens. Blocks the calling thread for as long, and
    /// appears in the counters. With a proxy on the link it is the time to the proxy.
    ///
    /// # Errors
    ///
    /// When no answer comes within five seconds, or the device has no route.
    pub fn measure_rtt(&self) -> Result<Duration, LabError> {
        self.measure_rtt_to(SERVER_V4)
    }

    /// As [`measure_rtt`](Self::measure_rtt), by IPv6.
    ///
    /// # Errors
    ///
    /// As there, and without IPv6.
    pub fn measure_rtt_v6(&self) -> Result<Duration, LabError> {
        self.measure_rtt_to(SERVER_V6)
    }

    fn measure_rtt_to(&self, server: IpAddr) -> Result<Duration, LabError> {
        let step = || format!("measure the round trip over {}", self.name());
        self.inner.client.inside(|| {
            let mut best = Duration::MAX;
            for _ in 0..3 {
                best = best.min(refusal(self.name(), server).step(step)?);
            }
            Ok(best)
        })
    }

    /// The client's addresses on this link.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.addressing().addresses()
    }

    /// Takes the client's device down: routes vanish, the kernel tells everyone who listens.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn down(&self) -> Result<(), LabError> {
        let addressing = self.addressing();
        self.change(|engine| engine.set_down(true));
        let mut route = self.inner.client.route();
        route
            .set_device_up(addressing.device(), false)
            .step(|| format!("take {} down", self.name()))
    }

    /// Brings the device up again, with addresses and routes.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn up(&self) -> Result<(), LabError> {
        let addressing = self.addressing();
        self.change(|engine| engine.set_down(false));
        let mut route = self.inner.client.route();
        route
            .set_device_up(addressing.device(), true)
            .and_then(|()| addressing.apply(&mut route))
            .step(|| format!("bring {} up", self.name()))
    }

    /// Plugs or unplugs the carrier: the device stays up, with addresses and routes, and is not
    /// running, as when Wi-Fi is out of reach.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, or the world is gone.
    pub fn set_carrier(&self, on: bool) -> Result<(), LabError> {
        let device = self
            .inner
            .device
            .upgrade()
            .ok_or_else(|| io::ErrorKind::NotFound.into());
        device
            .and_then(|device| sys::set_tun_carrier(&device, on))
            .step(|| format!("set the carrier of {}", self.name()))?;
        self.change(|engine| engine.set_down(!on));
        Ok(())
    }

    /// Takes the client's addresses, with the routes and rules that start at them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn remove_address(&self) -> Result<(), LabError> {
        let mut route = self.inner.client.route();
        self.addressing()
            .remove(&mut route)
            .step(|| format!("remove the address of {}", self.name()))
    }

    /// Gives the client back the addresses that [`remove_address`](Self::remove_address) took.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn restore_address(&self) -> Result<(), LabError> {
        let mut route = self.inner.client.route();
        self.addressing()
            .restore(&mut route)
            .step(|| format!("restore the address of {}", self.name()))
    }

    /// Replaces the client's addresses by others of the same networks and returns them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn change_address(&self) -> Result<Vec<IpAddr>, LabError> {
        let mut route = self.inner.client.route();
        let mut addressing = self.addressing();
        addressing
            .change(&mut route)
            .step(|| format!("change the address of {}", self.name()))?;
        Ok(addressing.addresses())
    }

    /// Removes the link's default routes; address and device stay.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn remove_default_route(&self) -> Result<(), LabError> {
        let mut route = self.inner.client.route();
        self.addressing()
            .remove_default_routes(&mut route)
            .step(|| format!("remove the routes of {}", self.name()))
    }

    /// Puts back what [`remove_default_route`](Self::remove_default_route) removed.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn restore_default_route(&self) -> Result<(), LabError> {
        let mut route = self.inner.client.route();
        self.addressing()
            .apply(&mut route)
            .step(|| format!("restore the routes of {}", self.name()))
    }
}

/// How long the server takes to refuse a connection over the device.
fn refusal(device: &str, server: IpAddr) -> io::Result<Duration> {
    let nobody = SocketAddr::new(server, UNUSED_PORT);
    let socket = Socket::new(
        Domain::for_address(nobody),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.bind_device(Some(device.as_bytes()))?;
    let start = Instant::now();
    match socket.connect_timeout(&nobody.into(), PATIENCE) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => Err(error),
        // A proxy accepts what the server would refuse.
        _ => Ok(start.elapsed()),
    }
}
