//! What the gateway may send on the backup, and how it hears of it.

use std::time::Duration;

use crate::sim::plans::{longest_silence, warm};
use crate::sim::{CLIENT, GATEWAY, Sim, ms};
use twinpath_proto::{ClientConfig, PathChange, Role};

#[test]
fn credit_is_renewed_though_the_primary_that_stands_by_dies() {
    for budget in [None, Some(500_000_000)] {
        for kill in [300, 1200] {
            let mut sim = Sim::new(ClientConfig { budget, ..warm() });
            sim.apps[CLIENT].plan.push_back((sim.now, 100));
            sim.apps[GATEWAY].plan.push_back((sim.now, 200_000_000));
            sim.open(Role::Primary);
            sim.run_until(ms(500));
            let gone = PathChange::Gone;
            sim.client.path_changed(Role::Primary, gone, sim.now);
            sim.blackhole(Role::Primary);
            sim.run_until(ms(2500));
            sim.heal(Role::Primary);
            let back = PathChange::Back;
            sim.client.path_changed(Role::Primary, back, sim.now);
            sim.run_until(ms(2500 + kill));
            assert_eq!(sim.client.active_role(), Role::Backup);
            assert!(sim.client.stats(sim.now).primary.up, "it has not joined");
            sim.blackhole(Role::Primary);
            sim.run_until(Duration::from_secs(11));
            let silence = longest_silence(&sim, CLIENT, ms(2500));
            assert!(silence < ms(100), "{silence:?}, budget {budget:?}");
            let (last, _) = *sim.apps[CLIENT].read_at.last().unwrap();
            let since = sim.now.saturating_since(last);
            assert!(since < ms(100), "{since:?}, budget {budget:?}, {kill}");
        }
    }
}
