//! Connections over the kernel's MPTCP: what they claim, while the option is let through, and when it is not.

mod matrix;
mod peers;
mod user;

use twinpath::{Mode, ModeReason, Peer, Protection, Unprotected};
use twinpath_lab::{Direction, End, StripMode};
use twinpath_socket::mptcp::PathManager;
use twinpath_tests::{CELLULAR, Client, Scene, Service, ms, soon};

/// A claim has to be true within this time of the first segment that could show it.
const PROMPT: std::time::Duration = ms(1000);

/// Connects to any server, as the connector chooses.
async fn connect(scene: &Scene) -> Client {
    scene.connect_with(scene.connector().peer(Peer::Any)).await
}

const fn because(reason: Unprotected) -> Protection {
    Protection::Unprotected { reason }
}

/// Waits until the connection claims that, and no longer than a second.
async fn claims(client: &Client, expected: Protection) {
    let began = std::time::Instant::now();
    let mut events = client.connection.events();
    while client.connection.protection() != expected {
        let left = PROMPT.saturating_sub(began.elapsed());
        let next = tokio::time::timeout(left, events.next()).await;
        assert!(
            next.is_ok(),
            "{} after {PROMPT:?}, not {expected}: {:?}",
            client.connection.protection(),
            client.tale
        );
    }
}

fn scene() -> twinpath_tests::SceneBuilder {
    Scene::before(Service::Echo)
}

/// A connection that is protected, and has carried something.
async fn protected(scene: &Scene) -> Client {
    scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
    let mut client = connect(scene).await;
    assert_eq!(client.connection.mode(), Mode::KernelMptcp);
    assert_eq!(client.connection.mode_reason(), ModeReason::Mptcp);
    assert_eq!(
        client.connection.protection(),
        because(Unprotected::NoBackupSubflow),
        "nobody has joined yet"
    );
    client.chat("hello").await;
    claims(&client, Protection::Protected).await;
    client
}

#[test]
fn a_connection_is_protected_once_the_backup_has_joined_and_survives_a_dead_wifi() {
    scene().play(async |scene| {
        let mut client = protected(scene).await;
        let before = scene.cellular().counters();
        client.chat("still over Wi-Fi").await;
        scene.cellular().assert_payload_since(&before, 0);
        let dying = scene.wifi().counters();
        scene.wifi().blackhole(Direction::Both);
        client.chat("now over cellular").await;
        scene.wifi().assert_dropped_since(&dying);
        claims(&client, because(Unprotected::PrimarySubflowLost)).await;
        scene.wifi().heal();
        let healed = async {
            while client.connection.protection() != Protection::Protected {
                client.chat("back on Wi-Fi").await;
                tokio::time::sleep(ms(50)).await;
            }
        };
        soon("Wi-Fi is back", healed).await;
        let summary = soon("the end", client.connection.close()).await;
        assert_eq!(summary.mode, Mode::KernelMptcp);
        let [wifi, cellular] = &summary.paths[..] else {
            panic!("{summary:?}")
        };
        assert!(wifi.sent >= 21 && cellular.sent >= 17, "{summary:?}");
    });
}

#[test]
fn what_strips_the_handshake_leaves_plain_tcp_that_says_so_at_once() {
    for (mode, direction) in [
        (StripMode::Syn, Direction::Both),
        (StripMode::SynAck, Direction::Down),
        (StripMode::All, Direction::Both),
    ] {
        scene().play(async |scene| {
            scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
            let before = scene.wifi().counters();
            scene.wifi().strip_mptcp(mode, direction);
            let mut client = connect(scene).await;
            assert_eq!(client.connection.mode(), Mode::PlainPair, "{mode:?}");
            assert_eq!(client.connection.mode_reason(), ModeReason::FellBack);
            assert_eq!(
                client.connection.protection(),
                because(Unprotected::FellBack)
            );
            client.chat("as plain as ever").await;
            let stripped = scene.wifi().counters() - before;
            assert!(stripped.up.stripped + stripped.down.stripped > 0);
        });
    }
}

#[test]
fn what_strips_all_but_the_handshake_shows_after_the_first_answer() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        scene.wifi().strip_mptcp(StripMode::NonSyn, Direction::Both);
        let mut client = connect(scene).await;
        client.chat("who is there").await;
        claims(&client, because(Unprotected::FellBack)).await;
        assert_eq!(client.connection.mode(), Mode::PlainPair);
        client.chat("as plain as ever").await;
    });
}

#[test]
fn a_single_subflow_that_is_stripped_in_mid_life_is_told() {
    scene().play(async |scene| {
        // Nothing gets through on cellular, so that no second subflow comes.
        scene.cellular().blackhole(Direction::Both);
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let mut client = connect(scene).await;
        client.chat("hello").await;
        assert_eq!(client.connection.mode(), Mode::KernelMptcp);
        scene.wifi().strip_mptcp(StripMode::All, Direction::Both);
        client.chat("stripped").await;
        claims(&client, because(Unprotected::FellBack)).await;
        client.chat("as plain as ever").await;
    });
}

#[test]
fn a_subflow_that_is_stripped_in_mid_life_leaves_the_backup_alone() {
    scene().play(async |scene| {
        let mut client = protected(scene).await;
        scene.wifi().strip_mptcp(StripMode::All, Direction::Both);
        client.chat("stripped").await;
        claims(&client, because(Unprotected::PrimarySubflowLost)).await;
        assert_eq!(client.connection.mode(), Mode::KernelMptcp);
        client.chat("over cellular").await;
    });
}

#[test]
fn a_join_that_is_stripped_on_cellular_is_no_protection() {
    scene().play(async |scene| {
        let before = scene.cellular().counters();
        scene
            .cellular()
            .strip_mptcp(StripMode::All, Direction::Both);
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let mut client = connect(scene).await;
        for _ in 0..10 {
            client.chat("hello").await;
            tokio::time::sleep(ms(100)).await;
            assert_eq!(
                client.connection.protection(),
                because(Unprotected::NoBackupSubflow)
            );
        }
        assert_eq!(client.connection.mode(), Mode::KernelMptcp);
        assert!((scene.cellular().counters() - before).up.stripped > 0);
    });
}

#[test]
fn a_backup_that_is_reset_is_told_and_nothing_else_breaks() {
    scene().play(async |scene| {
        let mut client = protected(scene).await;
        assert!(scene.cellular().inject_rst(End::Client) > 0);
        claims(&client, because(Unprotected::BackupSubflowLost)).await;
        client.chat("over Wi-Fi").await;
        assert_eq!(client.connection.mode(), Mode::KernelMptcp);
    });
}

/// Has the client's kernel open none.
fn no_second_subflow() {
    let mut manager = PathManager::open().unwrap();
    let mut limits = manager.limits().unwrap();
    limits.subflows = 0;
    manager.set_limits(limits).unwrap();
}

#[test]
fn where_the_kernel_opens_no_second_subflow_the_reason_is_told() {
    scene().play(async |scene| {
        no_second_subflow();
        let mut client = connect(scene).await;
        client.chat("hello").await;
        assert_eq!(client.connection.mode(), Mode::PlainPair);
        let reason = client.connection.mode_reason();
        assert!(
            matches!(&reason, ModeReason::NoMptcp(why) if why.contains("second subflow")),
            "{reason}"
        );
        let mut manager = PathManager::open().unwrap();
        assert_eq!(manager.endpoints().unwrap(), []);
    });
}

#[test]
fn a_reset_of_the_only_subflow_ends_the_connection_promptly() {
    scene().play(async |scene| {
        no_second_subflow();
        let pinned = scene.connector().peer(Peer::Any).mode(Mode::KernelMptcp);
        let mut client = scene.connect_with(pinned).await;
        client.chat("hello").await;
        let began = std::time::Instant::now();
        assert!(scene.wifi().inject_rst(End::Client) > 0);
        let mut byte = [0];
        let reading = tokio::io::AsyncReadExt::read(&mut client.connection, &mut byte);
        let error = soon("an error", reading).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    });
}

#[test]
fn a_connect_is_not_held_up_by_a_dead_wifi() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        scene.wifi().blackhole(Direction::Both);
        let began = std::time::Instant::now();
        let mut client = connect(scene).await;
        assert!(began.elapsed() < ms(600), "{:?}", began.elapsed());
        assert_eq!(client.connection.mode(), Mode::KernelMptcp);
        client.chat("over cellular").await;
        claims(&client, because(Unprotected::PrimarySubflowLost)).await;
    });
}

#[test]
fn switched_off_in_the_kernel_it_is_plain_tcp_with_the_reason() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        scene.world.client().sysctl("mptcp/enabled", "0").unwrap();
        let mut client = connect(scene).await;
        client.chat("hello").await;
        let reason = client.connection.mode_reason();
        assert!(matches!(&reason, ModeReason::NoMptcp(_)), "{reason}");
    });
}

#[test]
fn an_endpoint_without_the_backup_flag_is_no_backup() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint(CELLULAR, false).unwrap();
        let before = scene.cellular().counters();
        let mut client = connect(scene).await;
        client.chat("hello").await;
        let reason = client.connection.mode_reason();
        assert!(
            matches!(&reason, ModeReason::NoMptcp(why) if why.contains("backup flag")),
            "{reason}"
        );
        scene.cellular().assert_payload_since(&before, 0);
    });
}

#[test]
fn where_all_drop_syns_with_the_option_it_is_plain_after_three_seconds_and_at_once_from_then_on() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let links = [scene.wifi(), scene.cellular()];
        for link in &links {
            link.drop_mptcp_syns(true);
        }
        let began = std::time::Instant::now();
        let mut client = connect(scene).await;
        let taken = began.elapsed();
        // The kernel repeats such a SYN twice, a second apart, before it does without the option.
        assert!(taken > ms(2500) && taken < ms(4500), "{taken:?}");
        for link in &links {
            assert!(link.counters().up.dropped.syn > 0);
        }
        let is_plain = |client: &Client| {
            assert_eq!(client.connection.mode(), Mode::PlainPair);
            assert_eq!(client.connection.mode_reason(), ModeReason::FellBack);
            let claim = client.connection.protection();
            assert_eq!(claim, because(Unprotected::FellBack));
        };
        is_plain(&client);
        client.chat("as plain as ever").await;
        is_plain(&client);
        // The kernel has given MPTCP up for everybody in this namespace, though nothing is in its way any more.
        let mib = |name| scene.world.client().mptcp_mib(name).unwrap();
        assert_eq!(mib("Blackhole"), 1);
        for link in &links {
            link.heal();
        }
        let began = std::time::Instant::now();
        let mut next = connect(scene).await;
        assert!(began.elapsed() < ms(600), "{:?}", began.elapsed());
        is_plain(&next);
        next.chat("as plain as the one before").await;
        assert!(mib("MPCapableSYNTXDisabled") >= 1);
    });
}
