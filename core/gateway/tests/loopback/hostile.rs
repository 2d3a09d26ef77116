//! First flights that are broken, cut short, repeated or made up hurt nobody but their senders.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::{Gateway, chat, echo, held_session, pattern, service, session_with, soon};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use twinpath_gateway::{Connection, Limits};
use twinpath_proto::{ClientConfig, Role, Standby};

fn gateway_before(service: SocketAddr) -> Gateway {
    let mut limits = Limits::default();
    limits.handshake = Duration::from_millis(200);
    limits.per_address = 10_000;
    Gateway::with(service, |builder| builder.limits(limits))
}

/// What a client says first, with early data behind it.
async fn recorded_hello() -> Vec<u8> {
    let listener = TcpListener::bind(crate::common::loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = crate::common::session(address).await;
    client.write_all(b"early").await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut hello = Vec::new();
    soon("the hello", async {
        while !hello.windows(5).any(|words| words == b"early") {
            assert!(stream.read_buf(&mut hello).await.unwrap() > 0);
        }
    })
    .await;
    client.abort();
    hello
}

/// Sends `bytes`, ends, and waits until the gateway has had enough.
async fn throw(gateway: &Gateway, bytes: &[u8]) {
    let mut stream = gateway.raw().await;
    // The gateway may be gone before everything is sent.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut answer)).await;
}

async fn bystander(gateway: &Gateway) -> Connection {
    let config = ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    };
    let mut session = session_with(gateway.address, config, &Role::ALL).await;
    chat(&mut session, "hello").await;
    gateway
        .until("twinpath_joins_total{result=\"ok\"}", 1.0)
        .await;
    session
}

#[tokio::test]
async fn a_hello_cut_anywhere_is_harmless() {
    let gateway = gateway_before(service(echo).await);
    let mut bystander = bystander(&gateway).await;
    let hello = recorded_hello().await;
    for end in (0..hello.len()).step_by(3) {
        throw(&gateway, &hello[..end]).await;
    }
    chat(&mut bystander, "unharmed").await;
}

#[tokio::test]
async fn a_hello_altered_anywhere_is_harmless() {
    let gateway = gateway_before(service(echo).await);
    let mut bystander = bystander(&gateway).await;
    let hello = recorded_hello().await;
    for at in 0..hello.len().min(200) {
        let mut altered = hello.clone();
        altered[at] ^= 0xff;
        throw(&gateway, &altered).await;
    }
    chat(&mut bystander, "unharmed").await;
}

#[tokio::test]
async fn garbage_behind_the_magic_is_harmless() {
    let gateway = gateway_before(service(echo).await);
    let mut bystander = bystander(&gateway).await;
    for round in 1..100_u64 {
        let mut bytes = b"\xf5TWINP\r\n".to_vec();
        // The kinds and the version that exist come up often, and so do lengths of all sizes.
        bytes.extend([
            (round % 4) as u8,
            (round % 3) as u8,
            (round * 7 % 20) as u8,
            round as u8,
        ]);
        bytes.extend(pattern(30_000, round));
        throw(&gateway, &bytes).await;
    }
    chat(&mut bystander, "unharmed").await;
    assert_eq!(gateway.sample("twinpath_raw_total").await, 0.0);
}

#[tokio::test]
async fn a_hello_sent_twice_makes_one_session() {
    let (address, mut connections) = crate::common::held_service().await;
    let gateway = gateway_before(address);
    let hello = recorded_hello().await;
    let copies: Vec<_> = (0..8)
        .map(|_| {
            let (hello, address) = (hello.clone(), gateway.address);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(&hello).await.unwrap();
                stream.read_u8().await.unwrap();
                stream
            })
        })
        .collect();
    for copy in copies {
        soon("an answer", copy).await.unwrap();
    }
    assert_eq!(
        gateway
            .sample("twinpath_hellos_total{result=\"accepted\"}")
            .await,
        1.0
    );
    assert_eq!(
        gateway
            .sample("twinpath_hellos_total{result=\"refused\"}")
            .await,
        7.0
    );
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    let mut early = [0; 5];
    soon("the data", served.read_exact(&mut early))
        .await
        .unwrap();
    assert_eq!(&early, b"early");
    assert!(connections.try_recv().is_err());
}

/// Records what the next client of `address` says, and passes it on.
async fn tap(address: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<Bytes>) {
    let listener = TcpListener::bind(crate::common::loopback()).await.unwrap();
    let tapped = listener.local_addr().unwrap();
    let recording = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut gateway = TcpStream::connect(address).await.unwrap();
        let mut flight = bytes::BytesMut::with_capacity(4096);
        client.read_buf(&mut flight).await.unwrap();
        gateway.write_all(&flight).await.unwrap();
        let _ = gateway.read_u8().await;
        flight.freeze()
    });
    (tapped, recording)
}

#[tokio::test]
async fn a_join_repeated_or_altered_is_refused() {
    let gateway = gateway_before(service(echo).await);
    let config = ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    };
    let (mut session, handle) = held_session(gateway.address, config, &[Role::Primary]).await;
    chat(&mut session, "hello").await;
    let (tapped, recording) = tap(gateway.address).await;
    crate::common::redirect(tapped);
    handle.with_session(|session, now| session.path_available(Role::Backup, true, now));
    let join = soon("the join", recording).await.unwrap();
    gateway
        .until("twinpath_joins_total{result=\"ok\"}", 1.0)
        .await;

    throw(&gateway, &join).await;
    assert_eq!(
        gateway
            .sample("twinpath_joins_total{result=\"counter_used\"}")
            .await,
        1.0
    );
    let mut altered = join.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    throw(&gateway, &altered).await;
    assert_eq!(
        gateway
            .sample("twinpath_joins_total{result=\"unauthentic\"}")
            .await,
        1.0
    );
    let mut foreign = join.to_vec();
    // The name of the session is the first thing in the body.
    foreign[12] ^= 1;
    throw(&gateway, &foreign).await;
    assert_eq!(
        gateway
            .sample("twinpath_joins_total{result=\"unknown_session\"}")
            .await,
        1.0
    );
    chat(&mut session, "unharmed").await;
}
