//! What goes on the backup while the primary is suspected, and what is told of it.

use std::time::Duration;

use crate::sim::plans::{bursts, echo, warm};
use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::{ClientConfig, Event, Role};

#[test]
fn a_message_after_bulk_is_copied_from_its_beginning() {
    const BULK: u64 = 6_000_000;
    for (from, to) in [(GATEWAY, CLIENT), (CLIENT, GATEWAY)] {
        for size in [20_000, 50_000] {
            for delay in [10, 50] {
                let mut sim = Sim::new(warm());
                sim.links[0].delay = ms(delay);
                if from == GATEWAY {
                    sim.apps[CLIENT].plan.push_back((sim.start, 100));
                }
                sim.apps[from].plan.push_back((sim.start, BULK));
                let at = sim.start + ms(12_000);
                sim.apps[from].plan.push_back((at, BULK + size));
                sim.open(Role::Primary);
                sim.run_until(ms(11_000));
                assert_eq!(sim.apps[to].read, BULK);
                sim.blackhole(Role::Primary);
                sim.run_until(ms(20_000));
                let (last, upto) = *sim.apps[to].read_at.last().unwrap();
                assert_eq!(upto, BULK + size);
                let took = last.saturating_since(at);
                // A push after idleness is given 300 ms more.
                let limit = ms(if from == GATEWAY { 800 } else { 500 });
                assert!(took < limit, "{size} bytes from {from}: {took:?}");
            }
        }
    }
}

/// The stalls told from `from` on.
fn stalls(sim: &Sim, end: usize, from: Duration) -> Vec<Duration> {
    let late = sim.events[end]
        .iter()
        .filter(|(at, _)| *at >= sim.start + from);
    late.filter_map(|(_, event)| match event {
        Event::Recovered { stall, .. } => Some(*stall),
        _ => None,
    })
    .collect()
}

#[test]
fn the_stall_is_told_once_when_a_hedge_ends_in_failover() {
    for config in [warm(), ClientConfig::default()] {
        for phase in 0..10 {
            let mut sim = Sim::new(config.clone());
            echo(&mut sim, ms(10), Duration::from_secs(4));
            sim.open(Role::Primary);
            sim.run_until(ms(2000 + phase));
            sim.blackhole(Role::Primary);
            sim.run_until(ms(5000));
            assert_eq!(sim.client.stats(sim.now).failovers, 1);
            let told = stalls(&sim, CLIENT, ms(2000));
            assert_eq!(told.len(), 1, "{:?}", sim.events[CLIENT]);
            let worst = sim.client.stats(sim.now).worst_stall;
            assert_eq!(told[0], worst, "at {phase}");
            assert!(told[0] > ms(40) && told[0] < ms(250), "{told:?}");
        }
    }
}

#[test]
fn the_stall_is_told_after_a_failover_without_a_hedge_too() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(10), Duration::from_secs(4));
    sim.open(Role::Primary);
    sim.run_until(ms(2000));
    sim.blackhole(Role::Primary);
    let gone = twinpath_proto::PathChange::Gone;
    sim.client.path_changed(Role::Primary, gone, sim.now);
    sim.run_until(ms(5000));
    let told = stalls(&sim, CLIENT, ms(2000));
    assert_eq!(told.len(), 1, "{:?}", sim.events[CLIENT]);
    assert!(told[0] > ms(30) && told[0] < ms(100), "{told:?}");
}

#[test]
fn nothing_is_told_of_a_stall_when_nothing_was_due() {
    let mut sim = Sim::new(warm());
    bursts(&mut sim, 1000, ms(10), 10);
    sim.open(Role::Primary);
    sim.run_until(ms(3000));
    let gone = twinpath_proto::PathChange::Gone;
    sim.client.path_changed(Role::Primary, gone, sim.now);
    sim.run_until(ms(6000));
    assert_eq!(sim.client.stats(sim.now).failovers, 1);
    assert!(stalls(&sim, CLIENT, ms(2000)).is_empty());
}
