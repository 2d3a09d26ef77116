//! Whom a connection leads to, and what it is then.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twinpath::driver::{BoxFuture, LegStream};
use twinpath::{
    Connector, Dialer, ErrorKind, Event, EventKind, Interface, Mode, ModeReason, Path, Peer,
    Protection, Standby, Target, Unprotected,
};

use crate::relays::Relays;
use crate::support::Gateway;
use crate::{all, ask, cellular, connect, connector, echo, feed, protected, until, wifi};

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
