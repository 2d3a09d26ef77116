//! A link takes the time it is said to take.

mod common;

use std::net::SocketAddr;
use std::time::Instant;

use common::{PORT, best_echo, connect_over, echo_server, echo_server_on, ms};
use twinpath_lab::{Direction, LinkSpec, World, world_or_skip};

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
