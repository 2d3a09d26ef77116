//! Plain TCP to a server that knows nothing of two paths: what can be saved when one of them dies, and what is told of
//! the rest.

use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath::{Connector, EventKind, Interrupted, InterruptedCause, Mode, Role};
use twinpath_lab::{Direction, Rebind};
use twinpath_tests::{Client, Scene, Service, Tally, ms, soon};

/// A connection to the service through the gateway, which hands on what is no session.
async fn connect(scene: &Scene) -> Client {
    let connector = Connector::builder().mode(Mode::PlainPair).budget(None);
    let client = scene.connect_with(connector).await;
    assert_eq!(client.connection.mode(), Mode::PlainPair);
    client
}

/// One request of a byte that may be repeated, and how long its answer took.
async fn exchange(client: &mut Client, byte: u8) -> std::time::Duration {
    let began = Instant::now();
    let request = Bytes::copy_from_slice(&[byte]);
    let answer = soon("the answer", client.connection.exchange(request, 100)).await;
    assert_eq!(answer.unwrap().unwrap(), [byte][..]);
    began.elapsed()
}

#[test]
fn a_request_that_may_be_repeated_goes_on_over_cellular() {
    Scene::before(Service::Requests).play(async |scene| {
        let mut client = connect(scene).await;
        exchange(&mut client, b'a').await;
        let (wifi, cellular) = (scene.wifi(), scene.cellular());
        assert_eq!(cellular.counters().bytes_offered(), 0, "it was not cold");
        let before = wifi.counters();
        wifi.blackhole(Direction::Both);
        let took = exchange(&mut client, b'b').await;
        wifi.assert_dropped_since(&before);
        // Less than half a second to find out, and a normal request on cellular.
        assert!(took < ms(500 + 120), "{took:?}: {:?}", client.tale);
        assert_eq!(client.tale.count(EventKind::Failover), 1);
        exchange(&mut client, b'c').await;
        // What the dead path had is not sent when it heals: the second request was made once.
        wifi.heal();
        exchange(&mut client, b'd').await;
        assert_eq!(scene.book.requests(), 4);
        let stats = client.connection.stats();
        assert_eq!((stats.failovers, stats.active), (1, Role::Backup));
        assert!(stats.worst_stall < took, "{stats:?}");
    });
}

#[test]
fn what_may_not_be_repeated_ends_in_an_account_and_a_fresh_leg_leads_on() {
    Scene::before(Service::Requests).play(async |scene| {
        let mut client = connect(scene).await;
        exchange(&mut client, b'a').await;
        let (wifi, before) = (scene.wifi(), scene.wifi().counters());
        wifi.blackhole(Direction::Both);
        let began = Instant::now();
        client.connection.write_all(b"b").await.unwrap();
        let error = soon("the error", client.connection.read_u8())
            .await
            .unwrap_err();
        let took = began.elapsed();
        wifi.assert_dropped_since(&before);
        let known = Interrupted::of(&error).unwrap();
        assert_eq!(known.role, Role::Primary);
        assert_eq!(known.cause, InterruptedCause::Silent);
        assert_eq!(
            (known.written, known.acknowledged, known.read),
            (2, Some(1), 1)
        );
        assert!(took < ms(500), "{took:?}");
        let again = client.connection.write_all(b"c").await.unwrap_err();
        assert_eq!(Interrupted::of(&again), Some(known), "it is not told twice");
        let began = Instant::now();
        let fresh = soon("the fresh leg", client.connection.fresh_leg())
            .await
            .unwrap();
        let mut fresh = Client::new(fresh);
        exchange(&mut fresh, b'b').await;
        // Both paths at once, since the primary is in doubt.
        assert!(began.elapsed() < ms(200), "{:?}", began.elapsed());
        assert_eq!(fresh.connection.stats().active, Role::Backup);
        assert_eq!(scene.book.requests(), 2);
        client.tale.until_kind(EventKind::LegDown).await;
    });
}

#[test]
fn a_server_that_takes_its_time_is_no_dead_path() {
    Scene::before(Service::Sink).play(async |scene| {
        let mut client = connect(scene).await;
        let (wifi, cellular) = (scene.wifi(), scene.cellular());
        client.connection.write_all(b"!").await.unwrap();
        let mut answer = [0; 8];
        let reading = client.connection.read_exact(&mut answer);
        let nothing = tokio::time::timeout(ms(5000), reading).await;
        assert!(nothing.is_err(), "the service answered: {nothing:?}");
        assert_eq!(cellular.counters().bytes_offered(), 0);
        // It was asked, and ever more seldom.
        let asked = wifi.counters().up.offered.packets;
        assert!((4..60).contains(&asked), "{asked} packets");
        client.connection.shutdown().await.unwrap();
        soon("the answer", client.connection.read_exact(&mut answer))
            .await
            .unwrap();
        assert_eq!(u64::from_be_bytes(answer), 1);
        assert_eq!(client.tale.count(EventKind::Failover), 0);
    });
}

#[test]
fn a_server_that_is_dead_on_both_paths_is_waited_for() {
    Scene::before(Service::Requests).play(async |scene| {
        let mut client = connect(scene).await;
        exchange(&mut client, b'a').await;
        let server = scene.address().ip();
        let before = scene.wifi().counters();
        for link in [scene.wifi(), scene.cellular()] {
            link.blackhole_server(server);
        }
        let request = client.connection.exchange(Bytes::from_static(b"b"), 100);
        let nothing = tokio::time::timeout(ms(3000), request).await;
        assert!(nothing.is_err(), "{nothing:?}");
        scene.wifi().assert_dropped_since(&before);
        for link in [scene.wifi(), scene.cellular()] {
            link.heal();
        }
        let answer = soon("the answer", client.connection.read_u8())
            .await
            .unwrap();
        assert_eq!(answer, b'b');
        assert_eq!(client.connection.stats().active, Role::Primary);
        assert_eq!(scene.book.requests(), 2);
    });
}

#[test]
fn a_connection_that_a_nat_has_forgotten_is_made_anew_on_the_same_path() {
    Scene::before(Service::Requests)
        .wifi(|wifi| wifi.nat = true)
        .play(async |scene| {
            let mut client = connect(scene).await;
            exchange(&mut client, b'a').await;
            scene.wifi().rebind_nat(Rebind::Forget);
            let took = exchange(&mut client, b'b').await;
            assert!(took < ms(5000), "{took:?}: {:?}", client.tale);
            assert_eq!(
                client.connection.stats().active,
                Role::Primary,
                "{:?}",
                client.tale
            );
            assert_eq!(client.tale.count(EventKind::Failover), 0);
        });
}

#[test]
fn a_download_whose_path_dies_is_told_how_far_it_came() {
    const SIZE: u64 = 4_000_000;
    Scene::before(Service::Source(SIZE)).play(async |scene| {
        let mut client = connect(scene).await;
        client.connection.write_all(b"!").await.unwrap();
        let mut tally = Tally::default();
        soon("a part", tally.read_to(SIZE / 4, &mut client.connection))
            .await
            .unwrap();
        let before = scene.wifi().counters();
        scene.wifi().blackhole(Direction::Both);
        let began = Instant::now();
        let error = soon("the end", tally.read_to_end(&mut client.connection))
            .await
            .unwrap_err();
        let took = began.elapsed();
        scene.wifi().assert_dropped_since(&before);
        let known = Interrupted::of(&error).unwrap();
        assert_eq!((known.written, known.read), (1, tally.bytes));
        // What had come to the kernel was read in that time as well.
        assert!(took < ms(500), "{took:?}");
    });
}

#[test]
fn an_interface_that_goes_is_noticed_at_once() {
    Scene::before(Service::Requests).play(async |scene| {
        let mut client = connect(scene).await;
        exchange(&mut client, b'a').await;
        scene.wifi().down().unwrap();
        let took = exchange(&mut client, b'b').await;
        assert!(took < ms(300), "{took:?}: {:?}", client.tale);
        assert_eq!(client.connection.stats().active, Role::Backup);
    });
}

#[test]
fn the_budget_ends_what_runs_on_cellular_and_not_the_primary() {
    Scene::before(Service::Requests).play(async |scene| {
        let connector = Connector::builder()
            .mode(Mode::PlainPair)
            .budget(Some(10_000));
        let connector = connector.build().unwrap();
        let target = scene.address().to_string();
        let mut client = Client::new(connector.connect(&target).await.unwrap());
        exchange(&mut client, b'a').await;
        scene.wifi().down().unwrap();
        exchange(&mut client, b'b').await;
        assert!(connector.budget().used() > 0);
        connector.set_budget(Some(1));
        let error = soon("the end", client.connection.read_u8())
            .await
            .unwrap_err();
        let known = Interrupted::of(&error).unwrap();
        assert_eq!(known.cause, InterruptedCause::BudgetExhausted);
        client.tale.until_kind(EventKind::BudgetExhausted).await;
        scene.wifi().up().unwrap();
        let mut fresh = loop {
            match connector.connect(&target).await {
                Ok(fresh) if fresh.stats().active == Role::Primary => break Client::new(fresh),
                _ => tokio::task::yield_now().await,
            }
        };
        exchange(&mut fresh, b'c').await;
    });
}
