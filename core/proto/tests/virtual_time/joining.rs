//! Legs that join badly, and what is asked on which leg.

use std::time::Duration;

use crate::sim::plans::{assert_echoed, echo, warm};
use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::{Event, PathChange, Role};

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

#[test]
fn a_dial_that_began_before_the_network_changed_is_begun_anew() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(50), Duration::from_secs(60));
    sim.open(Role::Primary);
    sim.run_until(ms(500));
    // An address came, and no route yet: the dial leads nowhere.
    sim.blackhole(Role::Primary);
    sim.reset_legs(Role::Primary);
    sim.run_until(ms(1000));
    sim.heal(Role::Primary);
    sim.run_until(ms(1100));
    assert!(
        !sim.client.stats(sim.now).primary.up,
        "the dial is not under way"
    );
    let changed = PathChange::Changed;
    sim.client.path_changed(Role::Primary, changed, sim.now);
    // A handshake and a JOIN.
    sim.run_until(ms(1200));
    assert!(sim.client.stats(sim.now).primary.up);
}

/// REFUSED, code 4.
const REFUSED_COUNTER: &[u8] = b"\xf5TWING\r\n\x83\x01\x00\x04\x04\x01\x01\x00";

/// Dials of the backup that something refuses for its counter until `until`, and when it joined.
fn refused(until: u64) -> (Sim, Option<Duration>) {
    let mut sim = Sim::new(warm());
    sim.open(Role::Primary);
    sim.run_until(ms(50));
    sim.impostor = Some(REFUSED_COUNTER);
    sim.run_until(ms(until));
    sim.impostor = None;
    sim.run_until(ms(10_000));
    let joined = sim.events[CLIENT]
        .iter()
        .find(|(_, event)| *event == Event::LegUp { role: Role::Backup })
        .map(|(at, _)| at.saturating_since(sim.start));
    (sim, joined)
}

#[test]
fn a_join_refused_for_its_counter_is_repeated_at_once() {
    // Established at 20 ms, dialled, joined at 80 ms, refused at 140 ms, dialled and joined anew.
    let (_, joined) = refused(145);
    assert!(joined.is_some_and(|at| at < ms(280)), "{joined:?}");
}

#[test]
fn endless_refusals_for_the_counter_are_not_followed_in_a_hurry() {
    let (sim, _) = refused(10_000);
    let attempts = sim.conns.iter().filter(|conn| conn.role == Role::Backup);
    assert!(attempts.count() < 10);
}

#[test]
fn a_closed_window_is_asked_about_on_the_active_leg() {
    let mut sim = Sim::new(warm());
    sim.apps[CLIENT]
        .plan
        .push_back((sim.start + ms(3000), 2_000_000));
    sim.apps[GATEWAY].slow = Some((0, Duration::from_secs(120)));
    sim.open(Role::Primary);
    sim.run_until(ms(1500));
    // The primary's leg is the younger one from here on.
    sim.reset_legs(Role::Primary);
    sim.run_until(ms(5000));
    assert_eq!(sim.client.active_role(), Role::Primary);
    let before = sim.client.path_bytes(Role::Backup);
    let (primary, _) = sim.client.path_bytes(Role::Primary);
    sim.run_until(ms(60_000));
    assert_eq!(sim.client.path_bytes(Role::Backup), before);
    assert!(
        sim.client.path_bytes(Role::Primary).0 > primary,
        "not asked"
    );
}

#[test]
fn two_legs_that_die_young_are_dialled_as_urgently_as_bytes_wait() {
    let mut sim = Sim::new(warm());
    sim.open(Role::Primary);
    sim.run_until(ms(250));
    let up = |sim: &Sim| {
        let stats = sim.client.stats(sim.now);
        (stats.primary.up, stats.backup.up)
    };
    assert_eq!(up(&sim), (true, true));
    sim.reset_legs(Role::Primary);
    sim.reset_legs(Role::Backup);
    assert_eq!(up(&sim), (false, false));
    // The first pause, a handshake and a JOIN.
    sim.run_until(ms(250 + 250 + 150));
    assert_eq!(up(&sim), (true, true));
}
