//! Several connections over the kernel's MPTCP when a path dies that they share, or that one of them alone uses.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use twinpath::{Connector, Event, EventKind, Mode, Peer, Protection, Role};
use twinpath_lab::Direction;
use twinpath_tests::{
    Client, Scene, Service, Tale, Twinpath, claims, left_as, ms, soon, taken_out,
};

const PROMPT: Duration = ms(700);
const BACK: Duration = ms(10_000);

fn connector(scene: &Scene) -> Connector {
    scene.connector().peer(Peer::Any).build().unwrap()
}

async fn protected(connector: &Connector, server: std::net::SocketAddr) -> Client {
    let target = server.to_string();
    let connecting = connector.connect(&target);
    let mut client = Client::new(soon("the connect", connecting).await.unwrap());
    assert_eq!(client.connection.mode(), Mode::KernelMptcp);
    client.chat("hello").await;
    claims(&client.connection.monitor(), Protection::Protected, BACK).await;
    client
}

/// Over to cellular, and back.
async fn there_and_back(tale: &Tale) {
    tale.until_kind(EventKind::Failover).await;
    tale.until_kind(EventKind::Failback).await;
}

#[test]
fn two_connections_over_the_same_wifi_both_go_over_and_come_back() {
    Scene::before(Service::Echo).play(async |scene| {
        let connector = connector(scene);
        let mut first = protected(&connector, scene.address()).await;
        let mut second = protected(&connector, scene.address()).await;
        let tales = [first.tale.clone(), second.tale.clone()];
        let course = async {
            sleep(ms(300)).await;
            let dying = scene.wifi().counters();
            scene.wifi().blackhole(Direction::Both);
            for tale in &tales {
                tale.until_kind(EventKind::Failover).await;
            }
            scene.wifi().assert_dropped_since(&dying);
            assert_eq!(taken_out().len(), 1);
            sleep(ms(500)).await;
            scene.wifi().heal();
            there_and_back(&tales[0]).await;
            there_and_back(&tales[1]).await;
            // Each has its chance to disturb the other.
            sleep(ms(3500)).await;
        };
        let also = async {
            there_and_back(&tales[1]).await;
        };
        let (one, other) = tokio::join!(first.talk(ms(10), course), second.talk(ms(20), also));
        assert!(
            one < PROMPT && other < PROMPT,
            "{one:?} {other:?}: {tales:?}"
        );
        for client in [first, second] {
            let stats = client.connection.stats();
            assert_eq!((stats.failovers, stats.failbacks), (1, 1), "{tales:?}");
            assert_eq!(client.connection.protection(), Protection::Protected);
            client.close().await;
        }
        drop(connector);
        left_as(&[]).await;
    });
}

#[test]
fn two_processes_over_the_same_wifi_both_go_over_and_come_back() {
    Scene::before(Service::Echo).play(async |scene| {
        let connector = connector(scene);
        let mut client = protected(&connector, scene.address()).await;
        let (monitor, tale) = (client.connection.monitor(), client.tale.clone());
        let target = scene.address().to_string();
        let arguments = ["connect", &target, "--events", "-"];
        let mut command = Twinpath::start(scene.world.client(), &arguments);
        let _heard = command.converse();
        command.says("\"protected\":true").await;
        let course = async {
            let dying = scene.wifi().counters();
            scene.wifi().blackhole(Direction::Both);
            tale.until_kind(EventKind::Failover).await;
            command.says("\"failover\"").await;
            scene.wifi().assert_dropped_since(&dying);
            sleep(ms(500)).await;
            scene.wifi().heal();
            tale.until_kind(EventKind::Failback).await;
            command.says("\"failback\"").await;
            command.terminate().await;
            command.ends().await;
            // Whose endpoint it was, this connection has to get along.
            sleep(ms(300)).await;
            claims(&monitor, Protection::Protected, BACK).await;
        };
        let worst = client.talk(ms(10), course).await;
        assert!(worst < PROMPT, "{worst:?}: {tale:?}");
        client.close().await;
        drop(connector);
        left_as(&[]).await;
    });
}

#[test]
fn where_one_server_alone_is_out_of_reach_the_other_keeps_its_wifi() {
    Scene::before(Service::Echo).play(async |scene| {
        let (_gateway, address) = scene.second_gateway();
        let connector = connector(scene);
        let mut cut_off = protected(&connector, scene.address()).await;
        let mut other = protected(&connector, address).await;
        let (tale, others) = (cut_off.tale.clone(), other.tale.clone());
        let dying = scene.wifi().counters();
        let asking = async {
            // The server is not told of a subflow that ends alone: the question arrives soon, the answer may not.
            sleep(ms(300)).await;
            scene.wifi().blackhole_server(scene.address().ip());
            let began = Instant::now();
            cut_off.chat("is anybody there").await;
            let took = began.elapsed();
            let failover = tale.until_kind(EventKind::Failover).await;
            let Event::Failover { stall, .. } = failover else {
                panic!("{failover:?}")
            };
            scene.wifi().assert_dropped_since(&dying);
            (stall, took)
        };
        let also = async {
            tale.until_kind(EventKind::Failover).await;
            for _ in 0..10 {
                assert!(taken_out().is_empty());
                sleep(ms(100)).await;
            }
        };
        let ((stall, answer), two) = tokio::join!(asking, other.talk(ms(10), also));
        assert!(stall < PROMPT, "{tale:?}");
        assert!(answer < ms(3000), "{answer:?}: {tale:?}");
        assert!(two < ms(400), "{two:?}: {others:?}");
        let stats = other.connection.stats();
        assert_eq!(stats.failovers, 0, "{others:?}");
        assert!(stats.path(Role::Primary).unwrap().up);
        assert_eq!(other.connection.protection(), Protection::Protected);
        scene.wifi().heal();
        other.close().await;
        // Now nobody is disturbed by a subflow anew.
        let back = async {
            tale.until_kind(EventKind::Failback).await;
        };
        cut_off.talk(ms(20), back).await;
        cut_off.close().await;
        drop(connector);
        left_as(&[]).await;
    });
}
