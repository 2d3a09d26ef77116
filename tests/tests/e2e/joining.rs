//! Legs that come and go at the worst of moments.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath::{EventKind, Role, Standby};
use twinpath_lab::{Direction, End};
use twinpath_tests::{Pattern, Scene, Service, Tally, Tap, Tapping, ms, soon};

/// What is streamed in each direction.
const BOTH: u64 = 3_000_000;

/// The number that a client has given its JOIN: behind magic, header and the session's name.
fn join_counter(flight: &[u8]) -> u64 {
    assert_eq!(flight[8..10], [2, 1], "not a JOIN of version 1");
    u64::from_be_bytes(flight[28..36].try_into().unwrap())
}

#[test]
fn joins_that_overtake_each_other_are_both_taken() {
    Scene::before(Service::Echo).play(async |scene| {
        // The second leg over Wi-Fi has its handshake done when its way becomes long: its JOIN is written before the
        // one over cellular and arrives after it.
        let wifi = scene.wifi();
        let tap = Tap::new(move |role, before| {
            if role == Role::Primary && before == 1 {
                wifi.set_one_way(Direction::Up, |up| up.delay = ms(450));
            }
        });
        let tapping = Arc::new(Tapping(Arc::clone(&tap)));
        let warm = scene.connector().standby(Standby::Warm).dialer(tapping);
        let mut client = scene.connect_with(warm).await;
        client.tale.until_warm().await;
        client.chat("before").await;
        let reset = [scene.wifi(), scene.cellular()].map(|link| link.inject_rst(End::Both));
        assert_eq!(reset, [1, 1]);
        client.chat("while both are joined anew").await;
        scene
            .until("twinpath_joins_total{result=\"ok\"}", 3.0)
            .await;
        scene
            .until("twinpath_legs_open{role=\"primary\"}", 1.0)
            .await;
        scene
            .until("twinpath_legs_open{role=\"backup\"}", 1.0)
            .await;
        let (wifi, cellular) = (tap.flights(Role::Primary), tap.flights(Role::Backup));
        assert_eq!((wifi.len(), cellular.len()), (2, 2));
        // Written in one order, answered in the other.
        assert!(join_counter(&wifi[1]) < join_counter(&cellular[1]));
        assert_eq!(
            client.tale.until_legs(4).await,
            [Role::Primary, Role::Backup, Role::Backup, Role::Primary],
            "{:?}",
            client.tale
        );
        assert_eq!(
            scene
                .sample("twinpath_joins_total{result=\"counter_used\"}")
                .await,
            0.0
        );
        client.chat("after").await;
        client.close().await;
    });
}

/// Streams in both directions while Wi-Fi fails in `direction`.
async fn stream_both_ways(scene: &Scene, direction: Direction) {
    let mut client = scene.connect().await;
    let (read, write) = client.connection.split();
    let mut tally = Tally::default();
    let wifi = scene.wifi();
    let before = wifi.counters();
    let mut pattern = Pattern::new(2);
    let writing = async {
        let hash = pattern.write(BOTH, write).await?;
        write.finish();
        std::io::Result::Ok(hash)
    };
    let reading = async {
        tally.read_to(BOTH / 4, read).await?;
        wifi.blackhole(direction);
        tally.read_to_end(read).await
    };
    let both = async { tokio::try_join!(writing, reading) };
    let (sent, ()) = soon("both streams", both).await.unwrap();
    wifi.assert_dropped_since(&before);
    let visit = scene.book.visit().await;
    assert_eq!((visit.received, visit.sent), (sent, Some(tally.hash())));
    assert!(tally.stall < ms(600), "{:?}", tally.stall);
    assert!(visit.stall < ms(600), "{:?}", visit.stall);
    let tale = client.tale.clone();
    let summary = client.close().await;
    assert_eq!((summary.failovers, summary.failbacks), (1, 0), "{tale:?}");
    assert_eq!(scene.sample("twinpath_failovers_total").await, 1.0);
}

#[test]
fn a_hole_on_the_way_up_stops_neither_direction() {
    Scene::before(Service::Both(BOTH)).play(async |scene| {
        stream_both_ways(scene, Direction::Up).await;
    });
}

#[test]
fn a_hole_on_the_way_down_stops_neither_direction() {
    Scene::before(Service::Both(BOTH)).play(async |scene| {
        stream_both_ways(scene, Direction::Down).await;
    });
}

#[test]
fn a_window_that_opens_as_wifi_dies_is_heard_of() {
    const SIZE: u64 = 1_500_000;
    Scene::before(Service::GatedSink).play(async |scene| {
        // The kernel between gateway and service shall not take all of it.
        let server = scene.world.server();
        server.sysctl("ipv4/tcp_wmem", "4096 16384 131072").unwrap();
        server.sysctl("ipv4/tcp_rmem", "4096 65536 262144").unwrap();
        let mut client = scene.connect().await;
        let (read, write) = client.connection.split();
        let mut pattern = Pattern::new(2);
        let writing = async {
            let hash = pattern.write(SIZE, write).await?;
            write.finish();
            std::io::Result::Ok(hash)
        };
        let wifi = scene.wifi();
        let dying = async {
            // Until nothing moves any more: the window is closed.
            let mut carried = 0;
            loop {
                tokio::time::sleep(ms(300)).await;
                let now = wifi.counters().up.delivered.tcp_payload;
                if now - carried < 10_000 {
                    break;
                }
                carried = now;
            }
            assert!(carried < SIZE, "the window never closed");
            let before = wifi.counters();
            wifi.blackhole(Direction::Both);
            scene.book.open_gate();
            Ok((before, Instant::now()))
        };
        let all = async { tokio::try_join!(writing, dying, read.read_u64()) };
        let (sent, (before, opened), size) = soon("the upload", all).await.unwrap();
        // Two thirds of it go over cellular in a little more than half a second.
        assert!(opened.elapsed() < ms(2500), "{:?}", opened.elapsed());
        wifi.assert_dropped_since(&before);
        let visit = scene.book.visit().await;
        assert_eq!((size, visit.received), (SIZE, sent));
        client.close().await;
    });
}

#[test]
fn the_connection_goes_back_to_wifi_once_it_has_healed() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut client = scene.connect().await;
        client.chat("before").await;
        let wifi = scene.wifi();
        wifi.blackhole(Direction::Both);
        let mut worst = ms(0);
        let mut healed = None;
        let began = Instant::now();
        while client.tale.count(EventKind::Failback) == 0 {
            let said = Instant::now();
            client.chat("and on").await;
            worst = worst.max(said.elapsed());
            if healed.is_none() && client.tale.count(EventKind::Failover) == 1 {
                wifi.heal();
                healed = Some(Instant::now());
            }
            assert!(began.elapsed() < ms(20_000), "{:?}", client.tale);
            tokio::time::sleep(ms(10)).await;
        }
        let took = healed.unwrap().elapsed();
        assert!(took < ms(10_000), "{took:?}");
        assert!(worst < ms(400), "{worst:?}");
        // Cellular carries nothing more.
        client.chat("on Wi-Fi").await;
        let before = scene.cellular().counters();
        for _ in 0..20 {
            client.chat("on Wi-Fi").await;
        }
        scene.cellular().assert_payload_since(&before, 200);
        assert_eq!(scene.sample("twinpath_failbacks_total").await, 1.0);
        client.connection.flush().await.unwrap();
        client.close().await;
    });
}
