//! The portable lab delays, withholds and resets.
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod common;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Instant;

use common::{PATIENCE, best_echo, echo, ms};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use twinpath_lab::{Direction, LinkSpec, Loopback, Rate};

async fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[tokio::test]
async fn delays_and_counts_each_link_on_its_own() {
    let lab = Loopback::new().unwrap();
    let server = echo_server().await;
    let (wifi, cellular) = (lab.link("wlan0"), lab.link("wwan0"));
    let mut over_wifi = connect(wifi.relay_to(server).unwrap()).await;
    let mut over_cellular = connect(cellular.relay_to(server).unwrap()).await;
    let time = best_echo(&mut over_wifi).await;
    assert!(time >= ms(20) && time < ms(40), "{time:?}");
    let time = best_echo(&mut over_cellular).await;
    assert!(time >= ms(60) && time < ms(80), "{time:?}");
    assert_eq!(wifi.counters().up.delivered.tcp_payload, 40);
    assert_eq!(wifi.counters().down.delivered.tcp_payload, 40);
    assert_eq!(wifi.counters().up.delivered.syns, 1);
    wifi.set(|link| link.rtt = ms(100));
    let time = best_echo(&mut over_wifi).await;
    assert!(time >= ms(100) && time < ms(120), "{time:?}");
}

#[tokio::test]
async fn a_blackhole_withholds_until_it_heals() {
    let lab = Loopback::new().unwrap();
    let server = echo_server().await;
    let wifi = lab.link("wlan0");
    let way = wifi.relay_to(server).unwrap();
    let mut stream = connect(way).await;
    echo(&mut stream, b"before").await.unwrap();
    for direction in [Direction::Up, Direction::Down, Direction::Both] {
        let before = wifi.counters();
        wifi.blackhole(direction);
        stream.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        assert!(
            timeout(ms(200), stream.read_exact(&mut back))
                .await
                .is_err(),
            "{direction:?}"
        );
        let since = wifi.counters() - before;
        assert_eq!(since.up.offered.tcp_payload, 5);
        let arrives = if direction == Direction::Down { 5 } else { 0 };
        assert_eq!(since.up.delivered.tcp_payload, arrives, "{direction:?}");
        assert_eq!(since.down.delivered.tcp_payload, 0);
        wifi.heal();
        timeout(PATIENCE, stream.read_exact(&mut back))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&back, b"hello");
    }
    wifi.blackhole(Direction::Both);
    let mut new = connect(way).await;
    assert!(
        timeout(ms(200), echo(&mut new, b"new")).await.is_err(),
        "a new one got through"
    );
}

#[tokio::test]
async fn down_resets_and_refuses() {
    let lab = Loopback::new().unwrap();
    let server = echo_server().await;
    let wifi = lab.link("wlan0");
    let way = wifi.relay_to(server).unwrap();
    let mut stream = connect(way).await;
    echo(&mut stream, b"before").await.unwrap();
    wifi.down();
    let mut byte = [0; 1];
    let error = timeout(PATIENCE, stream.read(&mut byte))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let refused = async {
        let mut stream = TcpStream::connect(way).await?;
        echo(&mut stream, b"no").await
    };
    assert!(timeout(PATIENCE, refused).await.unwrap().is_err());
    wifi.up();
    echo(&mut connect(way).await, b"again").await.unwrap();
}

#[tokio::test]
async fn the_rate_limits_and_the_end_of_the_stream_passes() {
    let spec = LinkSpec {
        rate: Some(Rate::mbit(40)),
        ..LinkSpec::default()
    };
    let lab = Loopback::builder().link("wlan0", spec).build().unwrap();
    let server = echo_server().await;
    let mut stream = connect(lab.link("wlan0").relay_to(server).unwrap()).await;
    let start = Instant::now();
    let (mut read, mut write) = stream.split();
    let sent = async {
        write.write_all(&vec![3; 2_500_000]).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut all = Vec::new();
    let (_, received) = tokio::join!(sent, read.read_to_end(&mut all));
    assert_eq!(received.unwrap(), 2_500_000);
    // 20 Mbit at 40 Mbit/s, less the queue.
    let time = start.elapsed();
    assert!(time >= ms(450) && time < ms(1500), "{time:?}");
}
