//! Interfaces that come, go and change, in a network namespace of each test's own (Linux, as root).
//! The host's interfaces are never touched.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(target_os = "linux")]

mod ending;
mod names;
mod room;
mod world;

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use tokio::time::timeout;
use twinpath_socket::{
    Binding, ConnectOptions, Cost, DefaultRoute, Interface, InterfaceError, InterfaceKind,
    InterfaceWatcher, ListenOptions, connect, find, interfaces, listen, system_mandate,
};

use self::world::{Tun, ip};

/// Far above what is promised (5 ms), far below what would be a poll: the machine may be busy.
const AT_ONCE: Duration = Duration::from_millis(60);
const SOON: Duration = Duration::from_secs(5);

fn named<'a>(list: &'a [Interface], name: &str) -> &'a Interface {
    list.iter()
        .find(|interface| interface.name == name)
        .unwrap_or_else(|| panic!("no {name} in {list:?}"))
}

/// Awaits changes until one is as wanted, and returns how long that took.
async fn told(watcher: &mut InterfaceWatcher, wanted: impl Fn(&[Interface]) -> bool) -> Duration {
    let start = Instant::now();
    let search = async { while !wanted(&watcher.changed().await) {} };
    timeout(SOON, search).await.expect("the change is told");
    start.elapsed()
}

/// Takes what is on its way, so that the next change is the one a test makes.
async fn settle(watcher: &mut InterfaceWatcher) {
    while timeout(Duration::from_millis(200), watcher.changed())
        .await
        .is_ok()
    {}
}

#[test]
fn interfaces_are_listed_with_kind_addresses_and_routes() {
    world::run(|| async {
        let _wifi = Tun::with("wlan0", "10.1.0.2/24");
        let _cellular = Tun::with("wwan0", "10.2.0.2/24");
        let _vpn = Tun::new("tun0").unwrap();
        ip("route add default dev wlan0");
        ip("route add default dev wwan0 table 77");
        ip("-6 addr add 2001:db8::2/64 dev wwan0 nodad");
        ip("-6 route add default dev wwan0");

        let list = interfaces().unwrap();
        let wlan0 = named(&list, "wlan0");
        assert_eq!(
            (wlan0.kind, wlan0.up, wlan0.cost),
            (InterfaceKind::Wifi, true, Cost::Unknown)
        );
        assert!(
            wlan0
                .addresses
                .contains(&IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2)))
        );
        assert_eq!(
            wlan0.has_default_route,
            Some(DefaultRoute {
                v4: true,
                v6: false
            })
        );
        assert!(wlan0.is_usable());
        let wwan0 = named(&list, "wwan0");
        assert_eq!(
            (wwan0.kind, wwan0.up, wwan0.cost),
            (InterfaceKind::Cellular, true, Cost::Metered)
        );
        assert!(wwan0.addresses.contains(&"2001:db8::2".parse().unwrap()));
        assert_eq!(
            wwan0.has_default_route,
            Some(DefaultRoute { v4: true, v6: true }),
            "of any table"
        );
        let tun0 = named(&list, "tun0");
        assert_eq!(
            (tun0.kind, tun0.up, tun0.is_usable()),
            (InterfaceKind::Vpn, false, false)
        );
        assert_eq!(named(&list, "lo").kind, InterfaceKind::Loopback);

        let error = find("wlan9").unwrap_err();
        assert!(matches!(error, InterfaceError::NotFound { .. }));
        let text = error.to_string();
        assert!(
            text.contains("wlan0 (Wi-Fi), wwan0 (cellular), tun0 (VPN, down)"),
            "{text}"
        );
    });
}

#[test]
fn a_link_switched_off_is_told_at_once() {
    world::run(|| async {
        let wifi = Tun::with("wlan0", "10.1.0.2/24");
        ip("route add default dev wlan0");
        let mut watcher = InterfaceWatcher::new().unwrap();
        settle(&mut watcher).await;
        for _ in 0..5 {
            wifi.set_up(false);
            let down = told(&mut watcher, |list| !named(list, "wlan0").up).await;
            eprintln!("link down told after {down:?}");
            assert!(down < AT_ONCE, "{down:?}");
            settle(&mut watcher).await;
            assert_eq!(
                named(watcher.interfaces(), "wlan0").has_default_route,
                Some(DefaultRoute::default())
            );
            wifi.set_up(true);
            let up = told(&mut watcher, |list| named(list, "wlan0").up).await;
            assert!(up < AT_ONCE, "{up:?}");
            ip("route replace default dev wlan0");
            settle(&mut watcher).await;
            assert_eq!(
                named(watcher.interfaces(), "wlan0").has_default_route,
                Some(DefaultRoute {
                    v4: true,
                    v6: false
                })
            );
        }
    });
}

#[test]
fn a_lost_carrier_is_told() {
    world::run(|| async {
        let wifi = Tun::with("wlan0", "10.1.0.2/24");
        let mut watcher = InterfaceWatcher::new().unwrap();
        settle(&mut watcher).await;
        wifi.set_carrier(false);
        // The kernel itself looks at carriers at most once a second.
        let down = told(&mut watcher, |list| !named(list, "wlan0").up).await;
        eprintln!("lost carrier told after {down:?}");
        wifi.set_carrier(true);
        told(&mut watcher, |list| named(list, "wlan0").up).await;
    });
}

#[test]
fn a_removed_address_and_a_removed_interface_are_told_at_once() {
    world::run(|| async {
        let wifi = Tun::with("wlan0", "10.1.0.2/24");
        let mut watcher = InterfaceWatcher::new().unwrap();
        settle(&mut watcher).await;
        ip("addr del 10.1.0.2/24 dev wlan0");
        let is_v4 = |address: &IpAddr| address.is_ipv4();
        let gone = told(&mut watcher, |list| {
            !named(list, "wlan0").addresses.iter().any(is_v4)
        })
        .await;
        assert!(gone < AT_ONCE, "{gone:?}");
        settle(&mut watcher).await;
        drop(wifi);
        let gone = told(&mut watcher, |list| {
            list.iter().all(|it| it.name != "wlan0")
        })
        .await;
        assert!(gone < AT_ONCE, "{gone:?}");
    });
}

#[test]
fn a_default_route_that_comes_and_goes_is_told() {
    world::run(|| async {
        let _wifi = Tun::with("wlan0", "10.1.0.2/24");
        let mut watcher = InterfaceWatcher::new().unwrap();
        settle(&mut watcher).await;
        let routed = |list: &[Interface]| named(list, "wlan0").has_default_route.unwrap().v4;
        ip("route add 192.0.2.0/24 dev wlan0");
        assert!(
            timeout(Duration::from_millis(200), watcher.changed())
                .await
                .is_err(),
            "not a default route"
        );
        ip("route add default dev wlan0");
        told(&mut watcher, routed).await;
        settle(&mut watcher).await;
        ip("route del default dev wlan0");
        let gone = told(&mut watcher, |list| !routed(list)).await;
        assert!(gone < AT_ONCE, "{gone:?}");
    });
}

#[test]
fn a_change_outlives_a_dropped_future() {
    world::run(|| async {
        let wifi = Tun::with("wlan0", "10.1.0.2/24");
        let mut watcher = InterfaceWatcher::new().unwrap();
        settle(&mut watcher).await;
        wifi.set_up(false);
        // Polled once and dropped, again and again, it loses nothing.
        let mut list = None;
        for _ in 0..1000 {
            tokio::select! {
                biased;
                changed = watcher.changed() => { list = Some(changed); break; }
                () = tokio::task::yield_now() => {}
            }
        }
        let list = match list {
            Some(list) => list,
            None => timeout(SOON, watcher.changed()).await.unwrap(),
        };
        assert!(!named(&list, "wlan0").up);
    });
}

#[test]
fn a_bound_socket_leaves_by_its_interface() {
    world::run(|| async {
        let _wifi = Tun::with("wlan0", "10.1.0.2/24");
        let cellular = Tun::with("wwan0", "10.2.0.2/24");
        ip("route add default dev wlan0 metric 10");
        ip("route add default dev wwan0 metric 20");
        for binding in [
            find("wwan0").unwrap().binding(),
            Binding::Interface {
                name: "wwan0".into(),
                index: 0,
            },
            // An interface that was made anew has another index.
            Binding::Interface {
                name: "wwan0".into(),
                index: 4000,
            },
        ] {
            let opts = ConnectOptions::bound_to(binding);
            let attempt =
                tokio::spawn(async move { connect("192.0.2.1:443".parse().unwrap(), &opts).await });
            let packet = cellular.sent().await.expect("a packet leaves by wwan0");
            attempt.abort();
            assert_eq!(packet[9], 6, "TCP");
            assert_eq!(
                packet[12..20],
                [10, 2, 0, 2, 192, 0, 2, 1],
                "source and destination"
            );
            assert_eq!(packet[20 + 13] & 0x12, 0x02, "SYN");
        }
    });
}

#[test]
fn without_a_route_or_an_interface_the_error_says_so() {
    world::run(|| async {
        let _wifi = Tun::with("wlan0", "10.1.0.2/24");
        let _cellular = Tun::with("wwan0", "10.2.0.2/24");
        ip("route add default dev wlan0");
        ip("-6 addr add 2001:db8:2::2/64 dev wwan0 nodad");
        // In IPv4 Linux takes the target for a neighbour when no route leaves by the interface.
        let opts = ConnectOptions::bound_to(find("wwan0").unwrap().binding());
        let error = connect("[2001:db8:1::1]:443".parse().unwrap(), &opts)
            .await
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH));

        for index in [0, 4000] {
            let opts = ConnectOptions::bound_to(Binding::Interface {
                name: "wlan9".into(),
                index,
            });
            let error = connect("192.0.2.1:443".parse().unwrap(), &opts)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(
                error.to_string().contains("there are: ")
                    && error.to_string().contains("wlan0 (Wi-Fi)"),
                "{error}"
            );
        }
    });
}

#[test]
fn a_listener_can_be_bound_to_an_interface() {
    world::run(|| async {
        let _wifi = Tun::with("wlan0", "10.1.0.2/24");
        ip("link set lo up");
        let mut opts = ListenOptions::default();
        opts.binding = find("lo").unwrap().binding();
        let bound = listen((Ipv4Addr::UNSPECIFIED, 0).into(), &opts).unwrap();
        let port = bound.local_addr().unwrap().port();
        connect(
            (Ipv4Addr::LOCALHOST, port).into(),
            &ConnectOptions::default(),
        )
        .await
        .unwrap();
        opts.binding = find("wlan0").unwrap().binding();
        let elsewhere = listen((Ipv4Addr::UNSPECIFIED, 0).into(), &opts).unwrap();
        let port = elsewhere.local_addr().unwrap().port();
        let refused = connect(
            (Ipv4Addr::LOCALHOST, port).into(),
            &ConnectOptions::default(),
        )
        .await
        .unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn only_a_vpn_that_takes_everything_is_a_mandate() {
    world::run(|| async {
        let _wifi = Tun::with("wlan0", "10.1.0.2/24");
        ip("route add default dev wlan0 metric 10");
        assert_eq!(system_mandate().vpn, None);
        let _vpn = Tun::with("tun0", "10.9.0.2/24");
        ip("route add 10.0.0.0/8 dev tun0");
        assert_eq!(
            system_mandate().vpn,
            None,
            "it carries its own networks only"
        );
        ip("route add default dev tun0 metric 20");
        assert_eq!(
            system_mandate().vpn,
            None,
            "its route is not the preferred one"
        );
        ip("route add 0.0.0.0/1 dev tun0");
        ip("route add 128.0.0.0/1 dev tun0");
        assert_eq!(system_mandate().vpn.as_deref(), Some("tun0"));
    });
}
