//! Arbitrary schedules of writes and faults, both ends, against a model that is nothing but the
//! two streams as they were written: what is read is a prefix of what was written, all of it
//! arrives or a typed error says why not, nothing grows beyond its bounds, nothing hangs.
//!
//! `PROPTEST_CASES` sets the number of schedules per test. A failing schedule is shrunk, printed
//! and kept beside this file.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod sim;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::{
    ClientConfig, Event, GatewayConfig, PathChange, ResetCode, Role, ServiceType, SessionError,
    Standby, WindowConfig,
};

#[derive(Clone, Debug)]
enum Op {
    Write { end: usize, bytes: u64 },
    Finish { end: usize },
    Abort { end: usize },
    Hole { role: Role, up: bool, down: bool },
    Heal { role: Role },
    Reset { role: Role },
    Path { role: Role, change: PathChange },
    Delay { role: Role, ms: u64 },
    Loss { role: Role, percent: u64 },
    Slow { end: usize, bytes: usize },
    Restart,
    Sleep { seconds: u64 },
}

#[derive(Clone, Debug)]
struct Schedule {
    seed: u64,
    service: ServiceType,
    standby: Standby,
    strict: bool,
    window: u32,
    first: Role,
    ops: Vec<(u64, Op)>,
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![2 => Just(Role::Primary), 1 => Just(Role::Backup)]
}

fn op() -> impl Strategy<Value = Op> {
    let end = 0..2usize;
    prop_oneof![
        12 => (end.clone(), prop_oneof![1..400u64, 1..40_000u64])
            .prop_map(|(end, bytes)| Op::Write { end, bytes }),
        2 => end.clone().prop_map(|end| Op::Finish { end }),
        5 => (role(), any::<(bool, bool)>()).prop_map(|(role, (up, down))| Op::Hole { role, up, down }),
        4 => role().prop_map(|role| Op::Hole { role, up: true, down: true }),
        5 => role().prop_map(|role| Op::Heal { role }),
        4 => role().prop_map(|role| Op::Reset { role }),
        3 => (role(), prop_oneof![
                Just(PathChange::Gone), Just(PathChange::Back), Just(PathChange::Changed)
             ]).prop_map(|(role, change)| Op::Path { role, change }),
        2 => (role(), 0..300u64).prop_map(|(role, ms)| Op::Delay { role, ms }),
        2 => (role(), 0..20u64).prop_map(|(role, percent)| Op::Loss { role, percent }),
        2 => (end.clone(), 1..5_000usize).prop_map(|(end, bytes)| Op::Slow { end, bytes }),
    ]
}

fn rare() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..2usize).prop_map(|end| Op::Abort { end }),
        1 => Just(Op::Restart),
        2 => (1..50u64).prop_map(|seconds| Op::Sleep { seconds }),
    ]
}

fn schedule(with_rare: bool) -> impl Strategy<Value = Schedule> {
    let ops = if with_rare {
        prop_oneof![20 => op(), 1 => rare()].boxed()
    } else {
        op().boxed()
    };
    let pause = prop_oneof![3 => 0..40u64, 2 => 0..700u64, 1 => 0..4_000u64];
    (
        (any::<u64>(), any::<bool>(), any::<bool>(), any::<bool>()),
        prop_oneof![Just(16_384u32), Just(20_000), Just(262_144)],
        role(),
        proptest::collection::vec((pause, ops), 1..14),
    )
        .prop_map(
            |((seed, interactive, warm, strict), window, first, ops)| Schedule {
                seed,
                service: if interactive {
                    ServiceType::Interactive
                } else {
                    ServiceType::Handover
                },
                standby: if warm { Standby::Warm } else { Standby::Cold },
                strict,
                window,
                first,
                ops,
            },
        )
}

fn apply(sim: &mut Sim, op: &Op, planned: &mut [u64; 2], finished: &mut [bool; 2]) {
    match *op {
        Op::Write { end, bytes } => {
            if !finished[end] {
                planned[end] += bytes;
                let upto = planned[end];
                sim.apps[end].plan.push_back((sim.now, upto));
            }
        }
        Op::Finish { end } => {
            finished[end] = true;
            sim.apps[end].finish_at = Some(planned[end]);
        }
        Op::Abort { end } => {
            if end == CLIENT {
                sim.client.abort(ResetCode::Aborted, sim.now);
            } else if let Some(gateway) = &mut sim.gateway {
                gateway.abort(ResetCode::UpstreamReset, sim.now);
            }
        }
        Op::Hole { role, up, down } => sim.hole(role, up, down),
        Op::Heal { role } => sim.heal(role),
        Op::Reset { role } => sim.reset_legs(role),
        Op::Path { role, change } => sim.client.path_changed(role, change, sim.now),
        Op::Delay { role, ms: delay } => sim.links[role.index()].delay = ms(delay),
        Op::Loss { role, percent } => sim.links[role.index()].loss = percent as f64 / 100.0,
        Op::Slow { end, bytes } => sim.apps[end].slow = Some((bytes, ms(20))),
        Op::Restart => sim.restart_gateway(),
        Op::Sleep { seconds } => sim.now = sim.now + Duration::from_secs(seconds),
    }
}

fn check_bounds(sim: &Sim, schedule: &Schedule) {
    let sessions = [Some(&sim.client), sim.gateway.as_ref()];
    for session in sessions.into_iter().flatten() {
        let most = 256 * 1024 + 4 * u64::from(schedule.window.max(262_144));
        assert!(
            session.buffered_bytes() <= most,
            "{} held",
            session.buffered_bytes()
        );
    }
    for end in [CLIENT, GATEWAY] {
        assert!(sim.apps[end].read <= sim.apps[1 - end].written);
    }
}

fn run(schedule: &Schedule) {
    let window = WindowConfig {
        initial: schedule.window,
        max: schedule.window.max(262_144),
    };
    let config = ClientConfig {
        service: schedule.service,
        standby: schedule.standby,
        window,
        send_buffer: 256 * 1024,
        ..ClientConfig::default()
    };
    let gateway = GatewayConfig {
        strict_join: schedule.strict,
        window,
        send_buffer: 256 * 1024,
        ..GatewayConfig::default()
    };
    let mut sim = Sim::with_gateway(config, gateway, schedule.seed | 1);
    sim.open(schedule.first);
    let (mut planned, mut finished) = ([0; 2], [false; 2]);
    let mut at = Duration::ZERO;
    let mut disturbed = false;
    for (pause, op) in &schedule.ops {
        at += ms(*pause);
        sim.run_until(at);
        apply(&mut sim, op, &mut planned, &mut finished);
        disturbed |= matches!(op, Op::Abort { .. } | Op::Restart | Op::Sleep { .. });
        at = at.max(sim.now.saturating_since(sim.start));
        check_bounds(&sim, schedule);
    }
    // Everything becomes good, everybody finishes.
    for role in Role::ALL {
        sim.links[role.index()].loss = 0.0;
        sim.heal(role);
        sim.client.path_changed(role, PathChange::Back, sim.now);
    }
    for end in [CLIENT, GATEWAY] {
        sim.apps[end].slow = None;
        sim.apps[end].finish_at = Some(planned[end]);
    }
    sim.run_until(at + Duration::from_secs(200));
    check_bounds(&sim, schedule);
    let restarted = schedule.ops.iter().any(|(_, op)| matches!(op, Op::Restart));
    check_end(&sim, disturbed, restarted);
}

fn check_end(sim: &Sim, disturbed: bool, restarted: bool) {
    let story = || {
        format!(
            "client {:?}\ngateway {:?}",
            sim.events[CLIENT], sim.events[GATEWAY]
        )
    };
    let established = sim.count(CLIENT, |e| *e == Event::Established) > 0;
    let result = sim.client.result();
    match &result {
        Some(Ok(())) => {
            assert_eq!(
                sim.apps[CLIENT].read,
                sim.apps[GATEWAY].written,
                "{}",
                story()
            );
            // What the gateway had acknowledged, and its application had not read, goes with a gateway that ends.
            if !restarted {
                assert_eq!(
                    sim.apps[GATEWAY].read,
                    sim.apps[CLIENT].written,
                    "{}",
                    story()
                );
            }
        }
        Some(Err(SessionError::Interrupted { .. } | SessionError::NotAGateway(_)))
            if !established => {}
        Some(Err(SessionError::Protocol(why))) => panic!("{why}\n{}", story()),
        Some(Err(error)) => assert!(disturbed, "{error}\n{}", story()),
        None => panic!("the client hangs\n{}", story()),
    }
    // A second session is made only by a client that had not sent a byte of the stream: had it,
    // the pattern would not fit.
    let Some(gateway) = &sim.gateway else { return };
    match gateway.result() {
        Some(Err(SessionError::Protocol(why))) => panic!("gateway: {why}\n{}", story()),
        // The client's last acknowledgement may be lost with its last leg.
        Some(_) => {}
        None => panic!("the gateway hangs\n{}", story()),
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn faults_of_links_alone_lose_nothing(schedule in schedule(false)) {
        run(&schedule);
    }

    #[test]
    fn ends_that_give_up_or_sleep_get_typed_errors(schedule in schedule(true)) {
        run(&schedule);
    }
}
