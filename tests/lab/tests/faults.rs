//! Each fault strikes as it is said to, and the books show it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod common;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Instant;

use common::{PATIENCE, PORT, connect_over, echo, echo_server, ms};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use twinpath_lab::{Direction, End, LinkSpec, PepSpec, Rate, Rebind, World, world_or_skip};

fn quick() -> LinkSpec {
    LinkSpec {
        rtt: ms(4),
        ..LinkSpec::default()
    }
}

#[test]
fn a_blackhole_is_silent_and_heals() {
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
            let mut over_wifi = connect_over("wlan0", server).await.unwrap();
            let mut over_cellular = connect_over("wwan0", server).await.unwrap();
            echo(&mut over_wifi, b"before").await.unwrap();
            wifi.blackhole(Direction::Both);
            let before = wifi.counters();
            over_wifi.write_all(b"into the void").await.unwrap();
            let mut byte = [0; 1];
            assert!(
                timeout(ms(700), over_wifi.read(&mut byte)).await.is_err(),
                "not silent"
            );
            wifi.assert_dropped_since(&before);
            assert_eq!((wifi.counters() - before).up.delivered.packets, 0);
            assert!(
                (wifi.counters() - before).up.dropped.blackhole >= 2,
                "no repetition was caught"
            );
            echo(&mut over_cellular, b"the other link works")
                .await
                .unwrap();
            assert_eq!(cellular.counters().dropped(), 0);
            wifi.heal();
            let mut back = [0; 13];
            timeout(PATIENCE, over_wifi.read_exact(&mut back))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(&back, b"into the void");
        })
        .unwrap();
}

#[test]
fn a_one_way_blackhole_lets_the_other_way_through() {
    for direction in [Direction::Up, Direction::Down] {
        let world = world_or_skip!();
        echo_server(&world);
        let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
        world
            .client()
            .run(|| async move {
                let mut stream = connect_over("wlan0", server).await.unwrap();
                echo(&mut stream, b"before").await.unwrap();
                wifi.blackhole(direction);
                let before = wifi.counters();
                stream.write_all(b"hello").await.unwrap();
                let mut byte = [0; 1];
                assert!(timeout(ms(400), stream.read(&mut byte)).await.is_err());
                let since = wifi.counters() - before;
                if direction == Direction::Up {
                    assert!(since.up.dropped.blackhole > 0);
                    assert_eq!(since.down.dropped.total(), 0);
                } else {
                    assert!(
                        since.up.delivered.tcp_payload >= 5,
                        "the request did not arrive"
                    );
                    assert!(since.down.dropped.blackhole > 0);
                    assert_eq!(since.up.dropped.total(), 0);
                }
            })
            .unwrap();
    }
}

#[test]
fn dropped_syns_keep_connections_from_being_made_and_alive_ones_alive() {
    let world = world_or_skip!();
    echo_server(&world);
    let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
    world
        .client()
        .run(|| async move {
            let mut stream = connect_over("wlan0", server).await.unwrap();
            wifi.drop_syns(true);
            assert!(
                timeout(ms(300), connect_over("wlan0", server))
                    .await
                    .is_err()
            );
            assert!(wifi.counters().up.dropped.syn >= 1);
            echo(&mut stream, b"still there").await.unwrap();
            wifi.drop_syns(false);
            timeout(PATIENCE, connect_over("wlan0", server))
                .await
                .unwrap()
                .unwrap();
        })
        .unwrap();
}

#[test]
fn a_forged_reset_ends_a_connection_at_once_at_either_end() {
    let world = world_or_skip!();
    let server = world.server_socket(PORT);
    let wifi = world.link("wlan0");
    let (told, outcome) = std::sync::mpsc::channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    world
        .server()
        .spawn(move || async move {
            let listener = tokio::net::TcpListener::bind(server).await.unwrap();
            ready.send(()).unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let told = told.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 100];
                    let result = loop {
                        match stream.read(&mut buffer).await {
                            Ok(0) => break Ok(()),
                            Ok(n) => stream.write_all(&buffer[..n]).await.unwrap(),
                            Err(error) => break Err(error.kind()),
                        }
                    };
                    let _ = told.send(result);
                });
            }
        })
        .unwrap()
        .detach();
    is_ready.recv().unwrap();
    world
        .client()
        .run(|| async move {
            // A connection that was closed is none any more.
            let mut closed = connect_over("wlan0", server).await.unwrap();
            closed.shutdown().await.unwrap();
            assert_eq!(closed.read(&mut [0; 1]).await.unwrap(), 0);
            // Towards the client.
            let mut stream = connect_over("wlan0", server).await.unwrap();
            echo(&mut stream, b"before").await.unwrap();
            assert_eq!(wifi.inject_rst_port(End::Client, PORT + 1), 0);
            assert_eq!(wifi.inject_rst_port(End::Client, PORT), 1);
            let start = Instant::now();
            let mut byte = [0; 1];
            let error = timeout(PATIENCE, stream.read(&mut byte))
                .await
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert!(start.elapsed() < ms(1000));
            assert!(wifi.counters().down.resets >= 1);
            // Towards both, in the middle of a transfer.
            let mut stream = connect_over("wlan0", server).await.unwrap();
            echo(&mut stream, b"before").await.unwrap();
            assert!(wifi.inject_rst(End::Both) >= 1);
            let error = timeout(PATIENCE, stream.read(&mut byte))
                .await
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        })
        .unwrap();
    // The second connection's server end was reset as well.
    let reset = |result: Result<(), ErrorKind>| result == Err(ErrorKind::ConnectionReset);
    let outcomes: Vec<_> = std::iter::from_fn(|| outcome.recv_timeout(ms(500)).ok()).collect();
    assert!(outcomes.into_iter().any(reset));
}

#[test]
fn a_reset_forged_amid_a_transfer_is_believed() {
    let world = world_or_skip!();
    echo_server(&world);
    let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
    world
        .client()
        .run(|| async move {
            let stream = connect_over("wlan0", server).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            let writer =
                tokio::spawn(async move { while write.write_all(&[7; 4096]).await.is_ok() {} });
            let mut buffer = vec![0; 65536];
            let mut received = 0;
            while received < 1_000_000 {
                received += read.read(&mut buffer).await.unwrap();
            }
            wifi.inject_rst(End::Client);
            let ended = async { while read.read(&mut buffer).await.is_ok_and(|n| n > 0) {} };
            timeout(PATIENCE, ended)
                .await
                .expect("the reset was not believed");
            timeout(PATIENCE, writer).await.unwrap().unwrap();
        })
        .unwrap();
}

#[test]
fn loss_is_counted_and_repeats_with_the_seed() {
    let lost = |seed| {
        let lossy = LinkSpec {
            loss: 0.1,
            ..quick()
        };
        let world = World::builder().link("wlan0", lossy).seed(seed).build();
        let world = twinpath_lab::or_skip(world)?;
        let to = world.server_socket(PORT);
        let sent = world
            .client()
            .run(|| async move {
                let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await.unwrap();
                for _ in 0..2000 {
                    socket.send_to(b"datagram", to).await.unwrap();
                }
                2000
            })
            .unwrap();
        std::thread::sleep(ms(200));
        let up = world.link("wlan0").counters().up;
        assert_eq!(up.offered.packets, sent);
        assert_eq!(up.delivered.packets + up.dropped.loss, sent);
        Some(up.dropped.loss)
    };
    let Some(first) = lost(7) else { return };
    // Ten standard deviations around 200.
    assert!((70..330).contains(&first), "{first}");
    assert_eq!(lost(7), Some(first));
    assert_ne!(lost(8), Some(first));
}

#[test]
fn a_nat_that_forgets_kills_old_flows_silently_and_takes_new_ones() {
    let spec = LinkSpec {
        nat: true,
        ..quick()
    };
    let world = world_or_skip!(World::builder().link("wlan0", spec).build());
    let server = world.server_socket(PORT);
    let wifi = world.link("wlan0");
    let (peers, seen) = std::sync::mpsc::channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    world
        .server()
        .spawn(move || async move {
            let listener = tokio::net::TcpListener::bind(server).await.unwrap();
            ready.send(()).unwrap();
            loop {
                let (mut stream, peer) = listener.accept().await.unwrap();
                peers.send(peer).unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        })
        .unwrap()
        .detach();
    is_ready.recv().unwrap();
    world
        .client()
        .run(|| async move {
            let mut old = connect_over("wlan0", server).await.unwrap();
            echo(&mut old, b"translated").await.unwrap();
            let peer = seen.recv().unwrap();
            assert_eq!(peer.ip().to_string(), "198.51.100.10", "not translated");
            wifi.rebind_nat(Rebind::Forget);
            old.write_all(b"gone").await.unwrap();
            let mut byte = [0; 1];
            assert!(
                timeout(ms(500), old.read(&mut byte)).await.is_err(),
                "not silent"
            );
            assert!(wifi.counters().up.dropped.nat >= 1);
            let mut new = timeout(PATIENCE, connect_over("wlan0", server))
                .await
                .unwrap()
                .unwrap();
            echo(&mut new, b"new flows work").await.unwrap();
            // From a new port the server does not know the connection and resets it.
            wifi.rebind_nat(Rebind::NewPorts);
            new.write_all(b"moved").await.unwrap();
            let error = timeout(PATIENCE, new.read(&mut byte))
                .await
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            let mut third = timeout(PATIENCE, connect_over("wlan0", server))
                .await
                .unwrap()
                .unwrap();
            echo(&mut third, b"works").await.unwrap();
            let ports: Vec<_> = std::iter::from_fn(|| seen.try_recv().ok())
                .map(|p| p.port())
                .collect();
            assert!(ports.last().is_some_and(|port| *port >= 61_000));
        })
        .unwrap();
}

#[test]
fn a_proxy_acknowledges_in_the_stead_of_a_server_out_of_reach() {
    let spec = LinkSpec {
        rtt: ms(100),
        pep: Some(PepSpec { near_rtt: ms(10) }),
        ..LinkSpec::default()
    };
    let world = world_or_skip!(World::builder().link("wlan0", spec).build());
    echo_server(&world);
    let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
    world
        .client()
        .run(|| async move {
            let start = Instant::now();
            let mut stream = connect_over("wlan0", server).await.unwrap();
            let connected = start.elapsed();
            assert!(connected >= ms(10) && connected < ms(95), "{connected:?}");
            // The first echo waits for the proxy's own connection as well; the second does not.
            echo(&mut stream, b"hello").await.unwrap();
            let whole = echo(&mut stream, b"hello").await.unwrap();
            assert!(whole >= ms(100) && whole < ms(400), "{whole:?}");
            wifi.blackhole_behind_pep(Direction::Both);
            let before = wifi.counters();
            stream.write_all(&[1; 5000]).await.unwrap();
            tokio::time::sleep(ms(300)).await;
            assert_eq!(unacknowledged(&stream), 0, "the proxy does not acknowledge");
            assert_eq!((wifi.counters() - before).up.delivered.tcp_payload, 0);
            wifi.assert_dropped_since(&before);
            wifi.heal();
            let mut back = vec![0; 5000];
            timeout(PATIENCE, stream.read_exact(&mut back))
                .await
                .unwrap()
                .unwrap();
        })
        .unwrap();
}

#[test]
fn a_proxy_serves_ipv6_and_vanishes_with_the_whole_link() {
    let spec = LinkSpec {
        rtt: ms(40),
        pep: Some(PepSpec { near_rtt: ms(10) }),
        nat: true,
        ..LinkSpec::default()
    };
    let world = world_or_skip!(World::builder().link("wlan0", spec).build());
    let Some(address) = world.server_addr_v6() else {
        twinpath_lab::skip("this kernel has no IPv6");
        return;
    };
    let server = SocketAddr::new(address, PORT);
    common::echo_server_on(&world, server);
    let wifi = world.link("wlan0");
    world
        .client()
        .run(|| async move {
            let mut stream = connect_over("wlan0", server).await.unwrap();
            echo(&mut stream, &[9; 50_000]).await.unwrap();
            wifi.blackhole(Direction::Both);
            stream.write_all(b"nobody acknowledges").await.unwrap();
            let mut byte = [0; 1];
            assert!(timeout(ms(300), stream.read(&mut byte)).await.is_err());
            assert!(
                timeout(ms(300), connect_over("wlan0", server))
                    .await
                    .is_err()
            );
            wifi.heal();
            timeout(PATIENCE, stream.read_exact(&mut [0; 19]))
                .await
                .unwrap()
                .unwrap();
            // The live one, and the one that was given up before it was answered.
            assert_eq!(wifi.inject_rst_port(End::Client, PORT), 2);
            let error = timeout(PATIENCE, stream.read(&mut byte))
                .await
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        })
        .unwrap();
}

/// Bytes that the peer's TCP has not acknowledged.
fn unacknowledged(stream: &tokio::net::TcpStream) -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    let port = format!(":{:04X}", stream.local_addr().unwrap().port());
    let line = table.lines().find(|line| {
        line.split_whitespace()
            .nth(1)
            .is_some_and(|a| a.ends_with(&port))
    });
    let queues = line.unwrap().split_whitespace().nth(4).unwrap();
    u64::from_str_radix(queues.split(':').next().unwrap(), 16).unwrap()
}

#[test]
fn a_full_queue_drops_its_tail_and_a_long_one_bloats() {
    let spec = LinkSpec {
        rtt: ms(10),
        rate: Some(Rate::mbit(8)),
        queue: 200_000,
        ..LinkSpec::default()
    };
    let world = world_or_skip!(World::builder().link("wlan0", spec).build());
    echo_server(&world);
    let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
    world
        .client()
        .run(|| async move {
            let mut probe = connect_over("wlan0", server).await.unwrap();
            let idle = common::best_echo(&mut probe).await;
            let datagrams = tokio::net::UdpSocket::bind("0.0.0.0:0").await.unwrap();
            let drop_before = wifi.counters();
            // 1400 bytes each, 140 fill the queue: 200 ms at 8 Mbit/s.
            for _ in 0..140 {
                datagrams
                    .send_to(&[0; 1372], (server.ip(), 9))
                    .await
                    .unwrap();
            }
            tokio::time::sleep(ms(5)).await;
            assert!(wifi.backlog().0 > 150_000, "{:?}", wifi.backlog());
            let bloated = echo(&mut probe, b"ping").await.unwrap();
            assert!(bloated >= idle + ms(120), "{bloated:?} after {idle:?}");
            assert_eq!((wifi.counters() - drop_before).up.dropped.queue, 0);
            for _ in 0..400 {
                datagrams
                    .send_to(&[0; 1372], (server.ip(), 9))
                    .await
                    .unwrap();
            }
            tokio::time::sleep(ms(5)).await;
            let dropped = (wifi.counters() - drop_before).up.dropped.queue;
            assert!(dropped >= 200, "{dropped}");
        })
        .unwrap();
}
