//! The same over IPv6: both paths, a Wi-Fi that dies, and clients that know nothing of Twinpath.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath::EventKind;
use twinpath_lab::Direction;
use twinpath_tests::{Scene, Service, ms, soon};

#[test]
fn a_connection_survives_wifi_falling_silent_and_goes_back_over_ipv6() {
    let scene = Scene::before(Service::Echo).over_v6();
    scene.play(async |scene| {
        assert!(scene.address().is_ipv6());
        let mut client = scene.connect().await;
        client.chat("before").await;
        let (wifi, cellular) = (scene.wifi(), scene.cellular());
        let (before, cellular_before) = (wifi.counters(), cellular.counters());
        wifi.blackhole(Direction::Both);
        let began = Instant::now();
        client.chat("over cellular").await;
        assert!(began.elapsed() < ms(500), "{:?}", began.elapsed());
        wifi.assert_dropped_since(&before);
        let carried = cellular.counters() - cellular_before;
        assert!(carried.payload_offered() > 0, "cellular carried nothing");
        client.tale.until_kind(EventKind::Failover).await;
        wifi.heal();
        client.tale.until_kind(EventKind::Failback).await;
        client.chat("and back").await;
        client.close().await;
    });
}

#[test]
fn connecting_takes_cellular_when_wifi_is_dead_over_ipv6() {
    let scene = Scene::before(Service::Echo).over_v6();
    scene.play(async |scene| {
        let wifi = scene.wifi();
        let before = wifi.counters();
        wifi.blackhole(Direction::Both);
        let began = Instant::now();
        let mut client = scene.connect_with(scene.connector()).await;
        let connected = began.elapsed();
        assert!(connected >= ms(260) && connected < ms(600), "{connected:?}");
        client.chat("hello").await;
        wifi.assert_dropped_since(&before);
        client.assert_no_failover();
        client.close().await;
    });
}

#[test]
fn raw_clients_are_served_over_ipv6() {
    let scene = Scene::before(Service::Requests).over_v6();
    scene.play(async |scene| {
        let mut raw = TcpStream::connect(scene.address()).await.unwrap();
        raw.write_all(b"?").await.unwrap();
        let answer = soon("the answer", raw.read_u8()).await.unwrap();
        assert_eq!(answer, b'?');
        assert_eq!(scene.sample("twinpath_raw_total").await, 1.0);
    });
}
