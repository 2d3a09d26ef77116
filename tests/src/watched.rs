//! What can be seen of a kernel MPTCP connection that Twinpath watches, and of what it does to the path manager.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use twinpath::mptcp::{Endpoint, What, changes};
use twinpath::{Monitor, Protection};
use twinpath_socket::mptcp::PathManager;

use crate::patience::ms;

/// The endpoints that the kernel has in this network namespace.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    PathManager::open().unwrap().endpoints().unwrap()
}

/// The addresses that are taken out of all MPTCP connections of this network namespace.
#[must_use]
pub fn taken_out() -> Vec<IpAddr> {
    let changes = changes().unwrap().into_iter();
    let out = changes.filter_map(|it| match it.what {
        What::TakenOut { address, .. } => Some(address),
        _ => None,
    });
    out.collect()
}

/// Waits until the kernel has these endpoints and nothing is on record: a connection that has just ended takes what it had
/// with it.
///
/// # Panics
///
/// When it does not happen at once.
pub async fn left_as(before: &[Endpoint]) {
    let leaving = async {
        while endpoints() != before || !changes().unwrap().is_empty() {
            sleep(ms(1)).await;
        }
    };
    let left = timeout(ms(200), leaving).await.is_ok();
    assert!(left, "{:?}, {:?}", endpoints(), changes());
}

/// Waits until the connection claims that.
///
/// # Panics
///
/// When it does not within that time.
pub async fn claims(monitor: &Monitor, expected: Protection, within: Duration) {
    let mut events = monitor.events();
    let claiming = async {
        while monitor.protection() != expected {
            if events.next().await.is_none() {
                break;
            }
        }
    };
    let in_time = timeout(within, claiming).await.is_ok();
    let protection = monitor.protection();
    assert!(
        in_time && protection == expected,
        "{protection} after {within:?}, not {expected}"
    );
}
