//! Slow and bloated links are no dead paths.

use std::time::Duration;

use crate::sim::plans::{echo, warm};
use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::Role;

/// Twenty seconds' worth of bytes one way over a slow primary with large socket buffers.
fn bulk(upload: bool, rate: u64, socket: usize) -> Sim {
    let mut sim = Sim::new(warm());
    sim.links[0].rate = rate;
    let (from, n) = (if upload { CLIENT } else { GATEWAY }, rate * 20);
    if !upload {
        sim.apps[CLIENT].plan.push_back((sim.now, 100));
    }
    sim.apps[from].plan.push_back((sim.now + ms(1000), n));
    sim.open(Role::Primary);
    sim.conns[0].socket = socket;
    sim.run_until(Duration::from_secs(60));
    assert_eq!(sim.apps[1 - from].read, n);
    sim
}

#[test]
fn a_bulk_transfer_over_a_slow_link_does_not_switch() {
    for upload in [true, false] {
        for rate in [16_000, 31_000, 62_000, 125_000, 250_000] {
            for socket in [16, 32, 128] {
                let sim = bulk(upload, rate, socket * 1024);
                assert_eq!(
                    sim.switches(),
                    0,
                    "upload {upload}, {rate} B/s, socket of {socket} KiB"
                );
            }
        }
    }
}

#[test]
fn a_path_that_slows_down_under_an_echo_does_not_switch() {
    for step in [100, 200, 300, 400] {
        for every in [10, 50, 400] {
            let mut sim = Sim::new(warm());
            echo(&mut sim, ms(every), Duration::from_secs(20));
            sim.open(Role::Primary);
            sim.run_until(ms(5000));
            for k in 1..=10 {
                sim.links[0].delay = ms(10 + step * k / 20);
                sim.run_until(ms(5000 + 50 * k));
            }
            sim.run_until(Duration::from_secs(30));
            assert_eq!(sim.switches(), 0, "+{step} ms, every {every} ms");
        }
    }
}

#[test]
fn a_slow_link_that_dies_one_way_or_both_is_still_left() {
    for (up, down) in [(true, false), (false, true), (true, true)] {
        for upload in [true, false] {
            for kill in [0, 300, 700] {
                let mut sim = Sim::new(warm());
                sim.links[0].rate = 125_000;
                let from = if upload { CLIENT } else { GATEWAY };
                sim.apps[CLIENT].plan.push_back((sim.now, 100));
                sim.apps[from].plan.push_back((sim.now, 20_000_000));
                sim.open(Role::Primary);
                sim.run_until(ms(3000 + kill));
                sim.hole(Role::Primary, up, down);
                // With a second of queue the second limit is 3.7 s, from a round trip after the death on.
                sim.run_until(ms(8200 + kill));
                assert_eq!(
                    sim.client.active_role(),
                    Role::Backup,
                    "up {up}, down {down}, upload {upload}, dead at {kill}"
                );
            }
        }
    }
}
