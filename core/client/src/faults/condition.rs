//! What legs see of the faults of their path.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Fault, FaultInjection};

/// No byte takes longer than so much more.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What a leg has to know of its path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) fault: Option<Fault>,
    /// How often all legs were reset.
    pub(super) resets: u64,
}

impl Condition {
    pub(super) fn is_dark(self) -> bool {
        self.fault == Some(Fault::Blackhole)
    }

    /// The time that a byte takes longer.
    pub(super) fn delay(self) -> Duration {
        match self.fault {
            // What is meant as "for ever" is more than can be added to a time.
            Some(Fault::Delay(delay)) => delay.min(LONGEST),
            _ => Duration::ZERO,
        }
    }
}

/// The condition of one path, now and later.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    condition: watch::Receiver<Condition>,
    /// As it was in the beginning.
    resets: u64,
    /// So that there is always one who can heal it.
    _faults: Arc<FaultInjection>,
}

impl Seen {
    pub(super) fn new(condition: watch::Receiver<Condition>, faults: Arc<FaultInjection>) -> Self {
        let resets = condition.borrow().resets;
        Self {
            condition,
            resets,
            _faults: faults,
        }
    }

    pub(super) fn now(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Until it is another than it was when this was last waited for.
    pub(super) async fn changed(&mut self) {
        if self.condition.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Until the path forwards.
    pub(super) async fn light(&mut self) -> Condition {
        self.until(|now| !now.is_dark()).await
    }

    /// Until the legs of the path are reset, those that were there in the beginning.
    pub(super) async fn reset(&mut self) {
        let before = self.resets;
        self.until(|now| now.resets != before).await;
    }

    async fn until(&mut self, is_so: impl FnMut(&Condition) -> bool) -> Condition {
        let met = self.condition.wait_for(is_so).await.map(|now| *now);
        match met {
            Ok(condition) => condition,
            Err(_) => std::future::pending().await,
        }
    }
}
