//! How a session begins, with whom, and how it ends.

use std::time::Duration;

use crate::sim::plans::{assert_closed_well, echo, upload, warm, worst_echo};
use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::{ClientConfig, GatewayConfig, Role, SessionError, StaticKey};

#[test]
fn bytes_flow_both_ways_and_the_session_ends_in_order() {
    let mut sim = Sim::new(ClientConfig::default());
    upload(&mut sim, 1_000_000);
    sim.apps[GATEWAY].plan.push_back((sim.now, 700_000));
    sim.open(Role::Primary);
    sim.run_until(Duration::from_secs(20));
    assert_closed_well(&sim);
    assert_eq!(sim.apps[CLIENT].read, 700_000);
    assert_eq!(sim.client.path_bytes(Role::Backup), (0, 0));
    assert_eq!(sim.switches(), 0);
}

#[test]
fn data_arrives_with_the_first_flight() {
    let mut sim = Sim::new(ClientConfig::default());
    upload(&mut sim, 1000);
    sim.open(Role::Primary);
    sim.run_until(ms(12));
    assert_eq!(sim.apps[GATEWAY].read, 1000);
}

#[test]
fn hello_whose_leg_dies_is_attached_to_the_same_session() {
    for reset in [true, false] {
        for at in [1u64, 5, 9, 11, 15, 19] {
            let mut sim = Sim::new(ClientConfig::default());
            upload(&mut sim, 5_000);
            sim.open(Role::Primary);
            sim.run_until(ms(at));
            if reset {
                sim.reset_legs(Role::Primary);
            }
            sim.blackhole(Role::Primary);
            sim.run_until(Duration::from_secs(30));
            assert_eq!(sim.sessions_made, 1, "reset {reset} at {at}");
            sim.assert_whole();
            assert_eq!(
                sim.client.result(),
                Some(Ok(())),
                "{:?}",
                sim.events[CLIENT]
            );
        }
    }
}

#[test]
fn a_gateway_restarted_before_its_answer_never_gets_the_data_twice() {
    let mut sim = Sim::new(ClientConfig::default());
    upload(&mut sim, 5_000);
    sim.open(Role::Primary);
    sim.run_until(ms(5));
    sim.hole(Role::Primary, false, true);
    sim.run_until(ms(12));
    assert_eq!(sim.apps[GATEWAY].read, 5_000);
    sim.restart_gateway();
    sim.run_until(Duration::from_secs(30));
    let error = sim.client.result().unwrap().unwrap_err();
    assert!(
        matches!(error, SessionError::Interrupted { .. }),
        "{error:?}"
    );
    assert_eq!(sim.sessions_made, 1);
}

#[test]
fn a_restarted_gateway_is_a_typed_error_at_once() {
    let mut sim = Sim::new(warm());
    echo(&mut sim, ms(50), Duration::from_secs(20));
    sim.open(Role::Primary);
    sim.run_until(ms(3000));
    sim.restart_gateway();
    sim.run_until(ms(5000));
    let error = sim.client.result().unwrap().unwrap_err();
    assert!(
        matches!(error, SessionError::SessionLost { .. }),
        "{error:?}"
    );
}

#[test]
fn an_echo_server_or_a_web_server_is_not_taken_for_a_gateway() {
    for answer in [&b"echo"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let mut sim = Sim::new(ClientConfig::default());
        sim.impostor = Some(answer);
        upload(&mut sim, 100);
        sim.open(Role::Primary);
        sim.run_until(ms(1000));
        let error = sim.client.result().unwrap().unwrap_err();
        assert!(matches!(error, SessionError::NotAGateway(_)), "{error:?}");
    }
}

#[test]
fn a_pinned_gateway_gets_no_data_before_it_has_proven_its_key() {
    let key = StaticKey::from_bytes([9; 32]);
    let gateway = GatewayConfig {
        static_key: Some(key.clone()),
        ..GatewayConfig::default()
    };
    let config = |pin| ClientConfig {
        pin: Some(pin),
        ..ClientConfig::default()
    };
    let mut sim = Sim::with_gateway(config(key.public().0), gateway.clone(), 3);
    upload(&mut sim, 1000);
    sim.open(Role::Primary);
    sim.run_until(ms(15));
    assert_eq!(sim.apps[GATEWAY].read, 0);
    sim.run_until(ms(35));
    assert_eq!(sim.apps[GATEWAY].read, 1000);
    sim.run_until(Duration::from_secs(5));
    assert_closed_well(&sim);

    let wrong = StaticKey::from_bytes([8; 32]).public().0;
    let mut sim = Sim::with_gateway(config(wrong), gateway, 4);
    upload(&mut sim, 1000);
    sim.open(Role::Primary);
    sim.run_until(ms(1000));
    assert_eq!(sim.client.result(), Some(Err(SessionError::PinMismatch)));
    assert_eq!(sim.apps[GATEWAY].read, 0);
}

#[test]
fn strict_joins_prove_themselves_before_data_comes_down() {
    let gateway = GatewayConfig {
        strict_join: true,
        ..GatewayConfig::default()
    };
    let mut sim = Sim::with_gateway(warm(), gateway, 5);
    echo(&mut sim, ms(10), Duration::from_secs(5));
    sim.open(Role::Primary);
    sim.run_until(ms(2000));
    sim.blackhole(Role::Primary);
    sim.run_until(Duration::from_secs(8));
    assert_eq!(sim.apps[CLIENT].read, sim.apps[CLIENT].written);
    assert!(worst_echo(&sim, ms(10)) < ms(125));
}

#[test]
fn half_closed_connections_go_on_in_the_other_direction() {
    let mut sim = Sim::new(warm());
    sim.apps[CLIENT].plan.push_back((sim.now, 1000));
    sim.apps[CLIENT].finish_at = Some(1000);
    sim.apps[GATEWAY]
        .plan
        .push_back((sim.now + ms(5000), 3_000_000));
    sim.apps[GATEWAY].finish_at = Some(3_000_000);
    sim.open(Role::Primary);
    sim.run_until(ms(5200));
    sim.blackhole(Role::Primary);
    sim.run_until(Duration::from_secs(30));
    assert_closed_well(&sim);
}
