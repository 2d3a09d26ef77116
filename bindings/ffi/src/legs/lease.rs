//! Sockets of the library's own, over a cellular network that the platform keeps up only for as long as it is asked to.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use twinpath::driver::{BoxFuture, LegStream};
use twinpath::{Dialer, InterfaceKind, Path, SocketDialer, Target};

use crate::error::Failure;

/// Told for as long as cellular is used or tried: from any thread, and it has to return at once.
#[uniffi::export(foreign)]
pub trait CellularUse: Send + Sync {
    /// One more leg is being opened over cellular.
    fn begin(&self) -> Result<(), Failure>;

    /// One of them is gone.
    fn end(&self) -> Result<(), Failure>;
}

/// Opens sockets, and tells of those over cellular.
pub(crate) struct LeasingDialer {
    sockets: SocketDialer,
    cellular: Arc<dyn CellularUse>,
}

impl LeasingDialer {
    pub(crate) fn new(cellular: Arc<dyn CellularUse>) -> Arc<Self> {
        let sockets = SocketDialer::new();
        Arc::new(Self { sockets, cellular })
    }
}

impl Dialer for LeasingDialer {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let is_cellular = path
            .interface()
            .is_some_and(|interface| interface.kind == InterfaceKind::Cellular);
        let dialing = self.sockets.dial(path, target);
        if !is_cellular {
            return dialing;
        }
        let cellular = Arc::clone(&self.cellular);
        Box::pin(async move {
            let lease = Lease::begin(cellular);
            Ok(dialing.await?.with_lease(lease))
        })
    }

    fn look_up(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        self.sockets.look_up(path, target)
    }

    fn binds_sockets(&self) -> bool {
        true
    }
}

impl fmt::Debug for LeasingDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasingDialer").finish_non_exhaustive()
    }
}

/// Ends when it is dropped.
struct Lease(Arc<dyn CellularUse>);

impl Lease {
    fn begin(cellular: Arc<dyn CellularUse>) -> Self {
        if let Err(error) = cellular.begin() {
            log::debug!("the platform was not told that cellular is used: {error}");
        }
        Self(cellular)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Err(error) = self.0.end() {
            log::debug!("the platform was not told that cellular is used no more: {error}");
        }
    }
}
