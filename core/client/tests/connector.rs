//! The connector over two interfaces that the test feeds, each of them a relay that can fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "support is shared by several test binaries"
)]

mod support;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use support::Gateway;
use support::relay::{Relay, Weather};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use twinpath::driver::{BoxFuture, ByteStream, LegStream};
use twinpath::{
    Connection, Connector, ConnectorBuilder, Cost, Dialer, ErrorKind, Event, EventKind, Events,
    Interface, InterfaceKind, Mode, ModeReason, Path, Peer, Protection, Role, Standby, Target,
    Unprotected,
};

const LIMIT: Duration = Duration::from_secs(20);
/// Of a relay, each way: longer than a busy machine's scheduler is late, so that no path is suspected without a reason.
const DELAY: Duration = Duration::from_millis(20);

/// The fed interfaces are the process's: one test at a time.
static INTERFACES: Mutex<()> = Mutex::const_new(());

fn interface(name: &str, index: u32, kind: InterfaceKind) -> Interface {
    let mut interface = Interface::new(name, index, kind);
    // Where the relays are reached from.
    interface.addresses = vec![[127, 0, 0, 1].into()];
    interface
}

fn wifi() -> Interface {
    interface("wlan0", 1, InterfaceKind::Wifi)
}

fn cellular() -> Interface {
    interface("wwan0", 2, InterfaceKind::Cellular)
}

async fn feed(list: Vec<Interface>) -> MutexGuard<'static, ()> {
    let guard = INTERFACES.lock().await;
    twinpath_socket::feed_interfaces(list);
    guard
}

/// Goes through a relay per role, whatever the target.
#[derive(Debug)]
struct Relays {
    primary: Relay,
    backup: Relay,
    dials: [AtomicU32; 2],
}

impl Relays {
    async fn towards(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            primary: Relay::start(address, DELAY).await,
            backup: Relay::start(address, DELAY).await,
            dials: Default::default(),
        })
    }

    fn backup_dials(&self) -> u32 {
        self.dials[1].load(Ordering::Relaxed)
    }
}

impl Dialer for Relays {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        assert_eq!(target.host(), "gateway.example");
        let (relay, dials) = match path.role() {
            Role::Primary => (&self.primary, &self.dials[0]),
            Role::Backup => (&self.backup, &self.dials[1]),
        };
        dials.fetch_add(1, Ordering::Relaxed);
        let (address, silent) = (relay.address, relay.is(Weather::Blackhole));
        Box::pin(async move {
            if silent {
                std::future::pending::<()>().await;
            }
            Ok(LegStream::other(Far(TcpStream::connect(address).await?)))
        })
    }
}

/// A relay answers handshakes itself; its delay is what a real path would have shown then.
struct Far(TcpStream);

impl ByteStream for Far {
    fn rtt(&self) -> Option<Duration> {
        Some(2 * DELAY)
    }
}

impl AsyncRead for Far {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Far {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn connector(
    relays: &Arc<Relays>,
    change: impl FnOnce(ConnectorBuilder) -> ConnectorBuilder,
) -> Connector {
    let dialer: Arc<dyn Dialer> = Arc::clone(relays) as _;
    // The relays are on this device, which would be a reason for one path.
    let builder = Connector::builder()
        .peer(Peer::Gateway)
        .dialer(dialer)
        .respect_mandates(false);
    change(builder).build().unwrap()
}

async fn connect(connector: &Connector) -> Connection {
    timeout(LIMIT, connector.connect("gateway.example:443"))
        .await
        .unwrap()
        .unwrap()
}

async fn echo(mut gateway: Gateway) {
    loop {
        let (connection, _) = gateway.accept().await;
        tokio::spawn(async move {
            let (mut read, mut write) = connection.into_split();
            tokio::io::copy(&mut read, &mut write).await
        });
    }
}

async fn ask(connection: &mut Connection) -> Duration {
    let began = Instant::now();
    connection.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    timeout(LIMIT, connection.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    began.elapsed()
}

/// Waits for the event that `wanted` picks.
async fn until<T>(events: &mut Events, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = events.next().await.unwrap();
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    timeout(LIMIT, found).await.unwrap()
}

fn all(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_next()).collect()
}

fn protected(event: &Event) -> Option<()> {
    matches!(event, Event::Protection(Protection::Protected)).then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_backup_is_not_touched_while_the_primary_is_good() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let connector = connector(&relays, |builder| builder);
    let mut connection = connect(&connector).await;
    let mut events = connection.events();
    connection.established().await.unwrap();
    for _ in 0..20 {
        ask(&mut connection).await;
    }
    assert_eq!(
        (connection.mode(), connection.mode_reason()),
        (Mode::Emulated, ModeReason::Gateway)
    );
    assert_eq!(connection.protection(), Protection::Protected);
    // A machine that is late by two round trips looks like a path that is; nothing else may touch the backup.
    let told = all(&mut events);
    let suspected = told
        .iter()
        .any(|event| matches!(event, Event::Hedge { .. }));
    assert!(suspected || relays.backup_dials() == 0, "{told:?}");
    assert!(suspected || connector.budget().used() == 0);
    let summary = connection.close().await;
    assert_eq!((summary.error, summary.failovers), (None, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_primary_delays_connecting_by_a_fifth_of_a_second() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    relays.primary.set(Weather::Blackhole);
    let began = Instant::now();
    let mut connection = connect(&connector(&relays, |builder| builder)).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(200) && took < Duration::from_millis(300),
        "{took:?}"
    );
    ask(&mut connection).await;
    assert_eq!(connection.stats().active, Role::Backup);
    assert_eq!(
        connection.active_path().map(|path| path.name.to_string()),
        Some("wwan0".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wifi_that_the_system_takes_away_is_left_at_once_and_come_back_to() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let connector = connector(&relays, |builder| builder.standby(Standby::Warm));
    let mut connection = connect(&connector).await;
    let mut events = connection.events();
    until(&mut events, |event| match event {
        Event::LegUp { path } if path.role == Role::Backup => Some(()),
        _ => None,
    })
    .await;
    ask(&mut connection).await;
    relays.primary.set(Weather::Blackhole);
    twinpath_socket::feed_interfaces(vec![cellular()]);
    let took = ask(&mut connection).await;
    assert!(took < Duration::from_millis(100), "{took:?}");
    let from = until(&mut events, |event| match event {
        Event::Failover { from, .. } => Some(from.to_string()),
        _ => None,
    });
    assert_eq!(from.await, "primary (wlan0)");
    assert!(connector.budget().used() > 0);
    relays.primary.set(Weather::Fine);
    twinpath_socket::feed_interfaces(vec![wifi(), cellular()]);
    until(&mut events, |event| {
        matches!(event, Event::Failback { .. }).then_some(())
    })
    .await;
    ask(&mut connection).await;
    let summary = connection.close().await;
    assert_eq!(
        (summary.failovers, summary.failbacks, summary.error),
        (1, 1, None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_interface_upgrades_a_connection_that_had_one() {
    let _feed = feed(vec![wifi()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let mut connection = connect(&connector(&relays, |builder| builder)).await;
    let mut events = connection.events();
    connection.established().await.unwrap();
    assert_eq!(
        connection.mode_reason(),
        ModeReason::OneInterface("wlan0".into())
    );
    assert!(!connection.protection().is_protected());
    twinpath_socket::feed_interfaces(vec![wifi(), cellular()]);
    until(&mut events, protected).await;
    assert_eq!(connection.mode(), Mode::Emulated);
    ask(&mut connection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_closes_the_backup_until_it_is_raised() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let connector = connector(&relays, |builder| {
        builder.standby(Standby::Warm).budget(Some(1_000_000))
    });
    let mut connection = connect(&connector).await;
    let mut events = connection.events();
    until(&mut events, protected).await;
    connector.set_budget_used(1_000_000);
    assert_eq!(connector.budget().remaining(), Some(0));
    until(&mut events, |event| match event {
        Event::Protection(Protection::Unprotected { .. }) => Some(()),
        _ => None,
    })
    .await;
    connector.set_budget(None);
    until(&mut events, protected).await;
    ask(&mut connection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remainder_too_small_for_a_session_is_spent() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    relays.primary.set(Weather::Blackhole);
    let poor = connector(&relays, |builder| {
        builder
            .budget(Some(8_000))
            .connect_timeout(Duration::from_millis(600))
    });
    let error = poor.connect("gateway.example:443").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(relays.backup_dials(), 0);
    let enough = connector(&relays, |builder| builder.budget(Some(1_000_000)));
    ask(&mut connect(&enough).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roaming_spends_nothing() {
    let mut roaming = cellular();
    roaming.cost = Cost::Roaming;
    let _feed = feed(vec![wifi(), roaming]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let connector = connector(&relays, |builder| builder.standby(Standby::Warm));
    let mut connection = connect(&connector).await;
    connection.established().await.unwrap();
    for _ in 0..20 {
        ask(&mut connection).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(connector.budget().remaining(), Some(0));
    assert_eq!(connection.stats().path(Role::Backup).unwrap().legs, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_attempt_becomes_the_warm_leg() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    // Slow enough for the backup's attempt to start, and faster than it.
    let slow = Arc::new(Slow {
        relays: Arc::clone(&relays),
    });
    let connector = Connector::builder()
        .peer(Peer::Gateway)
        .dialer(slow)
        .respect_mandates(false)
        .standby(Standby::Warm)
        .build()
        .unwrap();
    let connection = connect(&connector).await;
    let mut events = connection.events();
    until(&mut events, protected).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(relays.backup_dials(), 1);
    assert!(connection.stats().path(Role::Backup).unwrap().up);
}

/// The primary answers after 250 ms, the backup 100 ms after it was asked.
#[derive(Debug)]
struct Slow {
    relays: Arc<Relays>,
}

impl Dialer for Slow {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let wait = if path.role() == Role::Primary {
            250
        } else {
            100
        };
        let dial = self.relays.dial(path, target);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            dial.await
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_server_gets_a_plain_connection_that_says_so() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relays = Relays::towards(listener.local_addr().unwrap()).await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await
    });
    let mut connection = connect(&connector(&relays, |builder| builder.peer(Peer::Any))).await;
    connection.established().await.unwrap();
    ask(&mut connection).await;
    assert_eq!(
        (connection.mode(), connection.mode_reason()),
        (Mode::PlainPair, ModeReason::AnyServer)
    );
    assert!(!connection.protection().is_protected());
    connection.shutdown().await.unwrap();
    assert!(connection.read_chunk(10).await.unwrap().is_none());
    let summary = connection.close().await;
    assert_eq!((summary.written, summary.read), (4, 4));
}

/// Opens plain sockets that no interface of the test has to do with, as through a proxy on this device.
#[derive(Debug)]
struct Proxied {
    gateway: SocketAddr,
    reached_at: std::sync::Mutex<Vec<Option<std::net::IpAddr>>>,
}

impl Dialer for Proxied {
    fn dial(&self, _: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        self.reached_at.lock().unwrap().push(target.reached_at());
        let gateway = self.gateway;
        Box::pin(async move { Ok(TcpStream::connect(gateway).await?.into()) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leg_over_an_address_of_no_interface_lives() {
    let elsewhere = |mut interface: Interface, last| {
        interface.addresses = vec![[192, 0, 2, last].into()];
        interface
    };
    let list = || vec![elsewhere(wifi(), 1), elsewhere(cellular(), 2)];
    let _feed = feed(list()).await;
    let gateway = Gateway::start().await;
    let dialer = Arc::new(Proxied {
        gateway: gateway.address,
        reached_at: std::sync::Mutex::default(),
    });
    tokio::spawn(echo(gateway));
    let connector = Connector::builder()
        .peer(Peer::Gateway)
        .dialer(Arc::clone(&dialer) as _)
        .respect_mandates(false)
        .standby(Standby::Warm)
        .build()
        .unwrap();
    let mut connection = connect(&connector).await;
    let mut events = connection.events();
    until(&mut events, protected).await;
    ask(&mut connection).await;
    let mut more = list();
    more[0].addresses.push([192, 0, 2, 9].into());
    twinpath_socket::feed_interfaces(more);
    tokio::time::sleep(Duration::from_millis(300)).await;
    ask(&mut connection).await;
    let lost = |event: &Event| matches!(event.kind(), EventKind::LegDown | EventKind::Failover);
    assert!(!all(&mut events).iter().any(lost));
    let (first, further) = {
        let asked = dialer.reached_at.lock().unwrap();
        (asked[0], asked[1..].to_vec())
    };
    assert_eq!(first, None);
    // Further legs are asked for where the first one led.
    assert!(!further.is_empty());
    assert!(further.iter().all(|it| *it == "127.0.0.1".parse().ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_on_this_device_takes_the_systems_route() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let mut gateway = Gateway::start().await;
    let connector = Connector::builder().peer(Peer::Gateway).build().unwrap();
    let mut connection = connector
        .connect(&gateway.address.to_string())
        .await
        .unwrap();
    assert_eq!(
        (connection.mode(), connection.mode_reason()),
        (Mode::SinglePath, ModeReason::PrivateTarget)
    );
    connection.established().await.unwrap();
    let mandated = Protection::Unprotected {
        reason: Unprotected::OnePathMandated,
    };
    until(&mut connection.events(), |event| {
        matches!(event, Event::Protection(told) if *told == mandated).then_some(())
    })
    .await;
    connection.write_all(b"hello").await.unwrap();
    let (mut served, _) = gateway.accept().await;
    let mut got = [0; 5];
    served.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connect_says_what_was_tried_and_what_to_do() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let connector = Connector::builder().build().unwrap();
    let error = connector.connect(&closed.to_string()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.to_string();
    assert!(
        text.contains("system route") && text.contains("check the port"),
        "{text}"
    );
}
