//! The kernel's endpoint for the backup: added for a connection where it is missing, and gone after it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath::mptcp::{Endpoint, EndpointFlags, What, changes, undo};
use twinpath::{Mode, ModeReason, Peer, Protection, Unprotected};
use twinpath_socket::mptcp::PathManager;
use twinpath_tests::{CELLULAR, Client, Scene, Service, Twinpath, ms, soon};

fn scene() -> twinpath_tests::SceneBuilder {
    Scene::before(Service::Echo)
}

fn endpoints() -> Vec<Endpoint> {
    PathManager::open().unwrap().endpoints().unwrap()
}

/// Whether the kernel has exactly what stands by for all of cellular's addresses.
fn stand_by(scene: &Scene) -> bool {
    let cellular = scene.cellular();
    let mut there = endpoints();
    there.retain(|it| it.flags == EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP));
    let mut there: Vec<_> = there.iter().map(|it| (it.interface, it.address)).collect();
    let addresses = cellular.addresses().into_iter();
    let mut all: Vec<_> = addresses.map(|it| (cellular.index(), it)).collect();
    there.sort();
    all.sort();
    there == all && there.len() == endpoints().len()
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(ms(10)).await;
        }
    };
    soon(what, waiting).await;
}

/// Talks until the connection claims that.
async fn claims(client: &mut Client, expected: Protection) {
    let claiming = async {
        while client.connection.protection() != expected {
            client.chat("well?").await;
            tokio::time::sleep(ms(50)).await;
        }
    };
    soon(&expected.to_string(), claiming).await;
}

/// The command, connected to any server at that address.
fn connect<'a>(target: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["connect", target, "--events", "-"];
    arguments.extend(more);
    arguments
}

#[test]
fn a_missing_endpoint_is_added_and_lives_as_long_as_connector_or_connection() {
    scene().play(async |scene| {
        assert_eq!(endpoints(), []);
        let connector = scene.connector().peer(Peer::Any).build().unwrap();
        let target = scene.address().to_string();
        let connecting = connector.connect(&target);
        let mut client = Client::new(soon("the connect", connecting).await.unwrap());
        assert_eq!(client.connection.mode(), Mode::KernelMptcp);
        assert!(stand_by(scene), "{:?}", endpoints());
        claims(&mut client, Protection::Protected).await;
        drop(connector);
        assert!(stand_by(scene), "the connection lives");
        client.chat("still here").await;
        client.close().await;
        assert_eq!(endpoints(), []);
        assert_eq!(changes().unwrap(), []);

        let connector = scene.connector().peer(Peer::Any).build().unwrap();
        for _ in 0..2 {
            let connecting = connector.connect(&target);
            let client = Client::new(soon("the connect", connecting).await.unwrap());
            assert_eq!(changes().unwrap().len(), scene.cellular().addresses().len());
            client.close().await;
            assert!(stand_by(scene), "the connector lives");
        }
        drop(connector);
        assert_eq!(endpoints(), []);
    });
}

#[test]
fn without_the_privilege_the_reason_is_told_and_what_is_there_is_used() {
    scene().play(async |scene| {
        let target = scene.address().to_string();
        for prepared in [false, true] {
            if prepared {
                scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
            }
            let host = scene.world.client();
            let mut command = Twinpath::start_unprivileged(host, &connect(&target, &[]));
            assert_eq!(command.ends().await, 0, "{:#?}", command.said());
            let events = command.events();
            let summary = events.iter().find(|it| it["event"] == "summary").unwrap();
            if prepared {
                assert_eq!(summary["mode"], "kernel-mptcp");
                assert!(stand_by(scene));
            } else {
                assert_eq!(summary["mode"], "plain-pair");
                let reason = summary["mode_reason"].as_str().unwrap();
                for word in [
                    CELLULAR,
                    "no MPTCP endpoint",
                    "CAP_NET_ADMIN",
                    "mptcp setup",
                ] {
                    assert!(reason.contains(word), "{reason}");
                }
                assert_eq!(endpoints(), []);
            }
            assert_eq!(changes().unwrap(), []);
        }
    });
}

#[test]
fn processes_share_an_endpoint_and_the_last_one_takes_it_away() {
    scene().play(async |scene| {
        let target = scene.address().to_string();
        let host = scene.world.client();
        let mut first = Twinpath::start(host, &connect(&target, &[]));
        until("the first has an endpoint", || stand_by(scene)).await;
        let mut second = Twinpath::start(host, &connect(&target, &[]));
        let of_second = || {
            changes()
                .unwrap()
                .iter()
                .any(|it| it.process == second.id())
        };
        until("the second has it, too", of_second).await;
        let before = endpoints();
        assert_eq!(first.ends().await, 0, "{:#?}", first.said());
        assert_eq!(endpoints(), before);
        second.terminate().await;
        assert_eq!(second.ends().await, 143, "{:#?}", second.said());
        assert_eq!(endpoints(), []);
        assert_eq!(changes().unwrap(), []);
    });
}

#[test]
fn after_a_crash_the_next_process_or_undo_takes_the_endpoint_away() {
    scene().play(async |scene| {
        let target = scene.address().to_string();
        let host = scene.world.client();
        for by_undo in [true, false] {
            let mut command = Twinpath::start(host, &connect(&target, &[]));
            until("there is an endpoint", || stand_by(scene)).await;
            let id = command.id();
            command.kill().await;
            assert!(stand_by(scene), "nobody has put it right yet");
            let left = changes().unwrap();
            assert_eq!(left.len(), scene.cellular().addresses().len());
            assert!(
                left.iter().all(|it| !it.alive && it.process == id),
                "{left:?}"
            );
            if by_undo {
                assert_eq!(undo().unwrap(), left);
            } else {
                let mut next = Twinpath::start(host, &connect(&target, &[]));
                let is_next = |it: &twinpath::mptcp::Change| it.alive && it.process == next.id();
                // It has the endpoints one by one.
                let has_all = || stand_by(scene) && changes().unwrap().iter().all(is_next);
                until("the next one has it", has_all).await;
                assert_eq!(changes().unwrap().len(), left.len());
                assert_eq!(next.ends().await, 0, "{:#?}", next.said());
            }
            assert_eq!(endpoints(), []);
            assert_eq!(changes().unwrap(), []);
        }
    });
}

#[test]
fn a_command_that_is_ended_with_open_connections_leaves_nothing_behind() {
    scene().play(async |scene| {
        let target = scene.address().to_string();
        let listening = ["connect", &target, "--listen", "127.0.0.1:0"];
        let mut command = Twinpath::start(scene.world.client(), &listening);
        let line = command.says("listening on ").await;
        let address = line.split_whitespace().last().unwrap();
        let mut local = Vec::new();
        for _ in 0..5 {
            let connecting = TcpStream::connect(address);
            let mut stream = soon("a local connection", connecting).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            let mut back = [0; 5];
            soon("the echo", stream.read_exact(&mut back))
                .await
                .unwrap();
            local.push(stream);
        }
        assert!(stand_by(scene), "{:?}", endpoints());
        command.terminate().await;
        assert_eq!(command.ends().await, 0, "{:#?}", command.said());
        assert_eq!(endpoints(), []);
        assert_eq!(changes().unwrap(), []);
    });
}

#[test]
fn an_endpoint_of_the_administrator_is_never_touched() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let before = endpoints();
        let target = scene.address().to_string();
        let mut killed = Twinpath::start(scene.world.client(), &connect(&target, &[]));
        soon("it is connected", async { killed.says("leg_up").await }).await;
        let mut client = scene.connect_with(scene.connector().peer(Peer::Any)).await;
        assert_eq!(client.connection.mode_reason(), ModeReason::Mptcp);
        claims(&mut client, Protection::Protected).await;
        assert_eq!(changes().unwrap(), []);
        client.close().await;
        killed.kill().await;
        assert_eq!(undo().unwrap(), []);
        assert_eq!(endpoints(), before);
    });
}

#[test]
fn pinned_a_backup_that_comes_later_gets_its_endpoint() {
    scene().play(async |scene| {
        let cellular = scene.cellular();
        cellular.down().unwrap();
        let pinned = scene.connector().peer(Peer::Any).mode(Mode::KernelMptcp);
        let mut client = scene.connect_with(pinned).await;
        client.chat("hello").await;
        assert_eq!(endpoints(), []);
        cellular.up().unwrap();
        claims(&mut client, Protection::Protected).await;
        assert!(stand_by(scene), "{:?}", endpoints());
    });
}

#[test]
fn a_backup_that_changes_its_address_or_comes_back_protects_again() {
    scene().play(async |scene| {
        let cellular = scene.cellular();
        let mut client = scene.connect_with(scene.connector().peer(Peer::Any)).await;
        claims(&mut client, Protection::Protected).await;
        let old = cellular.addresses();
        let new = cellular.change_address().unwrap();
        assert_ne!(old, new);
        until("the new address stands by", || stand_by(scene)).await;
        claims(&mut client, Protection::Protected).await;
        assert!(changes().unwrap().iter().all(|it| match &it.what {
            What::Added(endpoint) => new.contains(&endpoint.address),
            _ => false,
        }));

        cellular.down().unwrap();
        until("the endpoint goes with the link", || endpoints().is_empty()).await;
        let lost = Unprotected::BackupSubflowLost;
        claims(&mut client, Protection::Unprotected { reason: lost }).await;
        cellular.up().unwrap();
        claims(&mut client, Protection::Protected).await;
    });
}

#[test]
fn the_endpoint_goes_when_the_budget_is_spent_and_comes_back_with_it() {
    scene().play(async |scene| {
        let connector = scene.connector().peer(Peer::Any).build().unwrap();
        let target = scene.address().to_string();
        let connecting = connector.connect(&target);
        let mut client = Client::new(soon("the connect", connecting).await.unwrap());
        claims(&mut client, Protection::Protected).await;
        connector.set_budget(Some(0));
        assert_eq!(endpoints(), []);
        let lost = Unprotected::BackupSubflowLost;
        claims(&mut client, Protection::Unprotected { reason: lost }).await;
        connector.set_budget(None);
        assert!(stand_by(scene));
        claims(&mut client, Protection::Protected).await;
    });
}

#[test]
fn with_nothing_left_to_spend_no_endpoint_is_added() {
    scene().play(async |scene| {
        let spent = scene.connector().peer(Peer::Any).budget(Some(0));
        let mut client = scene.connect_with(spent).await;
        client.chat("hello").await;
        assert_eq!(client.connection.mode(), Mode::PlainPair);
        assert_eq!(endpoints(), []);
    });
}
