//! Connections over the kernel's MPTCP whose primary path dies: they go on over the backup much sooner than the kernel
//! alone would have it, come back, and leave the path manager as it was.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use twinpath::mptcp::changes;
use twinpath::{Connector, Event, EventKind, FailoverReason, Mode, Peer, Protection, Unprotected};
use twinpath_lab::{Direction, LinkHandle};
use twinpath_tests::{
    CELLULAR, Client, Scene, SceneBuilder, Service, Twinpath, WIFI, claims, endpoints, left_as, ms,
    soon, taken_out,
};

/// The kernel alone takes 850 ms at best, mostly more than a second.
const PROMPT: Duration = ms(700);
/// In which a healed path is taken again.
const BACK: Duration = ms(10_000);
const LOST: Protection = Protection::Unprotected {
    reason: Unprotected::PrimarySubflowLost,
};

fn scene() -> SceneBuilder {
    Scene::before(Service::Echo)
}

/// A connection to any server, with a subflow on each path.
async fn protected(scene: &Scene) -> (Connector, Client) {
    let connector = scene.connector().peer(Peer::Any).build().unwrap();
    let target = scene.address().to_string();
    let connecting = connector.connect(&target);
    let mut client = Client::new(soon("the connect", connecting).await.unwrap());
    assert_eq!(client.connection.mode(), Mode::KernelMptcp);
    client.chat("hello").await;
    claims(&client.connection.monitor(), Protection::Protected, BACK).await;
    (connector, client)
}

/// Talks while Wi-Fi is struck and mended, goes over to cellular for that reason, and comes back.
async fn survives(
    scene: &Scene,
    why: FailoverReason,
    strike: impl AsyncFnOnce(&LinkHandle),
    mend: impl FnOnce(&LinkHandle),
) {
    let before = endpoints();
    let (connector, mut client) = protected(scene).await;
    let (monitor, tale) = (client.connection.monitor(), client.tale.clone());
    let (wifi, cellular) = (scene.wifi(), scene.cellular());
    let server = scene.address().ip();
    let mut addresses = wifi.addresses();
    addresses.retain(|it| it.is_ipv4() == server.is_ipv4());
    let course = async {
        sleep(ms(300)).await;
        let idle = cellular.counters();
        strike(&wifi).await;
        let failover = tale.until_kind(EventKind::Failover).await;
        let Event::Failover { reason, stall, .. } = failover else {
            panic!("{failover:?}")
        };
        assert_eq!(reason, why);
        assert!(stall < PROMPT, "{tale:?}");
        if why == FailoverReason::Silent {
            assert!(!stall.is_zero(), "{tale:?}");
            assert_eq!(taken_out(), addresses);
        }
        claims(&monitor, LOST, ms(1000)).await;
        sleep(ms(500)).await;
        assert!((cellular.counters() - idle).payload_offered() > 0);
        mend(&wifi);
        let began = Instant::now();
        tale.until_kind(EventKind::Failback).await;
        claims(&monitor, Protection::Protected, BACK).await;
        assert!(began.elapsed() < BACK, "{tale:?}");
        assert!(taken_out().is_empty());
        let before = wifi.counters();
        sleep(ms(200)).await;
        assert!((wifi.counters() - before).payload_offered() > 0);
    };
    let worst = client.talk(ms(10), course).await;
    log::info!("the worst echo took {worst:?}");
    assert!(worst < PROMPT, "{worst:?}: {tale:?}");
    let stats = client.connection.stats();
    assert_eq!((stats.failovers, stats.failbacks), (1, 1), "{tale:?}");
    client.close().await;
    drop(connector);
    left_as(&before).await;
}

async fn silence(wifi: &LinkHandle, direction: Direction) {
    let before = wifi.counters();
    wifi.blackhole(direction);
    let dropping = async {
        while (wifi.counters() - before).dropped() == 0 {
            sleep(ms(2)).await;
        }
    };
    soon("Wi-Fi drops", dropping).await;
}

#[test]
fn a_silent_wifi_is_left_promptly_and_taken_again() {
    scene().play(async |scene| {
        let strike = async |wifi: &LinkHandle| silence(wifi, Direction::Both).await;
        survives(scene, FailoverReason::Silent, strike, LinkHandle::heal).await;
    });
}

#[test]
fn a_silent_wifi_is_left_promptly_and_taken_again_over_ipv6() {
    scene().over_v6().play(async |scene| {
        let strike = async |wifi: &LinkHandle| silence(wifi, Direction::Both).await;
        survives(scene, FailoverReason::Silent, strike, LinkHandle::heal).await;
    });
}

#[test]
fn a_wifi_that_loses_all_that_is_sent_is_left_promptly_and_taken_again() {
    scene().play(async |scene| {
        let strike = async |wifi: &LinkHandle| silence(wifi, Direction::Up).await;
        survives(scene, FailoverReason::Silent, strike, LinkHandle::heal).await;
    });
}

#[test]
fn a_wifi_that_loses_all_that_is_to_be_received_is_left_promptly_and_taken_again() {
    scene().play(async |scene| {
        let strike = async |wifi: &LinkHandle| silence(wifi, Direction::Down).await;
        survives(scene, FailoverReason::Silent, strike, LinkHandle::heal).await;
    });
}

#[test]
fn a_wifi_that_is_down_is_left_at_once_and_taken_again() {
    scene().play(async |scene| {
        let strike = async |wifi: &LinkHandle| wifi.down().unwrap();
        let mend = |wifi: &LinkHandle| wifi.up().unwrap();
        survives(scene, FailoverReason::PathGone, strike, mend).await;
    });
}

#[test]
fn a_wifi_without_its_address_is_left_at_once_and_taken_again() {
    scene().play(async |scene| {
        let strike = async |wifi: &LinkHandle| wifi.remove_address().unwrap();
        let mend = |wifi: &LinkHandle| wifi.restore_address().unwrap();
        survives(scene, FailoverReason::PathGone, strike, mend).await;
    });
}

#[test]
fn a_wifi_with_another_address_is_taken_again_from_there() {
    scene().play(async |scene| {
        let (connector, mut client) = protected(scene).await;
        let (monitor, tale) = (client.connection.monitor(), client.tale.clone());
        let course = async {
            sleep(ms(300)).await;
            let old = scene.wifi().addresses();
            let new = scene.wifi().change_address().unwrap();
            assert_ne!(old, new);
            tale.until_kind(EventKind::Failover).await;
            tale.until_kind(EventKind::Failback).await;
            claims(&monitor, Protection::Protected, BACK).await;
            assert!(
                endpoints().iter().any(|it| new.contains(&it.address)),
                "{:?}",
                endpoints()
            );
        };
        let worst = client.talk(ms(10), course).await;
        assert!(worst < PROMPT, "{worst:?}: {tale:?}");
        client.close().await;
        drop(connector);
        left_as(&[]).await;
    });
}

#[test]
fn one_request_after_wifi_died_unnoticed_is_answered_promptly() {
    scene().play(async |scene| {
        let (_connector, mut client) = protected(scene).await;
        for _ in 0..10 {
            client.chat("while it is good").await;
        }
        sleep(ms(2000)).await;
        let dying = scene.wifi().counters();
        scene.wifi().blackhole(Direction::Both);
        sleep(ms(1000)).await;
        client.assert_no_failover();
        let began = Instant::now();
        client.chat("is anybody there").await;
        let took = began.elapsed();
        assert!(took < PROMPT, "{took:?}: {:?}", client.tale);
        scene.wifi().assert_dropped_since(&dying);
        client.tale.until_kind(EventKind::Failover).await;
        assert_eq!(client.connection.stats().failovers, 1);
    });
}

#[test]
fn without_the_privilege_a_silent_wifi_is_told_and_the_kernel_finds_its_way() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let before = endpoints();
        let target = scene.address().to_string();
        let arguments = ["connect", &target, "--events", "-"];
        let host = scene.world.client();
        let mut command = Twinpath::start_unprivileged(host, &arguments);
        let heard = command.converse();
        command.says("\"protected\":true").await;
        let dying = scene.wifi().counters();
        scene.wifi().blackhole(Direction::Both);
        let began = Instant::now();
        let line = command.says("\"leg_down\"").await;
        assert!(line.contains(WIFI) && line.contains("silent"), "{line}");
        let told = began.elapsed();
        assert!(told < ms(1000), "{told:?}");
        command.says("\"protected\":false").await;
        let failover = command.says("\"failover\"").await;
        assert!(failover.contains("silent"), "{failover}");
        scene.wifi().assert_dropped_since(&dying);
        let so_far = *heard.borrow();
        let mut heard = heard;
        let going_on = heard.wait_for(|number| *number > so_far + 20);
        soon("it goes on", going_on).await.unwrap();
        assert_eq!(endpoints(), before);
        assert_eq!(changes().unwrap(), []);
        command.kill().await;
    });
}
