//! The hook, in a process of its own: what is fed is the truth for the whole process. One test,
//! since it is one state.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{net::IpAddr, time::Duration};

use tokio::time::timeout;
use twinpath_socket::{
    Interface, InterfaceError, InterfaceKind, InterfaceWatcher, feed_interfaces, feed_proxy, find,
    interfaces, system_mandate, unfeed_interfaces,
};

const SOON: Duration = Duration::from_secs(5);

fn interface(name: &str, index: u32, kind: InterfaceKind, address: &str) -> Interface {
    let mut interface = Interface::new(name, index, kind);
    interface.addresses.push(address.parse::<IpAddr>().unwrap());
    interface
}

#[tokio::test]
async fn what_is_fed_replaces_what_the_system_says() {
    let real = interfaces().unwrap();
    let mut watcher = InterfaceWatcher::new().unwrap();
    assert_eq!(watcher.interfaces(), real);

    let wlan0 = interface("wlan0", 1002, InterfaceKind::Wifi, "192.0.2.2");
    let wwan0 = interface("wwan0", 1003, InterfaceKind::Cellular, "198.51.100.2");
    feed_interfaces(vec![wlan0.clone(), wwan0.clone()]);
    let told = timeout(SOON, watcher.changed())
        .await
        .expect("the watcher is woken");
    assert_eq!(told, [wlan0.clone(), wwan0.clone()]);
    assert_eq!(interfaces().unwrap(), told);
    assert_eq!(find("wwan0").unwrap(), wwan0);

    let error = find("wlan9").unwrap_err();
    assert!(matches!(&error, InterfaceError::NotFound { available, .. } if available.len() == 2));
    assert_eq!(
        error.to_string(),
        "no interface named wlan9; there are: wlan0 (Wi-Fi), wwan0 (cellular)"
    );

    // The same list again is no change, and a watcher that is made late hears only what comes after
    // it.
    feed_interfaces(told.clone());
    let mut late = InterfaceWatcher::new().unwrap();
    assert!(
        timeout(Duration::from_millis(100), watcher.changed())
            .await
            .is_err()
    );
    feed_interfaces(vec![wwan0.clone()]);
    let told = timeout(SOON, watcher.changed()).await.unwrap();
    assert_eq!(told, std::slice::from_ref(&wwan0));
    assert_eq!(timeout(SOON, late.changed()).await.unwrap(), [wwan0]);

    assert!(!system_mandate().proxy);
    feed_proxy(true);
    assert!(system_mandate().proxy);
    feed_proxy(false);

    unfeed_interfaces();
    assert_eq!(timeout(SOON, watcher.changed()).await.unwrap(), real);
}
