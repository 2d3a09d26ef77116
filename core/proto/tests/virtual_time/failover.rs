//! A path dies: what users would notice, told as sentences.

use std::time::Duration;

use crate::sim::plans::{
    assert_closed_well, download, echo, longest_silence, upload, warm, worst_echo,
};
use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::{
    ClientConfig, Event, FailoverReason, PathChange, Role, ServiceType, SessionError,
};

#[test]
fn an_echo_survives_a_silent_blackhole_with_a_warm_backup_within_100_ms() {
    for phase in 0..20 {
        let mut sim = Sim::new(warm());
        echo(&mut sim, ms(10), Duration::from_secs(6));
        sim.open(Role::Primary);
        sim.run_until(ms(3000 + phase));
        sim.blackhole(Role::Primary);
        sim.run_until(Duration::from_secs(10));
        assert_eq!(sim.apps[CLIENT].read, 600 * 200);
        let worst = worst_echo(&sim, ms(10));
        assert!(worst <= ms(125), "worst {worst:?} at phase {phase}");
        assert_eq!(sim.client.active_role(), Role::Backup);
        assert_eq!(sim.client.stats(sim.now).failovers, 1);
    }
}

#[test]
fn an_echo_survives_a_blackhole_cold_within_200_ms() {
    for phase in 0..20 {
        let mut sim = Sim::new(ClientConfig::default());
        echo(&mut sim, ms(10), Duration::from_secs(6));
        sim.open(Role::Primary);
        sim.run_until(ms(3000 + phase));
        sim.blackhole(Role::Primary);
        sim.run_until(Duration::from_secs(10));
        assert_eq!(sim.apps[CLIENT].read, 600 * 200);
        let worst = worst_echo(&sim, ms(10));
        assert!(worst <= ms(195), "worst {worst:?}");
    }
}

#[test]
fn one_request_after_wifi_died_unnoticed_takes_two_round_trips() {
    let mut sim = Sim::new(warm());
    sim.apps[GATEWAY].echo = true;
    let start = sim.start;
    sim.apps[CLIENT].plan.push_back((start, 200));
    sim.apps[CLIENT].plan.push_back((start + ms(10_000), 400));
    sim.open(Role::Primary);
    sim.run_until(ms(7000));
    sim.blackhole(Role::Primary);
    sim.run_until(ms(12_000));
    assert_eq!(sim.apps[CLIENT].read, 400);
    let (at, _) = *sim.apps[CLIENT].read_at.last().unwrap();
    let took = at.saturating_since(start + ms(10_000));
    assert!(took <= ms(130), "{took:?}");
}

#[test]
fn a_download_survives_a_blackhole() {
    for (config, limit) in [(warm(), 150), (ClientConfig::default(), 350)] {
        let mut sim = Sim::new(config);
        download(&mut sim, 20_000_000);
        sim.open(Role::Primary);
        sim.run_until(ms(1500));
        sim.blackhole(Role::Primary);
        sim.run_until(Duration::from_secs(60));
        assert_closed_well(&sim);
        let silence = longest_silence(&sim, CLIENT, ms(500));
        assert!(silence <= ms(limit), "{silence:?}, limit {limit}");
    }
}

#[test]
fn an_upload_survives_a_blackhole_and_goes_back_after_it_heals() {
    let mut sim = Sim::new(warm());
    upload(&mut sim, 60_000_000);
    sim.open(Role::Primary);
    sim.run_until(ms(1000));
    sim.blackhole(Role::Primary);
    sim.run_until(ms(4000));
    sim.heal(Role::Primary);
    sim.run_until(ms(12_000));
    assert_eq!(
        sim.client.active_role(),
        Role::Primary,
        "{:?}",
        sim.events[CLIENT]
    );
    assert_eq!(sim.client.stats(sim.now).failbacks, 1);
    let silence = longest_silence(&sim, GATEWAY, ms(4500));
    assert!(silence <= ms(50), "stall while going back {silence:?}");
    sim.run_until(Duration::from_secs(60));
    assert_closed_well(&sim);
}

#[test]
fn a_link_down_signal_fails_over_at_once() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(10), Duration::from_secs(6));
    sim.open(Role::Primary);
    sim.run_until(ms(3001));
    sim.blackhole(Role::Primary);
    sim.client
        .path_changed(Role::Primary, PathChange::Gone, sim.now);
    sim.run_until(Duration::from_secs(10));
    assert_eq!(sim.apps[CLIENT].read, 600 * 200);
    let worst = worst_echo(&sim, ms(10));
    assert!(worst <= ms(85), "worst {worst:?}");
}

#[test]
fn a_window_that_opens_at_the_moment_of_death_is_heard() {
    for phase in 0..30 {
        let mut sim = Sim::new(warm());
        upload(&mut sim, 600_000);
        let start = sim.start;
        // Reads nothing for two seconds, then everything.
        sim.apps[GATEWAY].slow = Some((0, ms(2000)));
        sim.open(Role::Primary);
        sim.run_until(ms(1999));
        sim.apps[GATEWAY].slow = None;
        sim.run_until(ms(1985 + phase));
        sim.blackhole(Role::Primary);
        sim.run_until(Duration::from_secs(30));
        assert_closed_well(&sim);
        let (last, _) = *sim.apps[GATEWAY].read_at.last().unwrap();
        let took = last.saturating_since(start + ms(2000));
        assert!(took < ms(1200), "took {took:?} at phase {phase}");
    }
}

#[test]
fn both_paths_dead_and_back_loses_nothing() {
    let mut sim = Sim::new(ClientConfig::default());
    upload(&mut sim, 30_000_000);
    sim.open(Role::Primary);
    sim.run_until(ms(1000));
    sim.blackhole(Role::Primary);
    sim.blackhole(Role::Backup);
    sim.run_until(Duration::from_secs(20));
    sim.heal(Role::Backup);
    sim.run_until(Duration::from_secs(40));
    assert!(
        sim.apps[GATEWAY].read > 10_000_000,
        "{:?}",
        sim.events[CLIENT]
    );
    sim.heal(Role::Primary);
    sim.run_until(Duration::from_secs(100));
    assert_closed_well(&sim);
}

#[test]
fn both_paths_dead_for_longer_than_the_time_to_live_is_a_typed_error() {
    let mut sim = Sim::new(warm());
    upload(&mut sim, 60_000_000);
    sim.open(Role::Primary);
    sim.run_until(ms(1000));
    sim.blackhole(Role::Primary);
    sim.blackhole(Role::Backup);
    sim.run_until(Duration::from_secs(70));
    let error = sim.client.result().unwrap().unwrap_err();
    assert!(matches!(error, SessionError::TimedOut { .. }), "{error:?}");
    let gateway = sim.gateway.as_ref().unwrap().result();
    assert!(
        matches!(gateway, Some(Err(SessionError::TimedOut { .. }))),
        "{gateway:?}"
    );
}

#[test]
fn one_way_holes_are_survived() {
    for (up, down) in [(true, false), (false, true)] {
        let mut sim = Sim::new(warm());
        upload(&mut sim, 10_000_000);
        sim.apps[GATEWAY].plan.push_back((sim.now, 10_000_000));
        sim.open(Role::Primary);
        sim.run_until(ms(700));
        sim.hole(Role::Primary, up, down);
        sim.run_until(Duration::from_secs(40));
        assert_closed_well(&sim);
        let silence = longest_silence(&sim, CLIENT, ms(500));
        assert!(silence < ms(250), "{silence:?} up {up}");
    }
}

#[test]
fn a_flapping_primary_is_trusted_less_each_time() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(20), Duration::from_secs(100));
    sim.open(Role::Primary);
    for round in 0..10 {
        sim.run_until(Duration::from_secs(2 + round * 10));
        sim.blackhole(Role::Primary);
        sim.run_until(Duration::from_secs(4 + round * 10));
        sim.heal(Role::Primary);
    }
    sim.run_until(Duration::from_secs(110));
    assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
    let stats = sim.client.stats(sim.now);
    assert!(stats.failbacks <= 5, "{stats:?}");
}

#[test]
fn a_session_that_began_on_the_backup_goes_to_the_primary_when_it_heals() {
    let mut sim = Sim::new(ClientConfig::default());
    echo(&mut sim, ms(50), Duration::from_secs(30));
    sim.blackhole(Role::Primary);
    sim.open(Role::Backup);
    sim.run_until(Duration::from_secs(5));
    assert_eq!(sim.client.active_role(), Role::Backup);
    sim.heal(Role::Primary);
    sim.run_until(Duration::from_secs(35));
    assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
    assert_eq!(sim.client.active_role(), Role::Primary);
    let (at, _) = sim.events[CLIENT]
        .iter()
        .find(|(_, e)| matches!(e, Event::Failback { .. }))
        .unwrap();
    assert!(at.saturating_since(sim.start) < Duration::from_secs(14));
}

#[test]
fn interactive_leaves_a_primary_that_has_become_slow() {
    let mut sim = Sim::new(ClientConfig {
        service: ServiceType::Interactive,
        ..warm()
    });
    echo(&mut sim, ms(50), Duration::from_secs(20));
    sim.open(Role::Primary);
    sim.run_until(ms(3000));
    sim.links[0].delay = ms(400);
    sim.run_until(Duration::from_secs(22));
    assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
    assert!(sim.client.stats(sim.now).failovers >= 1);
}

#[test]
fn switches_that_cross_leave_both_ends_on_the_same_path() {
    let mut reasons = Vec::new();
    for phase in 0..10 {
        let mut sim = Sim::new(warm());
        // Both ends have bytes outstanding all the time, so that both condemn by themselves.
        upload(&mut sim, 8_000_000);
        sim.apps[GATEWAY].plan.push_back((sim.now, 8_000_000));
        sim.open(Role::Primary);
        sim.run_until(ms(400 + phase * 3));
        sim.blackhole(Role::Primary);
        sim.run_until(ms(1600));
        let gateway = sim.gateway.as_ref().unwrap();
        assert_eq!(sim.client.active_role(), Role::Backup);
        assert_eq!(gateway.active_role(), Role::Backup);
        assert_eq!(sim.client.stats(sim.now).failovers, 1);
        assert_eq!(gateway.stats(sim.now).failovers, 1);
        reasons.push([CLIENT, GATEWAY].map(|end| {
            let mut events = sim.events[end].iter();
            events.find_map(|(_, event)| match event {
                Event::Failover { reason, .. } => Some(*reason),
                _ => None,
            })
        }));
        sim.run_until(Duration::from_secs(40));
        assert_closed_well(&sim);
    }
    let own = Some(FailoverReason::Silent);
    assert_eq!(reasons, [[own; 2]; 10], "one end only followed the other");
}

#[test]
fn a_join_on_the_primary_that_overtakes_the_switch_is_kept() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(10), Duration::from_secs(20));
    sim.links[1].delay = ms(400);
    sim.open(Role::Primary);
    sim.run_until(ms(3000));
    sim.client
        .path_changed(Role::Primary, PathChange::Gone, sim.now);
    sim.run_until(ms(3005));
    sim.client
        .path_changed(Role::Primary, PathChange::Back, sim.now);
    sim.run_until(ms(3100));
    assert_eq!(sim.client.active_role(), Role::Backup);
    assert!(sim.client.stats(sim.now).primary.up, "{:?}", sim.events);
    sim.run_until(Duration::from_secs(25));
    assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
    assert_eq!(sim.client.active_role(), Role::Primary);
    // The first leg, and the one that came back.
    assert_eq!(sim.client.stats(sim.now).primary.legs, 2);
}
