//! What the client's kernel says when its device or its address goes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod common;

use std::io::{ErrorKind, Read as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::sys::link_events;
use common::{PATIENCE, PORT, connect_over, echo, echo_server, echo_server_on, ms};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use twinpath_lab::world_or_skip;

#[test]
fn a_device_that_goes_down_is_announced_and_has_no_route() {
    let world = world_or_skip!();
    echo_server(&world);
    let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
    let mut events = {
        let _on_client = world.client().enter().unwrap();
        LinkEvents::listen()
    };
    world
        .client()
        .run(|| async move {
            let mut stream = connect_over("wlan0", server).await.unwrap();
            echo(&mut stream, b"before").await.unwrap();
            let before = Instant::now();
            wifi.down().unwrap();
            assert!(
                events.next_within(Duration::from_secs(2)),
                "nothing was announced"
            );
            eprintln!("announced after {:?}", before.elapsed());
            let error = connect_over("wlan0", server).await.unwrap_err();
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable
                ),
                "{error}"
            );
            stream.write_all(b"held").await.unwrap();
            let mut byte = [0; 1];
            assert!(timeout(ms(200), stream.read(&mut byte)).await.is_err());
            // The default route moves to the other link.
            let plain = timeout(PATIENCE, TcpStream::connect(server))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(plain.local_addr().unwrap().ip().to_string(), "192.168.11.2");
            wifi.up().unwrap();
            let mut back = [0; 4];
            timeout(PATIENCE, stream.read_exact(&mut back))
                .await
                .unwrap()
                .unwrap();
            let plain = timeout(PATIENCE, TcpStream::connect(server))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(plain.local_addr().unwrap().ip().to_string(), "192.168.10.2");
        })
        .unwrap();
}

#[test]
fn a_lost_carrier_leaves_the_device_up_and_silent() {
    let world = world_or_skip!();
    echo_server(&world);
    let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
    let mut events = {
        let _on_client = world.client().enter().unwrap();
        LinkEvents::listen()
    };
    world
        .client()
        .run(|| async move {
            let mut stream = connect_over("wlan0", server).await.unwrap();
            wifi.set_carrier(false).unwrap();
            assert!(
                events.next_within(Duration::from_secs(3)),
                "nothing was announced"
            );
            stream.write_all(b"x").await.unwrap();
            let mut byte = [0; 1];
            assert!(timeout(ms(200), stream.read(&mut byte)).await.is_err());
            wifi.set_carrier(true).unwrap();
            timeout(PATIENCE, stream.read_exact(&mut byte))
                .await
                .unwrap()
                .unwrap();
        })
        .unwrap();
}

#[test]
fn an_address_is_taken_and_changed() {
    let world = world_or_skip!();
    echo_server(&world);
    let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
    assert_eq!(wifi.addresses()[0].to_string(), "192.168.10.2");
    world
        .client()
        .run(|| async move {
            let mut old = connect_over("wlan0", server).await.unwrap();
            echo(&mut old, b"before").await.unwrap();
            wifi.remove_address().unwrap();
            assert!(wifi.addresses().is_empty());
            let at_old = std::net::TcpListener::bind("192.168.10.2:0").unwrap_err();
            assert_eq!(at_old.kind(), ErrorKind::AddrNotAvailable);
            assert!(timeout(ms(300), echo(&mut old, b"lost")).await.is_err());
            wifi.restore_address().unwrap();
            let changed = wifi.change_address().unwrap();
            assert_eq!(changed[0].to_string(), "192.168.10.3");
            let mut new = connect_over("wlan0", server).await.unwrap();
            assert_eq!(new.local_addr().unwrap().ip(), changed[0]);
            echo(&mut new, b"after").await.unwrap();
            let plain = TcpStream::connect(server).await.unwrap();
            assert_eq!(plain.local_addr().unwrap().ip(), changed[0]);
        })
        .unwrap();
}

#[test]
fn routes_follow_device_source_address_and_metric() {
    let world = world_or_skip!();
    echo_server(&world);
    let (server, wifi, cellular) = (
        world.server_socket(PORT),
        world.link("wlan0"),
        world.link("wwan0"),
    );
    world
        .client()
        .run(|| async move {
            // Bound to the cellular address, not to the device.
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket
                .bind(SocketAddr::new(cellular.addresses()[0], 0))
                .unwrap();
            let before = wifi.counters();
            let mut stream = socket.connect(server).await.unwrap();
            echo(&mut stream, b"by address").await.unwrap();
            assert!(cellular.counters().up.offered.tcp_payload >= 10);
            wifi.assert_payload_since(&before, 0);
            wifi.remove_default_route().unwrap();
            let plain = TcpStream::connect(server).await.unwrap();
            assert_eq!(plain.local_addr().unwrap().ip(), cellular.addresses()[0]);
            wifi.restore_default_route().unwrap();
            let plain = TcpStream::connect(server).await.unwrap();
            assert_eq!(plain.local_addr().unwrap().ip(), wifi.addresses()[0]);
        })
        .unwrap();
}

#[test]
fn ipv6_goes_over_both_links_and_comes_back_after_down() {
    let world = world_or_skip!();
    let Some(address) = world.server_addr_v6() else {
        twinpath_lab::skip("this kernel has no IPv6");
        return;
    };
    let server = SocketAddr::new(address, PORT);
    echo_server_on(&world, server);
    let wifi = world.link("wlan0");
    for link in world.links() {
        let rtt = link.measure_rtt_v6().unwrap();
        assert!(rtt >= link.spec().rtt, "{link:?}: {rtt:?}");
    }
    world
        .client()
        .run(|| async move {
            for link in ["wlan0", "wwan0"] {
                let mut stream = connect_over(link, server).await.unwrap();
                echo(&mut stream, b"v6").await.unwrap();
            }
            wifi.down().unwrap();
            wifi.up().unwrap();
            let mut stream = connect_over("wlan0", server).await.unwrap();
            echo(&mut stream, b"v6 again").await.unwrap();
            assert_eq!(stream.local_addr().unwrap().ip(), wifi.addresses()[1]);
            let mut changed = wifi.change_address().unwrap();
            let mut stream = connect_over("wlan0", server).await.unwrap();
            echo(&mut stream, b"v6 changed").await.unwrap();
            assert_eq!(stream.local_addr().unwrap().ip(), changed.pop().unwrap());
            wifi.inject_rst(twinpath_lab::End::Client);
            let mut byte = [0; 1];
            let error = timeout(PATIENCE, stream.read(&mut byte))
                .await
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        })
        .unwrap();
}

/// The kernel's announcements of device changes.
struct LinkEvents(Socket);

impl LinkEvents {
    fn listen() -> Self {
        let route = Some(Protocol::from(libc::NETLINK_ROUTE));
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, route).unwrap();
        socket.bind(&link_events()).unwrap();
        Self(socket)
    }

    fn next_within(&mut self, patience: Duration) -> bool {
        self.0.set_read_timeout(Some(patience)).unwrap();
        (&self.0)
            .read(&mut [0; 8192])
            .is_ok_and(|length| length > 0)
    }
}
