//! What is changed in the kernel's path manager for a while, and how it comes back.

use std::fs;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath::mptcp::{Endpoint, EndpointFlags, Lease, What, changes, undo};
use twinpath_lab::LinkHandle;
use twinpath_socket::mptcp::{PathManager, mptcp_info};
use twinpath_socket::{Binding, ConnectOptions, connect, runtime};
use twinpath_tests::{CELLULAR, Scene, Service, WIFI, soon};

const BACKUP: EndpointFlags = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);

fn scene() -> twinpath_tests::SceneBuilder {
    Scene::before(Service::Echo)
}

fn v4(link: &LinkHandle) -> IpAddr {
    let addresses = link.addresses();
    *addresses.iter().find(|it| it.is_ipv4()).unwrap()
}

fn backup(link: &LinkHandle) -> Endpoint {
    Endpoint::new(v4(link), link.index(), BACKUP)
}

/// What the kernel has.
fn endpoints() -> Vec<Endpoint> {
    PathManager::open().unwrap().endpoints().unwrap()
}

fn the_endpoint(address: IpAddr) -> Option<Endpoint> {
    let mut all = endpoints();
    all.retain(|it| it.address == address);
    assert!(all.len() < 2, "{all:?}");
    all.pop()
}

/// A bare MPTCP connection over Wi-Fi.
struct Bare(TcpStream);

impl Bare {
    async fn over_wifi(scene: &Scene) -> Self {
        let binding = Binding::Interface {
            name: WIFI.into(),
            index: scene.wifi().index(),
        };
        let mut options = ConnectOptions::bound_to(binding);
        options.mptcp = true;
        let mut bare = Self(connect(scene.address(), &options).await.unwrap());
        bare.chat().await;
        bare
    }

    async fn chat(&mut self) {
        self.0.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        soon("the echo", self.0.read_exact(&mut back))
            .await
            .unwrap();
        assert_eq!(&back, b"hello");
    }

    /// The addresses at this end of the subflows that live.
    fn ends(&self) -> Vec<IpAddr> {
        let info = mptcp_info(&self.0).unwrap().expect("it is MPTCP");
        let living = info.subflows.iter().filter(|it| it.established);
        let mut ends: Vec<_> = living.map(|it| it.local.ip()).collect();
        ends.sort();
        ends
    }

    /// Talks until it has subflows from these.
    async fn has(&mut self, mut expected: Vec<IpAddr>) {
        expected.sort();
        let has = async {
            while self.ends() != expected {
                self.chat().await;
                tokio::time::sleep(twinpath_tests::ms(20)).await;
            }
        };
        soon("the subflows are as expected", has).await;
        self.chat().await;
    }
}

#[test]
fn a_held_endpoint_is_there_until_its_last_lease_ends() {
    scene().play(async |scene| {
        let wanted = backup(&scene.cellular());
        let (wifi, cellular) = (v4(&scene.wifi()), wanted.address);
        let mut bare = Bare::over_wifi(scene).await;
        let first = Lease::hold(&wanted).unwrap();
        let second = Lease::hold(&wanted).unwrap();
        let there = the_endpoint(cellular).unwrap();
        assert_eq!((there.flags, there.interface), (BACKUP, wanted.interface));
        assert_ne!(there.id, 0);
        bare.has(vec![wifi, cellular]).await;
        let [change] = &changes().unwrap()[..] else {
            panic!("{:?}", changes())
        };
        assert!(change.alive && change.process == std::process::id());
        assert!(matches!(&change.what, What::Added(it) if it.address == cellular));
        assert_eq!(undo().unwrap(), [], "nothing is left behind");
        drop(first);
        assert_eq!(the_endpoint(cellular), Some(there));
        drop(second);
        assert_eq!(the_endpoint(cellular), None);
        assert_eq!(changes().unwrap(), []);
        bare.has(vec![wifi]).await;
    });
}

#[test]
fn an_endpoint_of_somebody_else_is_used_as_it_is() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint(CELLULAR, false).unwrap();
        let wanted = backup(&scene.cellular());
        let before = endpoints();
        let lease = Lease::hold(&wanted).unwrap();
        assert_eq!(changes().unwrap(), []);
        assert_eq!(endpoints(), before);
        drop(lease);
        assert_eq!(endpoints(), before);
        // Nor is one that somebody has put into the place of ours.
        scene.world.mptcp_flush_endpoints().unwrap();
        let lease = Lease::hold(&wanted).unwrap();
        scene.world.mptcp_flush_endpoints().unwrap();
        scene.world.mptcp_endpoint(CELLULAR, false).unwrap();
        let before = endpoints();
        drop(lease);
        assert_eq!(endpoints(), before);
    });
}

/// The subflow over Wi-Fi is the first, and goes whether or not an endpoint was there before the connection.
#[test]
fn an_address_is_taken_out_of_connections_and_comes_back() {
    for wifi_endpoint in [None, Some(false), Some(true)] {
        scene().play(async |scene| {
            let (wifi, cellular) = (v4(&scene.wifi()), v4(&scene.cellular()));
            let _backup = Lease::hold(&backup(&scene.cellular())).unwrap();
            let endpoint = Endpoint::new(wifi, scene.wifi().index(), EndpointFlags::SUBFLOW);
            let mut manager = PathManager::open().unwrap();
            if wifi_endpoint == Some(true) {
                manager.add(&endpoint).unwrap();
            }
            let mut bare = Bare::over_wifi(scene).await;
            bare.has(vec![wifi, cellular]).await;
            if wifi_endpoint == Some(false) {
                manager.add(&endpoint).unwrap();
                bare.chat().await;
            }
            let before = the_endpoint(wifi);
            assert_eq!(before.is_some(), wifi_endpoint.is_some());
            let first = Lease::take_out(wifi).unwrap();
            let second = Lease::take_out(wifi).unwrap();
            assert_eq!(the_endpoint(wifi), None);
            bare.has(vec![cellular]).await;
            let out = changes().unwrap().into_iter().find_map(|it| match it.what {
                What::TakenOut { endpoint, .. } => Some(endpoint),
                _ => None,
            });
            assert_eq!(out, Some(before.clone()));
            drop(first);
            assert_eq!(the_endpoint(wifi), None);
            drop(second);
            assert_eq!(the_endpoint(wifi), before);
            if before.is_some() {
                bare.has(vec![wifi, cellular]).await;
            } else {
                bare.has(vec![cellular]).await;
            }
        });
    }
}

#[test]
fn what_is_held_comes_back_after_it_was_taken_out() {
    scene().play(async |scene| {
        let (wifi, cellular) = (v4(&scene.wifi()), v4(&scene.cellular()));
        let _backup = Lease::hold(&backup(&scene.cellular())).unwrap();
        let mut bare = Bare::over_wifi(scene).await;
        bare.has(vec![wifi, cellular]).await;
        let endpoint = Endpoint::new(wifi, scene.wifi().index(), EndpointFlags::SUBFLOW);
        let held = Lease::hold(&endpoint).unwrap();
        for _ in 0..3 {
            let out = Lease::take_out(wifi).unwrap();
            bare.has(vec![cellular]).await;
            drop(out);
            assert!(the_endpoint(wifi).is_some());
            bare.has(vec![wifi, cellular]).await;
        }
        // Held only while it is out, it comes as well; and what is over by then does not.
        let out = Lease::take_out(wifi).unwrap();
        drop(held);
        let held = Lease::hold(&endpoint).unwrap();
        assert_eq!(the_endpoint(wifi), None);
        drop(out);
        assert!(the_endpoint(wifi).is_some());
        let out = Lease::take_out(wifi).unwrap();
        drop(held);
        drop(out);
        assert_eq!(the_endpoint(wifi), None);
        assert_eq!(changes().unwrap().len(), 1, "the backup is left");
    });
}

#[test]
fn a_lease_ends_in_its_own_namespace_wherever_it_is_dropped() {
    scene().play(async |scene| {
        let wanted = backup(&scene.cellular());
        let lease = Lease::hold(&wanted).unwrap();
        // This thread was not started on the client.
        let server = scene.world.server();
        server.run(move || async move { drop(lease) }).unwrap();
        assert_eq!(the_endpoint(wanted.address), None);
        assert_eq!(changes().unwrap(), []);
    });
}

/// The record of a process that is not there any more.
fn dead(lines: &str) -> std::path::PathBuf {
    let namespace = PathManager::open().unwrap().namespace().unwrap();
    let name = format!("mptcp-{namespace:x}-0-0");
    let path = runtime::directory(true).unwrap().join(name);
    let boot = runtime::boot().unwrap();
    let head = format!("twinpath-mptcp 1\nboot {boot}\nnamespace {namespace}\nprocess 0\n");
    fs::write(&path, format!("{head}{lines}end\n")).unwrap();
    path
}

#[test]
fn what_a_dead_process_left_is_put_right_by_the_next_lease_and_by_undo() {
    scene().play(async |scene| {
        let (wifi, cellular) = (scene.wifi(), scene.cellular());
        let mut manager = PathManager::open().unwrap();
        let left = |id: u8| {
            let (cellular, v4s) = (cellular.index(), [v4(&cellular), v4(&wifi)]);
            let wifi = wifi.index();
            format!(
                "held {} id 0 dev {cellular} flags 6\nout {} id {id} dev {wifi} flags 2\n",
                v4s[0], v4s[1]
            )
        };
        for (id, by_undo) in [(9, true), (19, false)] {
            manager.add(&backup(&cellular)).unwrap();
            let path = dead(&left(id));
            let all = changes().unwrap();
            assert!(all.len() == 2 && all.iter().all(|it| !it.alive), "{all:?}");
            if by_undo {
                assert_eq!(undo().unwrap(), all);
            } else {
                drop(Lease::take_out([192, 0, 2, 1].into()).unwrap());
            }
            assert!(!path.exists());
            let [there] = &endpoints()[..] else {
                panic!("{:?}", endpoints())
            };
            assert_eq!((there.address, there.id), (v4(&wifi), id));
            manager.remove(there).unwrap();
        }
        // One that a living process holds as well stays.
        let there = manager.add(&backup(&cellular)).unwrap();
        let path = dead(&left(29));
        let lease = Lease::hold(&backup(&cellular)).unwrap();
        assert!(!path.exists());
        assert_eq!(the_endpoint(v4(&cellular)), Some(there));
        drop(lease);
        assert_eq!(the_endpoint(v4(&cellular)), None);
    });
}

#[test]
fn an_endpoint_that_is_not_as_the_dead_process_made_it_stays() {
    scene().play(async |scene| {
        let cellular = scene.cellular();
        scene.world.mptcp_endpoint(CELLULAR, false).unwrap();
        let before = endpoints();
        dead(&format!(
            "held {} id 0 dev {} flags 6\n",
            v4(&cellular),
            cellular.index()
        ));
        assert_eq!(undo().unwrap().len(), 1);
        assert_eq!(endpoints(), before);
    });
}

#[test]
fn what_is_taken_out_can_be_put_back_by_hand_once_and_for_all() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let address = v4(&scene.cellular());
        let before = the_endpoint(address);
        let out = Lease::take_out(address).unwrap();
        assert_eq!(the_endpoint(address), None);
        let undone = undo().unwrap();
        assert!(undone.len() == 1 && undone[0].alive, "{undone:?}");
        assert_eq!(the_endpoint(address), before);
        assert_eq!(changes().unwrap(), []);
        scene.world.mptcp_flush_endpoints().unwrap();
        drop(out);
        assert_eq!(endpoints(), [], "the end of the lease means nothing then");
    });
}
