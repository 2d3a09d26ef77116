//! What a connector looks up, and when: interfaces are fed, and names are the test's own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "support is shared by several test binaries"
)]

mod support;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use support::Gateway;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use twinpath::driver::{BoxFuture, LegStream};
use twinpath::{
    Connection, Connector, Dialer, Event, Interface, InterfaceKind, Path, Peer, Protection, Role,
    Target, Unprotected,
};
use twinpath_proto::{GatewayConfig, JoinAddress, UnprotectedReason};

const LIMIT: Duration = Duration::from_secs(20);

/// The fed interfaces are the process's: one test at a time.
static INTERFACES: Mutex<()> = Mutex::const_new(());

async fn feed(list: Vec<Interface>) -> MutexGuard<'static, ()> {
    let guard = INTERFACES.lock().await;
    twinpath_socket::feed_interfaces(list);
    guard
}

fn wifi() -> Interface {
    let mut wlan0 = Interface::new("wlan0", 1, InterfaceKind::Wifi);
    wlan0.addresses = vec![[127, 0, 0, 1].into()];
    wlan0
}

fn cellular(address: &str) -> Interface {
    let mut wwan0 = Interface::new("wwan0", 2, InterfaceKind::Cellular);
    wwan0.addresses = vec![address.parse().unwrap()];
    wwan0
}

/// Connects to the gateway whatever the target, and tells what it is asked for.
#[derive(Debug)]
struct Names {
    gateway: SocketAddr,
    found: Vec<SocketAddr>,
    looked_up: UnboundedSender<(Role, String)>,
    dialled: UnboundedSender<(Role, Target)>,
}

struct Asked {
    looked_up: UnboundedReceiver<(Role, String)>,
    dialled: UnboundedReceiver<(Role, Target)>,
}

impl Names {
    fn of(gateway: &Gateway, found: &[&str]) -> (Arc<Self>, Asked) {
        let (looked_up, lookups) = unbounded_channel();
        let (dialled, dials) = unbounded_channel();
        let names = Self {
            gateway: gateway.address,
            found: found
                .iter()
                .map(|address| SocketAddr::new(address.parse().unwrap(), 1))
                .collect(),
            looked_up,
            dialled,
        };
        let asked = Asked {
            looked_up: lookups,
            dialled: dials,
        };
        (Arc::new(names), asked)
    }
}

impl Dialer for Names {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let _ = self.dialled.send((path.role(), target.clone()));
        let gateway = self.gateway;
        Box::pin(async move { TcpStream::connect(gateway).await.map(LegStream::from) })
    }

    fn look_up(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let _ = self.looked_up.send((path.role(), target.host().to_owned()));
        let found = self.found.clone();
        Box::pin(async move { Ok(found) })
    }
}

async fn next<T>(receiver: &mut UnboundedReceiver<T>) -> T {
    timeout(LIMIT, receiver.recv()).await.unwrap().unwrap()
}

async fn connect(names: Arc<Names>) -> Connection {
    let connector = Connector::builder()
        .peer(Peer::Gateway)
        .dialer(names)
        // The gateway is on this device, which would be a reason for one path.
        .respect_mandates(false)
        .build()
        .unwrap();
    timeout(LIMIT, connector.connect("gateway.example:443"))
        .await
        .unwrap()
        .unwrap()
}

/// What the connection claims once it has something to claim, and all that it claimed before.
async fn claims(connection: &Connection, last: Protection) -> Vec<Protection> {
    let mut events = connection.events();
    let mut claims = Vec::new();
    let search = async {
        while claims.last() != Some(&last) {
            if let Event::Protection(protection) = events.next().await.unwrap() {
                claims.push(protection);
            }
        }
    };
    timeout(LIMIT, search).await.unwrap();
    claims
}

#[tokio::test]
async fn an_announced_name_is_looked_up_while_all_is_well_and_not_when_a_path_has_died() {
    let _guard = feed(vec![wifi(), cellular("127.0.0.1")]).await;
    let config = GatewayConfig {
        join_addresses: vec![JoinAddress {
            host: "join.example".into(),
            port: 443,
        }],
        ..GatewayConfig::default()
    };
    let mut gateway = Gateway::with(config).await;
    let (names, mut asked) = Names::of(&gateway, &["192.0.2.7"]);
    let connection = connect(names).await;
    let _peer = gateway.accept().await;
    assert_eq!(next(&mut asked.dialled).await.0, Role::Primary);
    assert_eq!(
        next(&mut asked.looked_up).await,
        (Role::Primary, "join.example".into())
    );

    twinpath_socket::feed_interfaces(vec![cellular("127.0.0.1")]);
    let (role, target) = next(&mut asked.dialled).await;
    assert_eq!((role, target.host()), (Role::Backup, "join.example"));
    let known: [IpAddr; 1] = ["192.0.2.7".parse().unwrap()];
    assert_eq!(target.known_addresses(), known);
    drop(connection);
}

#[tokio::test]
async fn a_cold_backup_without_the_servers_family_is_no_protection_unless_a_lookup_finds_a_way() {
    let _guard = feed(vec![wifi(), cellular("2001:db8::2")]).await;
    let unreachable = Protection::Unprotected {
        reason: Unprotected::Session(UnprotectedReason::BackupUnreachable),
    };
    for (found, last) in [
        (&["192.0.2.7"][..], unreachable),
        (&["192.0.2.7", "64:ff9b::7f00:1"], Protection::Protected),
    ] {
        let mut gateway = Gateway::start().await;
        let (names, mut asked) = Names::of(&gateway, found);
        let connection = connect(names).await;
        let _peer = gateway.accept().await;
        let claims = claims(&connection, last).await;
        assert_eq!(
            next(&mut asked.looked_up).await,
            (Role::Backup, "gateway.example".into())
        );
        // A claim that a lookup has first to bear out is not made before.
        let early = claims.iter().filter(|claim| claim.is_protected()).count();
        assert_eq!(early, usize::from(last.is_protected()), "{claims:?}");
    }
}
