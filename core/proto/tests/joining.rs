//! Legs that join badly, and what is asked on which leg.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod sim;

use std::time::Duration;

use sim::plans::{assert_echoed, echo, warm};
use sim::{Sim, ms};
use twinpath_proto::Role;

#[test]
fn a_leg_that_dies_right_after_joining_is_dialled_ever_more_rarely() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(50), Duration::from_secs(65));
    sim.open(Role::Primary);
    for i in 0..2000 {
        sim.run_until(ms(100 + i * 30));
        if sim.client.stats(sim.now).backup.up {
            sim.reset_legs(Role::Backup);
        }
    }
    let legs = sim.client.stats(sim.now).backup.legs;
    assert!(legs > 3, "{legs}");
    assert!(legs < 12, "{legs}");
    sim.run_until(ms(100_000));
    assert_echoed(&sim);
    assert!(sim.client.stats(sim.now).backup.up);
}

#[test]
fn a_leg_that_lived_is_dialled_again_at_once() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(50), Duration::from_secs(60));
    sim.open(Role::Primary);
    for i in 0..200 {
        sim.run_until(ms(100 + i * 30));
        if sim.client.stats(sim.now).backup.up {
            sim.reset_legs(Role::Backup);
        }
    }
    sim.run_until(ms(50_000));
    assert!(sim.client.stats(sim.now).backup.up);
    sim.reset_legs(Role::Backup);
    // A handshake and a JOIN.
    sim.run_until(ms(50_150));
    assert!(sim.client.stats(sim.now).backup.up);
}
