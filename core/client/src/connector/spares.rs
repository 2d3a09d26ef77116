//! Legs that were opened to find out whether a path is dead, and serve whoever connects next.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::dialer::Path;
use crate::driver::LegStream;
use crate::target::Target;

/// Whoever wants it comes at once; servers end connections on which nothing is said.
const AGE: Duration = Duration::from_secs(3);
/// More than these are not kept.
const SPARES: usize = 8;

/// Of one connector.
#[derive(Default)]
pub(super) struct Spares {
    legs: Mutex<Vec<Spare>>,
}

struct Spare {
    path: Path,
    host: String,
    port: u16,
    leg: LegStream,
    since: Instant,
}

impl Spares {
    /// Keeps a leg to `target` for a while.
    pub(super) fn offer(self: &Arc<Self>, path: Path, target: &Target, leg: LegStream) {
        let mut legs = self.lock();
        if legs.len() == SPARES {
            legs.remove(0).leg.abort();
        }
        legs.push(Spare {
            path,
            host: target.host().to_owned(),
            port: target.port(),
            leg,
            since: Instant::now(),
        });
        drop(legs);
        let spares = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep(AGE).await;
            if let Some(spares) = spares.upgrade() {
                spares.prune();
            }
        });
    }

    /// A leg to `target` over `path`, if there is one.
    pub(super) fn take(&self, path: &Path, target: &Target) -> Option<LegStream> {
        let mut legs = self.lock();
        let fits =
            |it: &Spare| it.path == *path && it.host == target.host() && it.port == target.port();
        let index = legs
            .iter()
            .position(|it| fits(it) && it.since.elapsed() < AGE)?;
        log::debug!("a leg on the {} path is open already", path.role());
        Some(legs.remove(index).leg)
    }

    fn prune(&self) {
        let mut legs = self.lock();
        let (old, young) = std::mem::take(&mut *legs)
            .into_iter()
            .partition(|it| it.since.elapsed() >= AGE);
        *legs = young;
        drop(legs);
        let old: Vec<Spare> = old;
        old.into_iter().for_each(|it| it.leg.abort());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Spare>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spares").finish_non_exhaustive()
    }
}
