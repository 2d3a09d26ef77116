//! The connector over two interfaces that the test feeds, each of them a relay that can fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "support is shared by several test binaries"
)]

mod paths;
mod peers;
mod relays;
mod spending;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use twinpath::{
    Connection, Connector, ConnectorBuilder, Dialer, Event, Events, Interface, InterfaceKind, Peer,
    Protection,
};

use relays::Relays;
use support::Gateway;

const LIMIT: Duration = Duration::from_secs(20);

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
