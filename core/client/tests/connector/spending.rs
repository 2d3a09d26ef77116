//! What the backup may cost.

use std::time::Duration;

use twinpath::{Cost, ErrorKind, Event, Protection, Role, Standby};

use crate::relays::Relays;
use crate::support::Gateway;
use crate::support::relay::Weather;
use crate::{ask, cellular, connect, connector, echo, feed, protected, until, wifi};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_closes_the_backup_until_it_is_raised() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let connector = connector(&relays, |builder| {
        builder.standby(Standby::Warm).budget(Some(1_000_000))
    });
    let mut connection = connect(&connector).await;
    let mut events = connection.events();
    until(&mut events, protected).await;
    connector.set_budget_used(1_000_000);
    assert_eq!(connector.budget().remaining(), Some(0));
    until(&mut events, |event| match event {
        Event::Protection(Protection::Unprotected { .. }) => Some(()),
        _ => None,
    })
    .await;
    connector.set_budget(None);
    until(&mut events, protected).await;
    ask(&mut connection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remainder_too_small_for_a_session_is_spent() {
    let _feed = feed(vec![wifi(), cellular()]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    relays.primary.set(Weather::Blackhole);
    let poor = connector(&relays, |builder| {
        builder
            .budget(Some(8_000))
            .connect_timeout(Duration::from_millis(600))
    });
    let error = poor.connect("gateway.example:443").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(relays.backup_dials(), 0);
    let enough = connector(&relays, |builder| builder.budget(Some(1_000_000)));
    ask(&mut connect(&enough).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roaming_spends_nothing() {
    let mut roaming = cellular();
    roaming.cost = Cost::Roaming;
    let _feed = feed(vec![wifi(), roaming]).await;
    let gateway = Gateway::start().await;
    let relays = Relays::towards(gateway.address).await;
    tokio::spawn(echo(gateway));
    let connector = connector(&relays, |builder| builder.standby(Standby::Warm));
    let mut connection = connect(&connector).await;
    connection.established().await.unwrap();
    for _ in 0..20 {
        ask(&mut connection).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(connector.budget().remaining(), Some(0));
    assert_eq!(connection.stats().path(Role::Backup).unwrap().legs, 0);
}
