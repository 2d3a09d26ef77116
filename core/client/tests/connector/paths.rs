//! Which paths a connection has, and when.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use twinpath::driver::{BoxFuture, LegStream};
use twinpath::{
    Connector, Dialer, Event, Mode, ModeReason, Path, Peer, Protection, Role, Standby, Target,
};

use crate::relays::Relays;
use crate::support::Gateway;
use crate::support::relay::Weather;
use crate::{all, ask, cellular, connect, connector, echo, feed, protected, until, wifi};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_backup_is_not_touched_while_the_primary_is_good() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let connector = connector(&relays, |builder| builder);
    let mut connection = connect(&connector).await;
    let mut events = connection.events();
    connection.established().await.unwrap();
    for _ in 0..20 {
        ask(&mut connection).await;
    }
    assert_eq!(
        (connection.mode(), connection.mode_reason()),
        (Mode::Emulated, ModeReason::Gateway)
    );
    assert_eq!(connection.protection(), Protection::Protected);
    // A machine that is late by two round trips looks like a path that is; nothing else may touch the backup.
    let told = all(&mut events);
    let suspected = told
        .iter()
        .any(|event| matches!(event, Event::Hedge { .. }));
    assert!(suspected || relays.backup_dials() == 0, "{told:?}");
    assert!(suspected || connector.budget().used() == 0);
    let summary = connection.close().await;
    assert_eq!((summary.error, summary.failovers), (None, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_primary_delays_connecting_by_a_fifth_of_a_second() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    relays.primary.set(Weather::Blackhole);
    let began = Instant::now();
    let mut connection = connect(&connector(&relays, |builder| builder)).await;
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(200) && took < Duration::from_millis(300),
        "{took:?}"
    );
    ask(&mut connection).await;
    assert_eq!(connection.stats().active, Role::Backup);
    assert_eq!(
        connection.active_path().map(|path| path.name.to_string()),
        Some("wwan0".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wifi_that_the_system_takes_away_is_left_at_once_and_come_back_to() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let connector = connector(&relays, |builder| builder.standby(Standby::Warm));
    let mut connection = connect(&connector).await;
    let mut events = connection.events();
    until(&mut events, |event| match event {
        Event::LegUp { path } if path.role == Role::Backup => Some(()),
        _ => None,
    })
    .await;
    ask(&mut connection).await;
    relays.primary.set(Weather::Blackhole);
    twinpath_socket::feed_interfaces(vec![cellular()]);
    let took = ask(&mut connection).await;
    assert!(took < Duration::from_millis(100), "{took:?}");
    let from = until(&mut events, |event| match event {
        Event::Failover { from, .. } => Some(from.to_string()),
        _ => None,
    });
    assert_eq!(from.await, "primary (wlan0)");
    assert!(connector.budget().used() > 0);
    relays.primary.set(Weather::Fine);
    twinpath_socket::feed_interfaces(vec![wifi(), cellular()]);
    until(&mut events, |event| {
        matches!(event, Event::Failback { .. }).then_some(())
    })
    .await;
    ask(&mut connection).await;
    let summary = connection.close().await;
    assert_eq!(
        (summary.failovers, summary.failbacks, summary.error),
        (1, 1, None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_interface_upgrades_a_connection_that_had_one() {
    let _feed = feed(vec![wifi()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let mut connection = connect(&connector(&relays, |builder| builder)).await;
    let mut events = connection.events();
    connection.established().await.unwrap();
    assert_eq!(
        connection.mode_reason(),
        ModeReason::OneInterface("wlan0".into())
    );
    assert!(!connection.protection().is_protected());
    twinpath_socket::feed_interfaces(vec![wifi(), cellular()]);
    until(&mut events, protected).await;
    assert_eq!(connection.mode(), Mode::Emulated);
    ask(&mut connection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_attempt_becomes_the_warm_leg() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    // Slow enough for the backup's attempt to start, and faster than it.
    let slow = Arc::new(Slow {
        relays: Arc::clone(&relays),
    });
    let connector = Connector::builder()
        .peer(Peer::Gateway)
        .dialer(slow)
        .respect_mandates(false)
        .standby(Standby::Warm)
        .build()
        .unwrap();
    let connection = connect(&connector).await;
    let mut events = connection.events();
    until(&mut events, protected).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(relays.backup_dials(), 1);
    assert!(connection.stats().path(Role::Backup).unwrap().up);
}

/// The primary answers after 250 ms, the backup 100 ms after it was asked.
#[derive(Debug)]
struct Slow {
    relays: Arc<Relays>,
}

impl Dialer for Slow {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let wait = if path.role() == Role::Primary {
            250
        } else {
            100
        };
        let dial = self.relays.dial(path, target);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            dial.await
        })
    }
}
