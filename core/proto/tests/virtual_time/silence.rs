//! Downloads that fall silent, to a client that alone can dial the backup.

use std::time::Duration;

use crate::sim::plans::{bursts, warm};
use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::{ClientConfig, GatewayConfig, Role};

/// The longest wait between two reads.
fn longest_wait(sim: &Sim) -> Duration {
    let times = sim.apps[CLIENT].read_at.iter().map(|(at, _)| *at);
    let next = times.clone().skip(1);
    let waits = times.zip(next).map(|(a, b)| b.saturating_since(a));
    waits.max().unwrap_or_default()
}

#[test]
fn a_cold_client_notices_whenever_a_download_in_bursts_dies() {
    for (burst, period) in [(60_000, 80), (100_000, 100), (40_000, 250)] {
        for kill in (0..period).step_by(2) {
            let mut sim = Sim::new(ClientConfig::default());
            let n = 5000 / period as u32;
            bursts(&mut sim, burst, ms(period), n);
            sim.open(Role::Primary);
            sim.run_until(ms(3000 + kill));
            sim.blackhole(Role::Primary);
            sim.run_until(Duration::from_secs(12));
            assert_eq!(
                sim.apps[CLIENT].read,
                u64::from(n) * burst,
                "period {period}, dead at {kill}"
            );
            let wait = longest_wait(&sim);
            // Four gaps, the first limit, a handshake and a JOIN.
            let limit = ms(200 + 4 * period);
            assert!(wait < limit, "{wait:?} at {kill}, period {period}");
        }
    }
}

#[test]
fn a_path_that_dies_in_a_pause_after_it_answered_is_noticed() {
    // One pause of 800 ms; the path dies somewhere in it.
    for kill in (0..800).step_by(10) {
        let mut sim = Sim::new(ClientConfig::default());
        bursts(&mut sim, 20_000, ms(20), 100);
        let again = sim.start + ms(50 + 99 * 20 + 800);
        sim.apps[GATEWAY].plan.push_back((again, 101 * 20_000));
        sim.open(Role::Primary);
        sim.run_until(ms(50 + 99 * 20 + kill));
        sim.blackhole(Role::Primary);
        sim.run_until(Duration::from_secs(6));
        assert_eq!(sim.apps[CLIENT].read, 101 * 20_000, "dead at {kill}");
    }
}

#[test]
fn asking_in_pauses_stays_cheap() {
    let mut sim = Sim::new(ClientConfig::default());
    bursts(&mut sim, 1000, ms(2000), 10);
    sim.open(Role::Primary);
    sim.run_until(ms(3000));
    let (before, _) = sim.client.path_bytes(Role::Primary);
    sim.run_until(ms(19_500));
    let (after, _) = sim.client.path_bytes(Role::Primary);
    // Eight bursts of a segment: an ACK, and PINGs, PONGs and ACKs around each.
    assert!(after - before < 8 * 250, "{}", after - before);
}

#[test]
fn a_leg_that_dies_before_its_proof_is_noticed() {
    for strict_join in [false, true] {
        for kill in (0..70).step_by(2) {
            let gateway = GatewayConfig {
                strict_join,
                ..GatewayConfig::default()
            };
            let mut sim = Sim::with_gateway(warm(), gateway, 1);
            bursts(&mut sim, 500, ms(10), 400);
            sim.open(Role::Primary);
            sim.run_until(ms(3000));
            sim.reset_legs(Role::Primary);
            sim.run_until(ms(3000 + kill));
            sim.blackhole(Role::Primary);
            sim.run_until(Duration::from_secs(20));
            assert_eq!(sim.apps[CLIENT].read, 400 * 500, "dead at {kill}");
            let wait = longest_wait(&sim);
            assert!(wait < ms(300), "{wait:?} at {kill}, strict {strict_join}");
        }
    }
}
