//! Connections over the kernel's MPTCP where nothing may be condemned: a bad Wi-Fi that goes on, a server that is slow,
//! and one that has died.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;
use twinpath::{Mode, Monitor, Peer, Protection};
use twinpath_lab::{Direction, Rate};
use twinpath_tests::{Client, Pattern, Scene, Service, claims, ms, soon, taken_out};

async fn protected(scene: &Scene) -> Client {
    let mut client = scene.connect_with(scene.connector().peer(Peer::Any)).await;
    assert_eq!(client.connection.mode(), Mode::KernelMptcp);
    // A first segment, after which the backup joins; whatever the service answers.
    client.connection.write_all(b"0").await.unwrap();
    claims(
        &client.connection.monitor(),
        Protection::Protected,
        ms(10_000),
    )
    .await;
    client
}

/// The same, with its echo heard.
async fn talking(scene: &Scene) -> Client {
    let mut client = protected(scene).await;
    assert_eq!(client.connection.read_u8().await.unwrap(), b'0');
    client
}

/// Nothing is taken out for that long, and nothing is left.
async fn stays(monitor: &Monitor, long: Duration) {
    let began = Instant::now();
    while began.elapsed() < long {
        assert!(taken_out().is_empty());
        assert_eq!(monitor.stats().failovers, 0, "{:?}", began.elapsed());
        sleep(ms(20)).await;
    }
}

#[test]
fn a_wifi_that_loses_some_is_not_left() {
    let scene = Scene::before(Service::Echo).wifi(|wifi| wifi.loss = 0.01);
    scene.play(async |scene| {
        let before = scene.wifi().counters();
        let mut busy = talking(scene).await;
        let mut calm = talking(scene).await;
        let monitors = [busy.connection.monitor(), calm.connection.monitor()];
        let long = ms(15_000);
        tokio::join!(
            busy.talk(ms(10), stays(&monitors[0], long)),
            calm.talk(ms(200), stays(&monitors[1], long)),
        );
        let lost = scene.wifi().counters() - before;
        assert!(lost.up.dropped.loss > 5 && lost.down.dropped.loss > 5);
    });
}

#[test]
fn a_wifi_whose_round_trip_rises_and_falls_is_not_left() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut client = talking(scene).await;
        let monitor = client.connection.monitor();
        let course = async {
            for rtt in [20, 120, 20, 120, 20] {
                scene.wifi().set(|wifi| wifi.rtt = ms(rtt));
                stays(&monitor, ms(2000)).await;
            }
        };
        let worst = client.talk(ms(10), course).await;
        assert!(worst > ms(110), "{worst:?}");
    });
}

#[test]
fn a_wifi_with_a_full_queue_is_not_left() {
    // Four at a rate that they fill, for one alone keeps the queue short; a queue of 100 ms.
    let scene = Scene::before(Service::Sink).wifi(|wifi| {
        (wifi.rate, wifi.queue) = (Some(Rate::mbit(10)), 125_000);
    });
    scene.play(async |scene| {
        const SIZE: u64 = 2_000_000;
        let upload = async || {
            let mut client = protected(scene).await;
            let (read, write) = client.connection.split();
            Pattern::new(2).write(SIZE, write).await.unwrap();
            write.shutdown().await.unwrap();
            let sum = soon("the sum", read.read_u64()).await.unwrap();
            assert_eq!(sum, SIZE + 1);
            assert_eq!(client.connection.stats().failovers, 0, "{:?}", client.tale);
        };
        let uploading = async { tokio::join!(upload(), upload(), upload(), upload()) };
        let mut longest = 0;
        let watching = async {
            loop {
                assert!(taken_out().is_empty());
                longest = longest.max(scene.wifi().backlog().0);
                sleep(ms(5)).await;
            }
        };
        tokio::select! {
            biased;
            _ = uploading => {}
            () = watching => {}
        }
        assert!(longest > 90_000, "{longest}");
    });
}

#[test]
fn a_server_that_answers_late_is_not_condemned() {
    Scene::before(Service::GatedSink).play(async |scene| {
        let mut client = protected(scene).await;
        let monitor = client.connection.monitor();
        let (read, write) = client.connection.split();
        write.write_all(b"how many").await.unwrap();
        write.shutdown().await.unwrap();
        stays(&monitor, ms(3000)).await;
        scene.book.open_gate();
        assert_eq!(soon("the answer", read.read_u64()).await.unwrap(), 9);
        assert_eq!(monitor.stats().failovers, 0);
        assert!(taken_out().is_empty());
    });
}

#[test]
fn a_server_that_stops_reading_is_not_condemned() {
    const SIZE: u64 = 50_000_000;
    Scene::before(Service::GatedSink).play(async |scene| {
        let mut client = protected(scene).await;
        let monitor = client.connection.monitor();
        let (read, write) = client.connection.split();
        let uploading = async {
            Pattern::new(2).write(SIZE, write).await.unwrap();
            write.shutdown().await.unwrap();
            soon("the sum", read.read_u64()).await.unwrap()
        };
        let course = async {
            // Buffers grow for a while.
            let mut stuck = 0;
            while stuck == 0 || monitor.stats().written > stuck {
                stuck = monitor.stats().written;
                stays(&monitor, ms(1500)).await;
            }
            assert!(stuck < SIZE, "the window is closed");
            scene.book.open_gate();
            stays(&monitor, ms(500)).await;
        };
        let (sum, ()) = tokio::join!(uploading, course);
        assert_eq!(sum, SIZE + 1);
        assert_eq!(monitor.stats().failovers, 0);
        assert!(taken_out().is_empty());
    });
}

#[test]
fn while_the_server_is_dead_no_path_is_condemned() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut client = talking(scene).await;
        let course = async {
            sleep(ms(300)).await;
            let links = [scene.wifi(), scene.cellular()];
            let before = links.each_ref().map(|it| it.counters());
            for link in &links {
                link.blackhole(Direction::Both);
            }
            for _ in 0..150 {
                sleep(ms(20)).await;
                assert!(taken_out().is_empty());
            }
            for (link, before) in links.iter().zip(&before) {
                link.assert_dropped_since(before);
            }
            for link in &links {
                link.heal();
            }
            for _ in 0..50 {
                sleep(ms(20)).await;
                assert!(taken_out().is_empty());
            }
        };
        let worst = client.talk(ms(20), course).await;
        assert!(worst > ms(2500), "{worst:?}");
        client.chat("and on").await;
        client.close().await;
    });
}
