//! Before the gateway has answered: nothing is delivered twice, and a dead Wi-Fi does not keep anybody from connecting.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use twinpath::{Connector, ErrorKind, Mode, Peer, Protection, Standby};
use twinpath_lab::{Direction, End};
use twinpath_proto::StaticKey;
use twinpath_tests::{Client, PORT, Scene, Service, ms, soon};

/// Asks once, and makes sure that the service was asked once.
async fn ask_once(scene: &Scene, client: &mut Client) {
    let answer = soon("the answer", client.connection.read_u8()).await;
    assert_eq!(answer.unwrap(), b'?');
    client.connection.shutdown().await.unwrap();
    let visit = scene.book.visit().await;
    assert_eq!(visit.end, Ok(()));
    assert_eq!(scene.book.requests(), 1, "{:?}", client.tale);
    assert_eq!(scene.sample("twinpath_sessions_total").await, 1.0);
}

#[test]
fn a_request_whose_answer_is_lost_is_delivered_once() {
    Scene::before(Service::Requests).play(async |scene| {
        let mut client = scene.connect_with(scene.connector()).await;
        let wifi = scene.wifi();
        let before = wifi.counters();
        wifi.blackhole(Direction::Down);
        let began = Instant::now();
        client.connection.write_all(b"?").await.unwrap();
        scene.book.until_requests(1).await;
        assert!(
            scene.cellular().counters().payload_offered() == 0,
            "not over Wi-Fi"
        );
        ask_once(scene, &mut client).await;
        assert!(began.elapsed() < ms(1500), "{:?}", began.elapsed());
        wifi.assert_dropped_since(&before);
        client.close().await;
    });
}

#[test]
fn a_request_that_is_lost_and_comes_late_is_delivered_once() {
    Scene::before(Service::Requests).play(async |scene| {
        // A gateway that has just been started does not know what one before it was given.
        scene.until_up(ms(2000)).await;
        let mut client = scene.connect_with(scene.connector()).await;
        let wifi = scene.wifi();
        let before = wifi.counters();
        wifi.blackhole(Direction::Up);
        client.connection.write_all(b"?").await.unwrap();
        scene.book.until_requests(1).await;
        // What was lost is repeated by the kernel from now on.
        wifi.heal();
        wifi.assert_dropped_since(&before);
        let answer = soon("the answer", client.connection.read_u8()).await;
        assert_eq!(answer.unwrap(), b'?');
        tokio::time::sleep(ms(1000)).await;
        client.connection.shutdown().await.unwrap();
        scene.book.visit().await;
        assert_eq!(scene.book.requests(), 1, "{:?}", client.tale);
        assert_eq!(scene.sample("twinpath_sessions_total").await, 1.0);
        client.close().await;
    });
}

#[test]
fn a_request_whose_leg_is_reset_before_the_answer_is_delivered_once() {
    Scene::before(Service::Requests).play(async |scene| {
        let mut client = scene.connect_with(scene.connector()).await;
        let wifi = scene.wifi();
        wifi.blackhole(Direction::Down);
        client.connection.write_all(b"?").await.unwrap();
        scene.book.until_requests(1).await;
        wifi.heal();
        assert!(wifi.inject_rst(End::Both) > 0, "there was nothing to reset");
        ask_once(scene, &mut client).await;
        assert!(wifi.counters().down.resets > 0);
        client.close().await;
    });
}

#[test]
fn a_gateway_that_dies_before_its_answer_leaves_the_client_in_doubt_and_says_so() {
    Scene::before(Service::Requests).play(async |scene| {
        let mut client = scene.connect_with(scene.connector()).await;
        scene.wifi().blackhole(Direction::Down);
        client.connection.write_all(b"?").await.unwrap();
        scene.book.until_requests(1).await;
        drop(scene.take_gateway());
        scene.start_gateway();
        let error = soon("the error", client.connection.read_u8()).await;
        let error = error.unwrap_err();
        assert_eq!(ErrorKind::of_io(&error), ErrorKind::Interrupted, "{error}");
        assert_eq!(scene.book.requests(), 1, "it was asked again");
    });
}

#[test]
fn connecting_takes_cellular_when_wifi_is_dead_but_still_the_default_route() {
    Scene::before(Service::Echo).play(async |scene| {
        let wifi = scene.wifi();
        let before = wifi.counters();
        wifi.blackhole(Direction::Both);
        let began = Instant::now();
        let mut client = scene.connect_with(scene.connector()).await;
        let connected = began.elapsed();
        // The backup begins after 200 ms and takes 60 ms.
        assert!(connected >= ms(260) && connected < ms(600), "{connected:?}");
        client.chat("hello").await;
        assert!(began.elapsed() < ms(900), "{:?}", began.elapsed());
        wifi.assert_dropped_since(&before);
        client.assert_no_failover();
        client.close().await;
    });
}

#[test]
fn a_single_path_is_upgraded_when_the_second_interface_appears() {
    Scene::before(Service::Echo).play(async |scene| {
        scene.cellular().down().unwrap();
        let warm = scene.connector().standby(Standby::Warm);
        let mut client = scene.connect_with(warm).await;
        client.chat("on Wi-Fi alone").await;
        assert_eq!(client.connection.mode(), Mode::SinglePath);
        assert!(!client.connection.protection().is_protected());
        scene.cellular().up().unwrap();
        client.tale.until_warm().await;
        assert_eq!(client.connection.mode(), Mode::Emulated);
        assert_eq!(client.connection.protection(), Protection::Protected);
        let before = scene.wifi().counters();
        scene.wifi().blackhole(Direction::Both);
        let began = Instant::now();
        client.chat("on cellular").await;
        assert!(began.elapsed() < ms(400), "{:?}", began.elapsed());
        scene.wifi().assert_dropped_since(&before);
        client.close().await;
    });
}

#[test]
fn a_gateway_without_the_pinned_key_gets_no_data() {
    let key = StaticKey::from_bytes([7; 32]);
    let public = key.public().0;
    let gateway = Scene::before(Service::Requests).gateway(move |it| it.key(key.clone()));
    gateway.play(async |scene| {
        let mut right = scene.connect_with(scene.connector().pin(public)).await;
        right.connection.write_all(b"?").await.unwrap();
        let answer = soon("the answer", right.connection.read_u8()).await;
        assert_eq!(answer.unwrap(), b'?');
        right.close().await;

        let mut wrong = scene.connect_with(scene.connector().pin([9; 32])).await;
        wrong.connection.write_all(b"?").await.unwrap();
        let error = soon("the error", wrong.connection.read_u8()).await;
        let error = error.unwrap_err();
        assert_eq!(ErrorKind::of_io(&error), ErrorKind::PinMismatch, "{error}");
        assert_eq!(scene.book.requests(), 1, "the request left");
    });
}

#[test]
fn a_server_that_is_no_gateway_is_told_apart() {
    Scene::before(Service::Echo).play(async |scene| {
        // One that echoes, and one that says nothing at all.
        let listen = [1, 2].map(|more| scene.world.server_socket(PORT + more));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let serve = move || async move {
            let echoing = TcpListener::bind(listen[0]).await.unwrap();
            let silent = TcpListener::bind(listen[1]).await.unwrap();
            ready.send(()).unwrap();
            let mut kept = Vec::new();
            loop {
                tokio::select! {
                    Ok((mut stream, _)) = echoing.accept() => {
                        tokio::spawn(async move {
                            let (mut read, mut write) = stream.split();
                            tokio::io::copy(&mut read, &mut write).await
                        });
                    }
                    Ok(stream) = silent.accept() => kept.push(stream),
                    else => break,
                }
            }
        };
        scene.world.server().spawn(serve).unwrap().detach();
        is_ready.recv().unwrap();
        let connector = Connector::builder().peer(Peer::Gateway).build().unwrap();
        for (server, limit) in listen.into_iter().zip([ms(1000), ms(6000)]) {
            let connection = connector.connect(&server.to_string()).await.unwrap();
            let began = Instant::now();
            let error = soon("the error", connection.established()).await;
            let error = error.unwrap_err();
            assert_eq!(ErrorKind::of_io(&error), ErrorKind::NotAGateway, "{error}");
            assert!(began.elapsed() < limit, "{:?}", began.elapsed());
        }
    });
}
