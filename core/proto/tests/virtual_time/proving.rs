//! When a gateway believes that its client is where it says.

use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use bytes::Bytes;
use twinpath_proto::{ClientConfig, Role};

/// A session whose gateway never had an answer: what comes down is lost.
fn unread() -> Sim {
    let mut sim = Sim::new(ClientConfig::default());
    sim.apps[CLIENT].plan.push_back((sim.start, 100));
    sim.hole(Role::Primary, false, true);
    sim.open(Role::Primary);
    sim.run_until(ms(11));
    assert!(!sim.gateway.as_ref().unwrap().is_proven());
    sim
}

/// What can be sent blindly, in one flight behind HELLO.
const BLIND: [(&str, &[u8]); 7] = [
    ("PING", b"\x83\0\0\x04\0\0\0\x01"),
    ("PONG", b"\x84\0\0\x04\0\0\0\0"),
    ("WINDOW", b"\x8b\0\0\x08\0\0\0\0\0\x04\0\x05"),
    ("CREDIT", b"\x88\0\0\x08\0\0\0\0\x01\0\0\0"),
    (
        "ACK of nothing",
        b"\x82\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0",
    ),
    (
        "SWITCH",
        b"\x85\0\0\x18\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0",
    ),
    (
        "DATA beyond the early limit",
        b"\x81\0\0\x09\0\0\0\0\0\0\x40\x01x",
    ),
];

#[test]
fn what_can_be_sent_without_reading_proves_nothing() {
    for (name, frame) in BLIND {
        let mut sim = unread();
        let leg = sim.conns[0].legs[GATEWAY].unwrap();
        let now = sim.now;
        let gateway = sim.gateway.as_mut().unwrap();
        gateway.leg_received(leg, Bytes::from_static(frame), now);
        assert_eq!(gateway.result(), None, "{name}");
        assert!(!gateway.is_proven(), "{name}");
    }
}

#[test]
fn a_client_that_reads_is_proven_though_the_service_is_silent() {
    for says in [0, 100] {
        let mut sim = Sim::new(ClientConfig::default());
        sim.apps[CLIENT].plan.push_back((sim.start, says));
        sim.open(Role::Primary);
        sim.run_until(ms(35));
        assert!(sim.gateway.as_ref().unwrap().is_proven(), "says {says}");
        assert_eq!(sim.apps[CLIENT].read, 0);
    }
}

#[test]
fn an_acknowledgement_of_what_the_service_said_proves_the_client() {
    let mut sim = unread();
    sim.apps[GATEWAY].plan.push_back((sim.now, 100));
    sim.run_until(ms(12));
    let leg = sim.conns[0].legs[GATEWAY].unwrap();
    let ack = b"\x82\0\0\x10\0\0\0\0\0\0\0\x64\0\0\0\0\0\x04\0\0";
    let now = sim.now;
    let gateway = sim.gateway.as_mut().unwrap();
    gateway.leg_received(leg, Bytes::from_static(ack), now);
    assert!(gateway.is_proven());
}
