//! The hook by which a platform tells what it knows.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

use crate::Interface;

/// A fed list; `None` means that the operating system is asked.
pub(crate) type Fed = Option<Arc<[Interface]>>;

static FED: LazyLock<watch::Sender<Fed>> = LazyLock::new(|| watch::Sender::new(None));
static PROXY: AtomicBool = AtomicBool::new(false);

/// Replaces what the operating system is asked for: from this call on, `list` is what
/// [`interfaces`](crate::interfaces) returns, and every
/// [`InterfaceWatcher`](crate::InterfaceWatcher) is woken if it differs.
///
/// Meant for platforms that tell apps about networks through a framework only: Kotlin feeds it from
/// `ConnectivityManager` callbacks (with [`network_handle`](Interface::network_handle) set), Swift
/// from `NWPathMonitor`. Feed the whole list each time; an empty one means "no network at all". May
/// be called from any thread, and returns at once.
pub fn feed_interfaces(list: Vec<Interface>) {
    FED.send_replace(Some(list.into()));
}

/// Ends what [`feed_interfaces`] began: the operating system is asked again.
pub fn unfeed_interfaces() {
    FED.send_replace(None);
}

/// Tells whether the device mandates a proxy, as the platform knows it; see
/// [`Mandate::proxy`](crate::Mandate::proxy).
pub fn feed_proxy(mandated: bool) {
    PROXY.store(mandated, Ordering::Relaxed);
}

pub(crate) fn current() -> Fed {
    FED.borrow().clone()
}

pub(crate) fn subscribe() -> watch::Receiver<Fed> {
    FED.subscribe()
}

pub(crate) fn proxy() -> bool {
    PROXY.load(Ordering::Relaxed)
}
