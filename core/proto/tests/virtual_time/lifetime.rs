//! How long a session outlives its legs, in virtual time.

use std::time::Duration;

use crate::sim::plans::{assert_echoed, echo_between, warm};
use crate::sim::{Sim, ms};
use twinpath_proto::{ClientConfig, PathChange, Role, SessionError};

/// Two minutes of idleness, which is twice the time to live.
const IDLE_FOR: Duration = Duration::from_secs(120);

/// Talks, idles, loses its legs by `lose`, and talks again.
fn idle_then(config: ClientConfig, backup_delay: Duration, lose: impl Fn(&mut Sim)) -> Sim {
    let mut sim = Sim::new(config);
    sim.links[1].delay = backup_delay;
    echo_between(&mut sim, ms(50), Duration::ZERO, ms(2000));
    let again = IDLE_FOR + ms(1000);
    echo_between(&mut sim, ms(50), again, again + ms(1000));
    sim.open(Role::Primary);
    sim.run_until(IDLE_FOR);
    lose(&mut sim);
    sim.run_until(IDLE_FOR + Duration::from_secs(20));
    sim
}

#[test]
fn idleness_does_not_use_up_the_time_to_live() {
    for config in [ClientConfig::default(), warm()] {
        for delay in [30, 400, 1000] {
            let sim = idle_then(config.clone(), ms(delay), |sim| {
                sim.reset_legs(Role::Primary);
                sim.reset_legs(Role::Backup);
            });
            assert_echoed(&sim);
            let sim = idle_then(config.clone(), ms(delay), |sim| {
                sim.client
                    .path_changed(Role::Primary, PathChange::Gone, sim.now);
                sim.blackhole(Role::Primary);
            });
            assert_echoed(&sim);
            let sim = idle_then(config.clone(), ms(delay), |sim| {
                sim.blackhole(Role::Primary);
            });
            assert_echoed(&sim);
        }
    }
}

#[test]
fn after_idleness_the_time_to_live_is_whole_and_no_longer() {
    let mut sim = idle_then(ClientConfig::default(), ms(30), |sim| {
        sim.blackhole(Role::Primary);
        sim.blackhole(Role::Backup);
        sim.reset_legs(Role::Primary);
    });
    sim.run_until(IDLE_FOR + Duration::from_secs(59));
    assert_eq!(sim.client.result(), None);
    sim.run_until(IDLE_FOR + Duration::from_secs(65));
    let error = sim.client.result().unwrap().unwrap_err();
    assert!(matches!(error, SessionError::TimedOut { .. }), "{error:?}");
}
