//! What is no dead path, and what the backup costs.

use std::time::Duration;

use crate::sim::plans::{
    assert_closed_well, download, echo, longest_silence, upload, warm, worst_echo,
};
use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::{ClientConfig, Event, GatewayConfig, Role};

#[test]
fn a_reset_leg_is_no_dead_path() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(10), Duration::from_secs(6));
    sim.open(Role::Primary);
    sim.run_until(ms(3000));
    sim.reset_legs(Role::Primary);
    sim.run_until(Duration::from_secs(10));
    assert_eq!(sim.apps[CLIENT].read, 600 * 200);
    assert_eq!(sim.switches(), 0, "{:?}", sim.events[CLIENT]);
    let worst = worst_echo(&sim, ms(10));
    assert!(worst <= ms(120), "worst {worst:?}");
}

#[test]
fn nobody_switches_at_one_percent_loss() {
    for every in [10, 50, 400] {
        let mut sim = Sim::with_gateway(warm(), GatewayConfig::default(), 77 + every);
        sim.links[0].loss = 0.01;
        echo(&mut sim, ms(every), Duration::from_secs(600));
        sim.open(Role::Primary);
        sim.run_until(Duration::from_secs(605));
        assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
        assert_eq!(sim.switches(), 0, "every {every} ms");
        assert!(
            sim.client.stats(sim.now).hedges > 0,
            "the loss was not felt"
        );
    }
}

#[test]
fn a_bulk_transfer_at_one_percent_loss_does_not_switch() {
    let mut sim = Sim::with_gateway(warm(), GatewayConfig::default(), 5);
    sim.links[0].loss = 0.01;
    download(&mut sim, 60_000_000);
    sim.open(Role::Primary);
    sim.run_until(Duration::from_secs(120));
    assert_closed_well(&sim);
    assert_eq!(sim.switches(), 0, "{:?}", sim.events);
}

#[test]
fn a_step_in_delay_is_no_dead_path() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(10), Duration::from_secs(30));
    sim.open(Role::Primary);
    sim.run_until(ms(5000));
    sim.links[0].delay = ms(60);
    sim.run_until(Duration::from_secs(40));
    assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
    assert_eq!(sim.switches(), 0);
    let stats = sim.client.stats(sim.now);
    assert!(stats.primary.srtt.unwrap() > ms(110));
    assert!(stats.hedges <= 3, "{stats:?}");
}

#[test]
fn a_slow_reader_is_no_dead_path() {
    let mut sim = Sim::new(warm());
    upload(&mut sim, 2_000_000);
    sim.apps[GATEWAY].slow = Some((20_000, ms(500)));
    sim.open(Role::Primary);
    sim.run_until(Duration::from_secs(70));
    assert_closed_well(&sim);
    assert_eq!(sim.switches(), 0);
    let stats = sim.client.stats(sim.now);
    assert_eq!(stats.hedges, 0, "{:?}", sim.events[CLIENT]);
}

#[test]
fn the_budget_is_never_exceeded_and_raising_it_resumes() {
    let mut sim = Sim::new(ClientConfig {
        budget: Some(1_000_000),
        ..warm()
    });
    download(&mut sim, 20_000_000);
    sim.open(Role::Primary);
    sim.run_until(ms(1000));
    sim.blackhole(Role::Primary);
    sim.run_until(Duration::from_secs(10));
    let (sent, received) = sim.client.path_bytes(Role::Backup);
    assert!(sent + received <= 1_000_000, "{sent} + {received}");
    assert!(received > 300_000, "{received}");
    assert_eq!(sim.count(CLIENT, |e| *e == Event::BudgetExhausted), 1);
    sim.client.set_budget(None, sim.now);
    sim.run_until(Duration::from_secs(40));
    assert_closed_well(&sim);
}

#[test]
fn a_cold_connection_spends_nothing_on_the_backup_while_the_primary_is_good() {
    let mut sim = Sim::new(ClientConfig::default());
    echo(&mut sim, ms(400), Duration::from_secs(600));
    sim.open(Role::Primary);
    sim.run_until(Duration::from_secs(600));
    assert_eq!(sim.client.path_bytes(Role::Backup), (0, 0));
    assert_eq!(sim.count(CLIENT, |e| matches!(e, Event::Hedge { .. })), 0);
}

#[test]
fn an_idle_warm_hour_costs_next_to_nothing() {
    let mut sim = Sim::new(warm());
    sim.apps[GATEWAY].echo = true;
    sim.apps[CLIENT].plan.push_back((sim.start, 1000));
    sim.open(Role::Primary);
    sim.run_until(Duration::from_secs(3600));
    let (sent, received) = sim.client.path_bytes(Role::Backup);
    assert!(sent > 0 && sent + received < 4096, "{sent} + {received}");
}

#[test]
fn a_clock_that_jumps_makes_no_dead_path() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(50), Duration::from_secs(3));
    sim.open(Role::Primary);
    sim.run_until(ms(1017));
    // Asleep for an hour with bytes under way.
    sim.now = sim.now + Duration::from_secs(3600);
    sim.run_until(Duration::from_secs(3700));
    assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
    assert_eq!(sim.switches(), 0, "{:?}", sim.events[CLIENT]);
}

#[test]
fn a_long_download_on_the_backup_without_a_budget_flows_evenly() {
    let mut sim = Sim::new(warm());
    download(&mut sim, 60_000_000);
    sim.open(Role::Primary);
    sim.run_until(ms(500));
    sim.blackhole(Role::Primary);
    sim.run_until(Duration::from_secs(60));
    assert_closed_well(&sim);
    let silence = longest_silence(&sim, CLIENT, ms(3000));
    assert!(silence < ms(100), "{silence:?}");
}
