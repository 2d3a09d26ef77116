//! Opens legs over paths that have faults.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::sleep;

use super::FaultInjection;
use super::condition::Seen;
use super::stream::FaultyStream;
use crate::dialer::{Dialer, Path};
use crate::driver::{BoxFuture, LegStream};
use crate::target::Target;

/// Asks another dialer, and puts what it opens behind the faults.
#[derive(Debug)]
pub(super) struct FaultyDialer {
    faults: Arc<FaultInjection>,
    dialer: Arc<dyn Dialer>,
}

impl FaultyDialer {
    pub(super) fn new(faults: Arc<FaultInjection>, dialer: Arc<dyn Dialer>) -> Self {
        Self { faults, dialer }
    }
}

impl Dialer for FaultyDialer {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let seen = self.faults.seen(path.role());
        let dialing = self.dialer.dial(path, target);
        Box::pin(async move {
            let stream = answered(seen.clone(), dialing).await?;
            Ok(LegStream::other(FaultyStream::over(stream, seen)))
        })
    }

    fn look_up(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let seen = self.faults.seen(path.role());
        Box::pin(answered(seen, self.dialer.look_up(path, target)))
    }
}

/// A question and its answer, which have to come through.
async fn answered<T>(mut path: Seen, asking: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    path.light().await;
    let result = asking.await;
    sleep(path.now().delay() * 2).await;
    path.light().await;
    result
}
