//! Rare coincidences, each of which once broke a session of this kind.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use bytes::Bytes;
use twinpath_proto::{
    ClientConfig, Directory, DirectoryConfig, Event, FirstFlight, GatewayConfig, Join, JoinError,
    LegId, Role, ServiceType, Session, SessionError, Standby, Time,
};

fn warm() -> ClientConfig {
    ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    }
}

fn echo(sim: &mut Sim, every: u64, seconds: u64) {
    sim.apps[GATEWAY].echo = true;
    for i in 0..seconds * 1000 / every {
        let at = sim.start + ms(i * every);
        sim.apps[CLIENT].plan.push_back((at, (i + 1) * 200));
    }
}

fn upload(sim: &mut Sim, bytes: u64) {
    sim.apps[CLIENT].plan.push_back((sim.now, bytes));
    sim.apps[CLIENT].finish_at = Some(bytes);
    sim.apps[GATEWAY].finish_after_peer = true;
}

fn download(sim: &mut Sim, bytes: u64) {
    sim.apps[GATEWAY].plan.push_back((sim.now, bytes));
    sim.apps[GATEWAY].finish_at = Some(bytes);
    sim.apps[CLIENT].finish_after_peer = true;
    sim.apps[CLIENT].plan.push_back((sim.now, 100));
}

#[test]
fn a_first_flight_that_arrives_behind_its_repetition_does_not_end_the_session() {
    for heal in [85, 160, 165, 170, 175, 180, 190, 200, 220] {
        let mut sim = Sim::new(ClientConfig::default());
        upload(&mut sim, 5_000);
        sim.open(Role::Primary);
        sim.run_until(ms(5));
        sim.blackhole(Role::Primary);
        sim.run_until(ms(heal));
        sim.heal(Role::Primary);
        sim.run_until(Duration::from_secs(30));
        assert_eq!(sim.client.result(), Some(Ok(())), "healed at {heal}");
        assert_eq!(sim.apps[GATEWAY].read, 5_000);
        assert_eq!(sim.sessions_made, 1);
    }
}

#[test]
fn data_that_left_before_both_paths_died_is_never_called_undelivered() {
    for reset in [false, true] {
        let mut sim = Sim::new(ClientConfig::default());
        upload(&mut sim, 5_000);
        sim.open(Role::Primary);
        sim.run_until(ms(12));
        if reset {
            sim.reset_legs(Role::Primary);
        }
        sim.blackhole(Role::Primary);
        sim.blackhole(Role::Backup);
        sim.run_until(Duration::from_secs(30));
        assert_eq!(sim.apps[GATEWAY].read, 5_000);
        let result = sim.client.result();
        let interrupted = matches!(result, Some(Err(SessionError::Interrupted { .. })));
        // A leg that stays open and silent cannot be told from a peer that is no gateway.
        let silent = matches!(result, Some(Err(SessionError::NotAGateway(_))));
        assert!(interrupted || (silent && !reset), "{result:?}");
    }
}

#[test]
fn a_small_budget_is_used_and_never_exceeded() {
    for budget in [24_000, 30_000, 36_000, 60_000, 600_000] {
        let mut sim = Sim::new(ClientConfig {
            budget: Some(budget),
            ..ClientConfig::default()
        });
        sim.open(Role::Primary);
        sim.run_until(ms(100));
        sim.blackhole(Role::Primary);
        sim.apps[CLIENT].plan.push_back((sim.now, 1_000_000));
        sim.run_until(Duration::from_secs(20));
        let (sent, received) = sim.client.path_bytes(Role::Backup);
        assert!(sent + received <= budget, "{sent} + {received} of {budget}");
        assert!(
            sim.apps[GATEWAY].read > budget / 4,
            "{} of {budget}: {sent} {received} {:?}",
            sim.apps[GATEWAY].read,
            sim.events[CLIENT]
        );
        assert_eq!(sim.count(CLIENT, |e| *e == Event::BudgetExhausted), 1);
    }
}

#[test]
fn what_is_lost_with_backup_legs_is_given_back_to_the_credit() {
    for budget in [Some(200_000_000), None] {
        let mut sim = Sim::new(ClientConfig { budget, ..warm() });
        download(&mut sim, 40_000_000);
        sim.open(Role::Primary);
        sim.run_until(ms(1000));
        sim.blackhole(Role::Primary);
        for second in (4..40).step_by(2) {
            sim.run_until(Duration::from_secs(second));
            sim.reset_legs(Role::Backup);
        }
        sim.run_until(Duration::from_secs(150));
        assert_eq!(
            sim.apps[CLIENT].read,
            40_000_000,
            "{:?}",
            sim.client.result()
        );
    }
}

#[test]
fn a_proof_of_the_primary_does_not_keep() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, 10, 30);
    sim.open(Role::Primary);
    sim.run_until(ms(2000));
    sim.blackhole(Role::Primary);
    sim.run_until(ms(3000));
    sim.heal(Role::Primary);
    sim.run_until(ms(6000));
    sim.blackhole(Role::Primary);
    sim.run_until(ms(20_000));
    assert_eq!(
        sim.count(CLIENT, |e| matches!(e, Event::Failback { .. })),
        0
    );
    assert_eq!(sim.client.active_role(), Role::Backup);
}

#[test]
fn a_cold_backup_leg_goes_after_it_was_needed() {
    for heal in (20..300).step_by(10) {
        let mut sim = Sim::new(ClientConfig::default());
        echo(&mut sim, 10, 200);
        sim.open(Role::Primary);
        sim.run_until(ms(2000));
        sim.hole(Role::Primary, true, false);
        sim.run_until(ms(2000 + heal));
        sim.heal(Role::Primary);
        sim.run_until(Duration::from_secs(190));
        assert_eq!(sim.client.active_role(), Role::Primary);
        assert!(!sim.client.stats(sim.now).backup.up, "healed after {heal}");
    }
}

#[test]
fn slow_pushes_over_a_dead_path_are_missed_by_a_cold_client() {
    for every in [200, 260, 300, 400] {
        let mut sim = Sim::new(ClientConfig::default());
        sim.apps[CLIENT].plan.push_back((sim.start, 100));
        for i in 0..50_000 / every {
            let at = sim.start + ms(50 + i * every);
            sim.apps[GATEWAY].plan.push_back((at, (i + 1) * 500));
        }
        sim.open(Role::Primary);
        sim.run_until(ms(5000));
        sim.blackhole(Role::Primary);
        sim.run_until(Duration::from_secs(60));
        assert_eq!(sim.client.active_role(), Role::Backup, "every {every}");
        assert_eq!(sim.apps[CLIENT].read, sim.apps[GATEWAY].written);
    }
}

#[test]
fn a_slow_primary_does_not_prove_itself_by_its_slowness() {
    let mut sim = Sim::new(ClientConfig {
        service: ServiceType::Interactive,
        ..warm()
    });
    echo(&mut sim, 50, 600);
    sim.open(Role::Primary);
    sim.run_until(ms(2000));
    for step in 0..17 {
        sim.links[0].delay = ms(10 + 20 * step);
        sim.run_until(ms(2000 + 600 * step));
    }
    sim.run_until(Duration::from_secs(590));
    assert!(sim.switches() <= 4, "{} switches", sim.switches());
}

#[test]
fn a_stranger_on_the_backup_cannot_end_a_session_whose_primary_is_only_suspected() {
    let mut sim = Sim::new(ClientConfig::default());
    echo(&mut sim, 10, 5);
    sim.open(Role::Primary);
    sim.run_until(ms(1000));
    // Another gateway answers on the backup.
    sim.directory = Directory::new(DirectoryConfig::default(), sim.now);
    sim.blackhole(Role::Primary);
    sim.run_until(ms(1200));
    sim.heal(Role::Primary);
    sim.run_until(Duration::from_secs(10));
    assert_eq!(sim.client.result(), None);
    assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
}

fn pull(session: &mut Session, leg: LegId, now: Time) -> Bytes {
    let mut out = VecDeque::new();
    session.poll_transmit(leg, 65_536, &mut out, now);
    Vec::from(out).concat().into()
}

#[test]
fn no_data_follows_a_repetition_that_said_there_was_none() {
    let mut client = Session::client(ClientConfig::default(), [2; 32], Time::ZERO);
    let first = client.leg_opened(Role::Primary, Some(ms(20)), Time::ZERO);
    pull(&mut client, first, Time::ZERO);
    let now = Time::from_micros(400_000);
    client.handle_timeout(now);
    let second = client.leg_opened(Role::Backup, Some(ms(60)), now);
    assert!(!pull(&mut client, second, now).is_empty());
    client.write(b"charge the card", now).unwrap();
    for leg in [first, second] {
        assert_eq!(pull(&mut client, leg, now), Bytes::new());
    }
}

fn join(bytes: &Bytes) -> Join {
    match FirstFlight::parse(bytes) {
        FirstFlight::Join { join, .. } => join,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_older_join_that_arrives_late_does_not_take_the_place_of_a_newer_one() {
    let now = Time::ZERO;
    let mut client = Session::client(ClientConfig::default(), [2; 32], now);
    let first = client.leg_opened(Role::Primary, Some(ms(20)), now);
    let FirstFlight::Hello { hello, .. } = FirstFlight::parse(&pull(&mut client, first, now))
    else {
        panic!("no HELLO");
    };
    let config = GatewayConfig::default();
    let (mut gateway, leg) = Session::gateway(&config, &hello, [3; 32], None, now).unwrap();
    client.leg_received(first, pull(&mut gateway, leg, now), now);
    let older = client.leg_opened(Role::Backup, Some(ms(60)), now);
    let older = join(&pull(&mut client, older, now));
    let newer = client.leg_opened(Role::Backup, Some(ms(60)), now);
    let newer = join(&pull(&mut client, newer, now));
    assert!(gateway.accept_join(&newer, None, now).is_ok());
    while gateway.poll_action().is_some() {}
    assert_eq!(
        gateway.accept_join(&older, None, now),
        Err(JoinError::Counter)
    );
    assert_eq!(gateway.poll_action(), None);
}
