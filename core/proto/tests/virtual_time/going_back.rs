//! Going back to a primary that answers again, whatever its round trip time.

use std::time::Duration;

use crate::sim::plans::{assert_echoed, echo, warm};
use crate::sim::{CLIENT, Sim, ms};
use twinpath_proto::{ClientConfig, Event, PathChange, Role, ServiceType};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Loss {
    Gone,
    Silent,
    Reset,
    FromTheStart,
}

/// The primary is away for five seconds and heals; gives the session 20 s later.
fn away(config: ClientConfig, delay: u64, loss: Loss, delay_after: u64) -> Sim {
    let mut sim = Sim::new(config);
    sim.links[0].delay = ms(delay);
    echo(&mut sim, ms(50), Duration::from_secs(90));
    if loss == Loss::FromTheStart {
        sim.blackhole(Role::Primary);
        sim.open(Role::Backup);
    } else {
        sim.open(Role::Primary);
    }
    sim.run_until(ms(5000));
    if loss == Loss::Gone {
        let gone = PathChange::Gone;
        sim.client.path_changed(Role::Primary, gone, sim.now);
    }
    if loss == Loss::Reset {
        sim.reset_legs(Role::Primary);
    }
    sim.blackhole(Role::Primary);
    sim.run_until(ms(10_000));
    sim.links[0].delay = ms(delay_after);
    sim.heal(Role::Primary);
    if loss == Loss::Gone {
        let back = PathChange::Back;
        sim.client.path_changed(Role::Primary, back, sim.now);
    }
    sim.run_until(ms(30_000));
    sim
}

#[test]
fn a_primary_with_long_round_trips_is_taken_again() {
    for loss in [Loss::Gone, Loss::Silent, Loss::Reset, Loss::FromTheStart] {
        for delay in [40, 60, 150] {
            let mut sim = away(warm(), delay, loss, delay);
            assert_eq!(
                sim.client.active_role(),
                Role::Primary,
                "{loss:?} with {delay} ms one way"
            );
            sim.run_until(Duration::from_secs(95));
            assert_echoed(&sim);
        }
    }
}

#[test]
fn a_primary_that_comes_back_slower_is_taken_later() {
    let mut sim = away(warm(), 10, Loss::Gone, 150);
    assert_eq!(sim.client.active_role(), Role::Backup, "too early");
    sim.run_until(ms(50_000));
    assert_eq!(sim.client.active_role(), Role::Primary);
    sim.run_until(Duration::from_secs(95));
    assert_echoed(&sim);
}

#[test]
fn a_slower_primary_that_interactive_would_leave_again_is_not_taken() {
    let config = ClientConfig {
        service: ServiceType::Interactive,
        ..warm()
    };
    let mut sim = away(config, 10, Loss::Gone, 350);
    sim.run_until(ms(80_000));
    assert_eq!(sim.client.active_role(), Role::Backup);
    assert_eq!(sim.client.stats(sim.now).failovers, 1);
}

#[test]
fn proving_a_slow_primary_costs_little_while_it_is_refused() {
    let mut sim = Sim::new(ClientConfig {
        service: ServiceType::Interactive,
        ..ClientConfig::default()
    });
    sim.links[0].delay = ms(10);
    sim.apps[CLIENT].plan.push_back((sim.start, 100));
    sim.open(Role::Primary);
    sim.run_until(ms(2000));
    let gone = PathChange::Gone;
    sim.client.path_changed(Role::Primary, gone, sim.now);
    sim.blackhole(Role::Primary);
    sim.run_until(ms(4000));
    sim.links[0].delay = ms(350);
    sim.heal(Role::Primary);
    let back = PathChange::Back;
    sim.client.path_changed(Role::Primary, back, sim.now);
    sim.run_until(ms(20_000));
    assert_eq!(sim.client.active_role(), Role::Backup);
    let (before, _) = sim.client.path_bytes(Role::Primary);
    sim.run_until(ms(80_000));
    let (after, _) = sim.client.path_bytes(Role::Primary);
    assert!(
        after - before <= 60 * 8,
        "{} bytes of PINGs",
        after - before
    );
}

#[test]
fn going_back_is_told_when_the_primary_is_there() {
    let mut sim = Sim::new(ClientConfig {
        budget: Some(300_000),
        ..warm()
    });
    echo(&mut sim, ms(20), Duration::from_secs(80));
    sim.open(Role::Primary);
    sim.run_until(ms(2000));
    sim.blackhole(Role::Primary);
    sim.run_until(ms(60_000));
    let is_failback = |e: &Event| matches!(e, Event::Failback { .. });
    assert_eq!(sim.count(CLIENT, |e| *e == Event::BudgetExhausted), 1);
    assert_eq!(sim.count(CLIENT, is_failback), 0, "there is no primary");
    assert_eq!(sim.client.stats(sim.now).failbacks, 0);
    sim.heal(Role::Primary);
    sim.run_until(ms(85_000));
    assert_echoed(&sim);
    assert_eq!(sim.count(CLIENT, is_failback), 1);
    assert_eq!(sim.client.stats(sim.now).failbacks, 1);
}
