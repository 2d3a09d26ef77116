//! A link takes the time it is said to take.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod common;

use std::time::Instant;

use common::{PORT, best_echo, connect_over, echo, echo_server, ms};
use twinpath_lab::{Direction, world_or_skip};

#[test]
fn each_link_has_its_own_round_trip_time() {
    let world = world_or_skip!();
    echo_server(&world);
    let server = world.server_socket(PORT);
    let (connected, wifi, cellular) = world
        .client()
        .run(|| async move {
            let start = Instant::now();
            let mut wifi = connect_over("wlan0", server).await.unwrap();
            let connected = start.elapsed();
            let mut cellular = connect_over("wwan0", server).await.unwrap();
            (
                connected,
                best_echo(&mut wifi).await,
                best_echo(&mut cellular).await,
            )
        })
        .unwrap();
    eprintln!("connect {connected:?}, wifi {wifi:?}, cellular {cellular:?}");
    assert!(connected >= ms(20));
    assert!(wifi >= ms(20) && wifi < ms(30), "{wifi:?}");
    assert!(cellular >= ms(60) && cellular < ms(75), "{cellular:?}");
}

#[test]
fn delay_changes_midway_and_one_way() {
    let world = world_or_skip!();
    echo_server(&world);
    let (server, wifi) = (world.server_socket(PORT), world.link("wlan0"));
    world
        .client()
        .run(|| async move {
            let mut stream = connect_over("wlan0", server).await.unwrap();
            best_echo(&mut stream).await;
            wifi.set(|link| link.rtt += ms(100));
            let slow = best_echo(&mut stream).await;
            assert!(slow >= ms(120) && slow < ms(150), "{slow:?}");
            wifi.set(|link| link.rtt = ms(20));
            wifi.set_one_way(Direction::Down, |shape| shape.delay = ms(40));
            let uneven = best_echo(&mut stream).await;
            assert!(uneven >= ms(50) && uneven < ms(70), "{uneven:?}");
            wifi.set(|link| link.jitter = ms(30));
            let mut times = Vec::new();
            for _ in 0..20 {
                times.push(echo(&mut stream, b"ping").await.unwrap());
            }
            let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            assert!(*least >= ms(20) && *most - *least > ms(5), "{times:?}");
        })
        .unwrap();
}

#[test]
fn the_round_trip_can_be_asked_for() {
    let world = world_or_skip!();
    let (wifi, cellular) = (world.link("wlan0"), world.link("wwan0"));
    let (short, long) = (wifi.measure_rtt().unwrap(), cellular.measure_rtt().unwrap());
    assert!(short >= ms(20) && short < ms(40), "{short:?}");
    assert!(long >= ms(60) && long < ms(80), "{long:?}");
    wifi.set(|link| link.rtt = ms(5));
    let short = wifi.measure_rtt().unwrap();
    assert!(short >= ms(5) && short < ms(20), "{short:?}");
    wifi.blackhole(Direction::Both);
    assert!(wifi.measure_rtt().is_err());
}
