//! A world with a service and a gateway in it, and a test that plays in the client's place.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use twinpath::{Connector, ConnectorBuilder, Peer, Standby};
use twinpath_gateway::ForwarderBuilder;
use twinpath_lab::{LinkHandle, LinkSpec, World};

use crate::client::Client;
use crate::gateway::Gateway;
use crate::patience::{LIMIT, Watchdog, ms, soon};
use crate::service::{self, Book, Service};

/// The primary link.
pub const WIFI: &str = "wlan0";
/// The backup link.
pub const CELLULAR: &str = "wwan0";
/// The link of the VPN, if there is one.
pub const VPN: &str = "tun0";
/// The gateway's port.
pub const PORT: u16 = 443;

type Settings = Arc<dyn Fn(ForwarderBuilder) -> ForwarderBuilder + Send + Sync>;

/// What a test plays in.
#[derive(Debug)]
pub struct Scene {
    // Dropped before the world in which it runs.
    gateway: Mutex<Option<Gateway>>,
    /// What the service has seen.
    pub book: Arc<Book>,
    service: SocketAddr,
    settings: Hidden<Settings>,
    address: SocketAddr,
    listen: SocketAddr,
    /// The links, and both hosts.
    pub world: World,
}

struct Hidden<T>(T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Says what a scene is like.
#[must_use = "nothing happens before it is played"]
#[derive(Debug)]
pub struct SceneBuilder {
    service: Service,
    wifi: LinkSpec,
    cellular: LinkSpec,
    settings: Hidden<Settings>,
    is_v6: bool,
    is_both: bool,
    has_vpn: bool,
}

impl SceneBuilder {
    /// Changes the primary link.
    pub fn wifi(mut self, change: impl FnOnce(&mut LinkSpec)) -> Self {
        change(&mut self.wifi);
        self
    }

    /// Changes the backup link.
    pub fn cellular(mut self, change: impl FnOnce(&mut LinkSpec)) -> Self {
        change(&mut self.cellular);
        self
    }

    /// Sets up the gateway.
    pub fn gateway(
        mut self,
        set: impl Fn(ForwarderBuilder) -> ForwarderBuilder + Send + Sync + 'static,
    ) -> Self {
        self.settings = Hidden(Arc::new(set));
        self
    }

    /// Lets clients reach the gateway by IPv6 and not otherwise.
    pub fn over_v6(mut self) -> Self {
        self.is_v6 = true;
        self
    }

    /// Lets the gateway listen for IPv6 and IPv4 alike, as `[::]`; clients reach it by IPv4.
    pub fn for_both(mut self) -> Self {
        self.is_both = true;
        self
    }

    /// Has a VPN in force: all traffic that is not bound to another link leaves through it.
    pub fn under_vpn(mut self) -> Self {
        self.has_vpn = true;
        self
    }

    /// Plays: `act` runs on the client's host, in a runtime of one thread.
    ///
    /// # Panics
    ///
    /// When `act` does, or takes longer than a test may.
    #[track_caller]
    pub fn play<F>(self, act: F)
    where
        F: AsyncFnOnce(&Scene) + Send,
    {
        start_logging();
        let _watchdog = Watchdog::start();
        let Some(scene) = self.set() else {
            return;
        };
        let scene = &scene;
        let played = scene
            .world
            .client()
            .run(move || async move { timeout(LIMIT, act(scene)).await });
        assert!(
            played.unwrap().is_ok(),
            "the test took longer than {LIMIT:?}"
        );
    }

    /// The scene, and the gateway started; nothing where there is no lab.
    #[track_caller]
    fn set(self) -> Option<Scene> {
        let mut links = World::builder();
        if self.has_vpn {
            links = links.link(VPN, self.wifi.clone());
        }
        let links = links.link(WIFI, self.wifi).link(CELLULAR, self.cellular);
        let world = twinpath_lab::or_skip(links.build())?;
        let mut address = world.server_socket(PORT);
        if self.is_v6 {
            let Some(v6) = world.server_addr_v6() else {
                twinpath_lab::skip("this kernel has no IPv6");
                return None;
            };
            address.set_ip(v6);
        }
        let mut listen = address;
        if self.is_both {
            listen.set_ip(Ipv6Addr::UNSPECIFIED.into());
        }
        let (service, book) = service::start(&world, self.service);
        let scene = Scene {
            gateway: Mutex::default(),
            book,
            service,
            settings: self.settings,
            address,
            listen,
            world,
        };
        scene.start_gateway();
        Some(scene)
    }
}

impl Scene {
    /// A scene with Wi-Fi, cellular and a gateway before that service.
    pub fn before(service: Service) -> SceneBuilder {
        SceneBuilder {
            service,
            wifi: LinkSpec::wifi(),
            cellular: LinkSpec::cellular(),
            settings: Hidden(Arc::new(|builder| builder)),
            is_v6: false,
            is_both: false,
            has_vpn: false,
        }
    }

    /// The primary link.
    #[must_use]
    pub fn wifi(&self) -> LinkHandle {
        self.world.link(WIFI)
    }

    /// The backup link.
    #[must_use]
    pub fn cellular(&self) -> LinkHandle {
        self.world.link(CELLULAR)
    }

    /// Where the gateway listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the service listens, for the server's host alone.
    #[must_use]
    pub fn service(&self) -> SocketAddr {
        self.service
    }

    fn lock(&self) -> MutexGuard<'_, Option<Gateway>> {
        self.gateway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a gateway; there must be none.
    pub fn start_gateway(&self) {
        let set = Arc::clone(&self.settings.0);
        let gateway = Gateway::start(&self.world, self.listen, self.service, move |builder| {
            set(builder)
        });
        let before = self.lock().replace(gateway);
        assert!(before.is_none(), "there are two gateways");
    }

    /// Starts another gateway before the same service, at the server's second address, which is given as well.
    #[must_use]
    pub fn second_gateway(&self) -> (Gateway, SocketAddr) {
        let set = Arc::clone(&self.settings.0);
        let address = SocketAddr::new(self.world.second_server_addr(), PORT);
        let gateway = Gateway::start(&self.world, address, self.service, move |it| set(it));
        (gateway, address)
    }

    /// Takes the gateway out of the scene; dropping it kills it.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn take_gateway(&self) -> Gateway {
        self.lock().take().expect("there is a gateway")
    }

    /// The value of a sample of the gateway's metrics page.
    pub async fn sample(&self, name: &str) -> f64 {
        let gateway = self.take_gateway();
        let value = gateway.sample(name).await;
        *self.lock() = Some(gateway);
        value
    }

    /// Waits until a sample of the gateway's metrics page has that value.
    pub async fn until(&self, name: &str, value: f64) {
        let gateway = self.take_gateway();
        gateway.until(name, value).await;
        *self.lock() = Some(gateway);
    }

    /// Waits until the gateway has been up for so long.
    pub async fn until_up(&self, age: Duration) {
        let up = async {
            while self.sample("twinpath_uptime_seconds").await < age.as_secs_f64() {
                tokio::time::sleep(ms(100)).await;
            }
        };
        soon("the gateway is old enough", up).await;
    }

    /// A connector to the gateway as a phone has it, without a limit on cellular bytes.
    pub fn connector(&self) -> ConnectorBuilder {
        Connector::builder().peer(Peer::Gateway).budget(None)
    }

    /// Connects to the gateway with the options of `builder`.
    pub async fn connect_with(&self, builder: ConnectorBuilder) -> Client {
        let connector = builder.build().unwrap();
        let target = self.address().to_string();
        let connecting = connector.connect(&target);
        let connection = soon("the connect", connecting).await.unwrap();
        Client::new(connection)
    }

    /// Connects with a warm backup, and waits until it stands by.
    pub async fn connect(&self) -> Client {
        let client = self
            .connect_with(self.connector().standby(Standby::Warm))
            .await;
        client.tale.until_warm().await;
        client
    }

    /// Connects with a cold backup, and waits for the gateway's answer.
    pub async fn connect_cold(&self) -> Client {
        let client = self
            .connect_with(self.connector().standby(Standby::Cold))
            .await;
        soon("the answer", client.connection.established())
            .await
            .unwrap();
        client
    }
}

pub(crate) fn start_logging() {
    use std::io::Write as _;
    let environment = env_logger::Env::default().filter("TWINPATH_LOG");
    let mut builder = env_logger::Builder::from_env(environment);
    builder.is_test(true).format(|out, record| {
        let thread = std::thread::current();
        let (at, thread) = (
            out.timestamp_micros(),
            thread.name().unwrap_or("?").to_owned(),
        );
        writeln!(out, "{at} {thread} {}: {}", record.target(), record.args())
    });
    // Fails only if another test has done it.
    let _ = builder.try_init();
}
