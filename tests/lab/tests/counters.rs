//! The books are exact, and the rate is what it says.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod common;

use std::net::SocketAddr;
use std::time::Instant;

use common::sys::repeated_bytes;
use common::{PORT, connect_over, ms};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath_lab::{Counters, LinkSpec, Rate, World, world_or_skip};

/// Has the server send `bytes` to a client on `link`; returns the client's time for them, and how
/// many bytes the server's TCP has sent twice.
fn download(world: &World, link: &'static str, bytes: usize) -> (std::time::Duration, u64) {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let at = SocketAddr::new(world.server_addr(), PORT + 1);
    let sender = world
        .server()
        .spawn(move || async move {
            let listener = tokio::net::TcpListener::bind(at).await.unwrap();
            ready.send(()).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut left = bytes;
            let block = vec![5; 64 * 1024];
            while left > 0 {
                let part = left.min(block.len());
                stream.write_all(&block[..part]).await.unwrap();
                left -= part;
            }
            // The client closes once it has everything.
            let _ = stream.read(&mut [0; 1]).await;
            repeated_bytes(&stream)
        })
        .unwrap();
    is_ready.recv().unwrap();
    let time = world
        .client()
        .run(|| async move {
            let mut stream = connect_over(link, at).await.unwrap();
            let start = Instant::now();
            let mut buffer = vec![0; 256 * 1024];
            let mut left = bytes;
            while left > 0 {
                let read = stream.read(&mut buffer).await.unwrap();
                assert!(read > 0, "the stream ended early");
                left -= read;
            }
            start.elapsed()
        })
        .unwrap();
    (time, sender.join())
}

#[test]
fn payload_is_counted_to_the_byte() {
    let world = world_or_skip!(
        World::builder()
            .link(
                "wlan0",
                LinkSpec {
                    rtt: ms(20),
                    ..LinkSpec::default()
                }
            )
            .link("wwan0", LinkSpec::cellular())
            .build()
    );
    let bytes = 3_000_000;
    let (_, repeated) = download(&world, "wlan0", bytes);
    std::thread::sleep(ms(100));
    let wifi = world.link("wlan0").counters();
    assert_eq!(wifi.down.delivered.tcp_payload, bytes as u64 + repeated);
    assert_eq!(wifi.down.offered, wifi.down.delivered);
    assert_eq!(wifi.up.offered, wifi.up.delivered);
    assert_eq!(wifi.up.offered.tcp_payload, 0);
    assert_eq!((wifi.up.delivered.syns, wifi.down.delivered.syns), (1, 1));
    assert_eq!(wifi.dropped(), 0);
    assert_eq!(
        world.link("wwan0").counters(),
        Counters::default(),
        "an idle link is not idle"
    );
}

#[test]
fn the_rate_limits_and_can_be_changed_midway() {
    let spec = LinkSpec {
        rtt: ms(20),
        rate: Some(Rate::mbit(20)),
        ..LinkSpec::default()
    };
    let world = world_or_skip!(World::builder().link("wlan0", spec).build());
    let bytes = 5_000_000;
    // 40 Mbit of payload and the headers of 3450 packets.
    let (time, _) = download(&world, "wlan0", bytes);
    let rate = bytes as f64 * 8.0 / time.as_secs_f64() / 1e6;
    eprintln!("{rate:.1} Mbit/s of payload on a link of 20 Mbit/s");
    // A busy machine may keep the link from being full, never make it faster.
    assert!(rate < 20.0 && rate > 7.0, "{rate}");
    world
        .link("wlan0")
        .set(|link| link.rate = Some(Rate::mbit(100)));
    let (time, _) = download(&world, "wlan0", bytes);
    let rate = bytes as f64 * 8.0 / time.as_secs_f64() / 1e6;
    eprintln!("{rate:.1} Mbit/s of payload on a link of 100 Mbit/s");
    assert!(rate < 100.0 && rate > 25.0, "{rate}");
}

#[test]
fn an_unlimited_link_with_large_packets_is_fast() {
    let spec = LinkSpec {
        mtu: 65_000,
        queue: 4 << 20,
        ..LinkSpec::default()
    };
    let world = world_or_skip!(
        World::builder()
            .link("wlan0", spec)
            .link("wwan0", LinkSpec::default())
            .build()
    );
    for link in ["wlan0", "wwan0"] {
        let bytes = 200_000_000;
        let (time, _) = download(&world, link, bytes);
        let rate = bytes as f64 * 8.0 / time.as_secs_f64() / 1e6;
        eprintln!("{rate:.0} Mbit/s over {link}");
        assert!(rate > 300.0, "{rate}");
    }
}
