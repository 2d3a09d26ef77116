//! What goes on the backup while the primary is suspected, and what is told of it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod sim;

use sim::plans::warm;
use sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::Role;

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
