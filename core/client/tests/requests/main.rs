//! Requests to servers on loopback that refuse, leave, or want to know who asks.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(unreachable_pub, reason = "nothing is reached from outside")]

mod asked;
mod identity;
mod refusals;
mod trust;

use std::time::Duration;

use tokio::time::timeout;

/// What must happen, happens by then.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.unwrap()
}
