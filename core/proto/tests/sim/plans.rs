//! What applications do in most tests, and what their users notice.

use std::time::Duration;

use twinpath_proto::{ClientConfig, Standby};

use super::{CLIENT, GATEWAY, Sim};

pub(crate) fn warm() -> ClientConfig {
    ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    }
}

/// A message each `every`, from the start on, which comes back.
pub(crate) fn echo(sim: &mut Sim, every: Duration, for_: Duration) {
    echo_between(sim, every, Duration::ZERO, for_);
}

/// As `echo`, in a part of the time; may be called again for a later part.
pub(crate) fn echo_between(sim: &mut Sim, every: Duration, from: Duration, to: Duration) {
    sim.apps[GATEWAY].echo = true;
    let mut at = from;
    let mut upto = sim.apps[CLIENT].plan.back().map_or(0, |(_, upto)| *upto);
    while at < to {
        upto += 200;
        sim.apps[CLIENT].plan.push_back((sim.start + at, upto));
        at += every;
    }
}

/// The service writes `burst` bytes each `period`, `n` times, to a client that asked once.
pub(crate) fn bursts(sim: &mut Sim, burst: u64, period: Duration, n: u32) {
    sim.apps[CLIENT].plan.push_back((sim.start, 100));
    for i in 0..n {
        let at = sim.start + Duration::from_millis(50) + period * i;
        sim.apps[GATEWAY]
            .plan
            .push_back((at, u64::from(i + 1) * burst));
    }
}

pub(crate) fn upload(sim: &mut Sim, bytes: u64) {
    sim.apps[CLIENT].plan.push_back((sim.now, bytes));
    sim.apps[CLIENT].finish_at = Some(bytes);
    sim.apps[GATEWAY].finish_after_peer = true;
}

pub(crate) fn download(sim: &mut Sim, bytes: u64) {
    sim.apps[GATEWAY].plan.push_back((sim.now, bytes));
    sim.apps[GATEWAY].finish_at = Some(bytes);
    sim.apps[CLIENT].finish_after_peer = true;
    sim.apps[CLIENT].plan.push_back((sim.now, 100));
}

/// The worst delay from the planned time of a message to its echo.
pub(crate) fn worst_echo(sim: &Sim, every: Duration) -> Duration {
    let mut worst = Duration::ZERO;
    for (at, upto) in &sim.apps[CLIENT].read_at {
        let message = (upto - 1) / 200;
        let sent = sim.start + every * message as u32;
        worst = worst.max(at.saturating_since(sent));
    }
    worst
}

/// The longest time between two reads from `from` on.
pub(crate) fn longest_silence(sim: &Sim, end: usize, from: Duration) -> Duration {
    let times: Vec<_> = sim.apps[end].read_at.iter().map(|(at, _)| *at).collect();
    times
        .windows(2)
        .filter(|pair| pair[1] >= sim.start + from)
        .map(|pair| pair[1].saturating_since(pair[0]))
        .max()
        .unwrap_or_default()
}

/// Everything that was to be echoed has come back.
pub(crate) fn assert_echoed(sim: &Sim) {
    let (read, written) = (sim.apps[CLIENT].read, sim.apps[CLIENT].written);
    assert_eq!(read, written, "{:?}", sim.client.result());
    assert!(sim.apps[CLIENT].plan.is_empty(), "not all was written");
}

pub(crate) fn assert_closed_well(sim: &Sim) {
    sim.assert_whole();
    assert_eq!(
        sim.client.result(),
        Some(Ok(())),
        "client {:?}",
        sim.events[CLIENT]
    );
    let gateway = sim.gateway.as_ref().unwrap();
    assert_eq!(
        gateway.result(),
        Some(Ok(())),
        "gateway {:?}",
        sim.events[GATEWAY]
    );
}
