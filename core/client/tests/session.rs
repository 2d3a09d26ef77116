//! Both ends of a session in one process: what a connection promises, over paths that fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "support is shared by several test binaries"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use support::relay::{Relay, Weather};
use support::{Gateway, pattern, seed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use twinpath::driver::{BoxFuture, DialFailure, DialedLeg, Handle, LegDialer, LegStream, Setup};
use twinpath::{Connection, EventKind, Mode, Role, SessionError, Standby, clock};
use twinpath_proto::{ClientConfig, DialTarget, Session};

const LIMIT: Duration = Duration::from_secs(20);

/// Two relays, one per role.
#[derive(Clone)]
struct Paths {
    primary: Arc<Relay>,
    backup: Arc<Relay>,
}

impl std::fmt::Debug for Paths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Paths")
    }
}

impl Paths {
    async fn towards(gateway: &Gateway) -> Self {
        let delay = Duration::from_millis(1);
        Self {
            primary: Arc::new(Relay::start(gateway.address, delay).await),
            backup: Arc::new(Relay::start(gateway.address, delay).await),
        }
    }

    async fn connect(&self, config: ClientConfig) -> (Connection, Handle) {
        let first = TcpStream::connect(self.primary.address).await.unwrap();
        first.set_nodelay(true).unwrap();
        let now = clock::now();
        let mut session = Session::client(config, seed(), now);
        let leg = session.leg_opened(Role::Primary, None, now);
        Setup::new(session)
            .leg(leg, first, Bytes::new())
            .dialer(Arc::new(self.clone()))
            .spawn()
    }
}

impl LegDialer for Paths {
    fn dial(&self, role: Role, _: DialTarget) -> BoxFuture<Result<DialedLeg, DialFailure>> {
        let address = match role {
            Role::Primary => self.primary.address,
            Role::Backup => self.backup.address,
        };
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(DialedLeg::new(LegStream::from(stream), None))
        })
    }
}

fn warm() -> ClientConfig {
    ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    }
}

/// Writes at one end and reads at the other, both ways at once, and compares.
async fn exchange(
    client: Connection,
    gateway: Connection,
    size: usize,
) -> (Connection, Connection) {
    let data = pattern(size);
    let one_way = |read, write: twinpath::WriteHalf| {
        let data = data.clone();
        async move {
            let (mut read, mut write): (twinpath::ReadHalf, twinpath::WriteHalf) = (read, write);
            let expected = data.clone();
            let writer = tokio::spawn(async move {
                write.write_all(&data).await.unwrap();
                write
            });
            let mut got = vec![0; expected.len()];
            read.read_exact(&mut got).await.unwrap();
            assert!(got == expected, "bytes differ");
            (read, writer.await.unwrap())
        }
    };
    let (client_read, client_write) = client.into_split();
    let (gateway_read, gateway_write) = gateway.into_split();
    let (up, down) = timeout(LIMIT, async {
        tokio::join!(
            one_way(gateway_read, client_write),
            one_way(client_read, gateway_write)
        )
    })
    .await
    .expect("the exchange hangs");
    let client = Connection::reunite(down.0, up.1).unwrap();
    let gateway = Connection::reunite(up.0, down.1).unwrap();
    (client, gateway)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_arrive_in_order_both_ways_and_the_end_after_them() {
    let mut gateway = Gateway::start().await;
    let paths = Paths::towards(&gateway).await;
    let (client, _) = paths.connect(warm()).await;
    let (served, _) = gateway.accept().await;
    let (client, mut served) = exchange(client, served, 8_000_000).await;
    assert_eq!(client.mode(), Mode::Emulated);
    let closing = tokio::spawn(client.close());
    assert!(served.read_chunk(10).await.unwrap().is_none());
    served.shutdown().await.unwrap();
    let summary = timeout(LIMIT, closing).await.unwrap().unwrap();
    assert_eq!(summary.error, None);
    assert_eq!((summary.written, summary.read), (8_000_000, 8_000_000));
    assert_eq!(served.close().await.error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cutting_both_legs_again_and_again_loses_nothing() {
    let mut gateway = Gateway::start().await;
    let paths = Paths::towards(&gateway).await;
    let (client, _) = paths.connect(warm()).await;
    let (served, _) = gateway.accept().await;
    let weather = paths.clone();
    let storm = tokio::spawn(async move {
        for round in 0..12 {
            let relay = if round % 3 == 0 {
                &weather.backup
            } else {
                &weather.primary
            };
            relay.set(Weather::Cut);
            tokio::time::sleep(Duration::from_millis(40)).await;
            relay.set(Weather::Fine);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    });
    let (client, _served) = exchange(client, served, 20_000_000).await;
    storm.await.unwrap();
    assert!(
        client
            .stats()
            .paths
            .iter()
            .map(|path| path.legs)
            .sum::<u32>()
            > 3
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_primary_is_left_within_a_moment() {
    let mut gateway = Gateway::start().await;
    let paths = Paths::towards(&gateway).await;
    let (client, _) = paths.connect(warm()).await;
    let (served, _) = gateway.accept().await;
    let mut events = client.events();
    let (mut client, served) = exchange(client, served, 100_000).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    paths.primary.set(Weather::Blackhole);
    let (mut read, mut write) = served.into_split();
    let echo = tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
    let began = std::time::Instant::now();
    client.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    timeout(LIMIT, client.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    for _ in 0..100 {
        client.write_all(b"hello").await.unwrap();
        timeout(LIMIT, client.read_exact(&mut got))
            .await
            .unwrap()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut seen = Vec::new();
    while let Some(event) = events.try_next() {
        seen.push(event.kind());
    }
    assert!(
        seen.contains(&EventKind::Hedge) && seen.contains(&EventKind::Failover),
        "{seen:?}"
    );
    assert_eq!(client.stats().active, Role::Backup);
    echo.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_is_given_up_loses_nothing() {
    let mut gateway = Gateway::start().await;
    let paths = Paths::towards(&gateway).await;
    let (mut client, _) = paths.connect(warm()).await;
    let (mut served, _) = gateway.accept().await;
    let data = pattern(300_000);
    let expected = data.clone();
    let writer = tokio::spawn(async move {
        for piece in data.chunks(3000) {
            served.write_all(piece).await.unwrap();
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        served.close().await
    });
    let mut got = Vec::new();
    let mut given_up = 0;
    loop {
        let mut buffer = [0; 1777];
        tokio::select! {
            biased;
            size = client.read(&mut buffer) => match size.unwrap() {
                0 => break,
                size => got.extend_from_slice(&buffer[..size]),
            },
            () = tokio::time::sleep(Duration::from_micros(50)) => given_up += 1,
        }
    }
    assert!(given_up > 10, "only {given_up} reads were given up");
    assert!(got == expected);
    client.close().await;
    assert_eq!(writer.await.unwrap().error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_connection_still_delivers_what_was_written() {
    let mut gateway = Gateway::start().await;
    let paths = Paths::towards(&gateway).await;
    let (mut client, _) = paths.connect(warm()).await;
    // As much as is taken while nobody reads.
    let data = pattern(500_000);
    timeout(LIMIT, client.write_all(&data))
        .await
        .unwrap()
        .unwrap();
    drop(client);
    let (mut served, handle) = gateway.accept().await;
    let mut got = Vec::new();
    timeout(LIMIT, served.read_to_end(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert!(got == data);
    drop(served);
    timeout(LIMIT, handle.closed()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_is_told_to_the_peer_with_its_type() {
    let mut gateway = Gateway::start().await;
    let paths = Paths::towards(&gateway).await;
    let (client, _) = paths.connect(warm()).await;
    client.established().await.unwrap();
    let (mut served, _) = gateway.accept().await;
    client.abort();
    let error = timeout(LIMIT, served.read_u8()).await.unwrap().unwrap_err();
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<SessionError>());
    assert!(
        matches!(inner, Some(SessionError::Reset { .. })),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_waits_for_the_peer_and_leaves_the_other_direction_open() {
    let mut gateway = Gateway::start().await;
    let paths = Paths::towards(&gateway).await;
    let (mut client, _) = paths.connect(warm()).await;
    client.write_all(b"question").await.unwrap();
    timeout(LIMIT, client.shutdown()).await.unwrap().unwrap();
    assert_eq!(client.unacknowledged(), 0);
    assert!(client.write_all(b"more").await.is_err());
    let (mut served, _) = gateway.accept().await;
    let mut question = String::new();
    served.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    served.write_all(b"answer").await.unwrap();
    served.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
    assert_eq!(client.close().await.error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_gateway_is_a_typed_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let now = clock::now();
    let mut session = Session::client(warm(), seed(), now);
    let leg = session.leg_opened(Role::Primary, None, now);
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, _) = Setup::new(session).leg(leg, stream, Bytes::new()).spawn();
    let error = timeout(LIMIT, client.established())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(
        twinpath::ErrorKind::of_io(&error),
        twinpath::ErrorKind::NotAGateway
    );
    let error = client.read_u8().await.unwrap_err();
    assert_eq!(
        twinpath::ErrorKind::of_io(&error),
        twinpath::ErrorKind::NotAGateway
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_counts_what_was_read_after_the_session_had_ended() {
    let mut gateway = Gateway::start().await;
    let paths = Paths::towards(&gateway).await;
    let (mut client, handle) = paths.connect(warm()).await;
    let (mut served, _) = gateway.accept().await;
    served.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    served.close().await;
    timeout(LIMIT, handle.closed()).await.unwrap();
    let mut events = client.events();
    let mut got = String::new();
    client.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "late");
    let mut last = None;
    while let Some(event) = timeout(LIMIT, events.next()).await.unwrap() {
        last = Some(event);
    }
    assert!(matches!(last, Some(twinpath::Event::Summary(summary)) if summary.read == 4));
}

#[test]
fn what_a_task_may_hold_can_be_held_by_any_task() {
    fn any<T: Send + Sync + 'static>() {}
    any::<Connection>();
    any::<twinpath::ReadHalf>();
    any::<twinpath::WriteHalf>();
    any::<twinpath::Connector>();
    any::<twinpath::Events>();
    any::<twinpath::Monitor>();
    any::<Handle>();
}
