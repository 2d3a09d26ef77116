//! When a slow request also goes over the backup: for the interactive service, within the budget, and seldom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use twinpath_proto::{Role, ServiceType};

use super::attempt::Answer;
use super::client::Inner;
use super::origin::Origin;
use super::pool::Way;
use crate::connector::Connector;
use crate::target::Target;

/// Bodies of requests beyond this are not sent twice.
pub(super) const LARGEST: u64 = 64 * 1024;
/// An answer that has not come by then is slow, unless set otherwise.
pub(super) const DELAY: Duration = Duration::from_millis(400);
/// So many hedges are saved up, and a new one is had for so many requests: a server that is always slow is not asked
/// twice for ever.
const SAVED: f64 = 5.0;
const EACH: f64 = 0.1;
/// A connection that stands by is not tried again sooner.
const AGAIN: Duration = Duration::from_secs(30);

/// Of one client.
#[derive(Debug)]
pub(super) struct Hedges {
    delay: Duration,
    saved: Mutex<f64>,
    stood_by: Mutex<Vec<(Origin, Instant)>>,
}

impl Hedges {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            delay,
            saved: Mutex::new(SAVED),
            stood_by: Mutex::default(),
        }
    }

    pub(super) const fn delay(&self) -> Duration {
        self.delay
    }

    /// Whether hedges are made at all; counts a request.
    pub(super) fn is_on(&self, connector: &Connector) -> bool {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        *saved = (*saved + EACH).min(SAVED);
        connector.service() == ServiceType::Interactive
    }

    /// Takes one, if there is one and there is a backup for it.
    pub(super) fn may(&self, connector: &Connector, target: &Target) -> bool {
        if !connector.has_pair(target) || connector.budget_is_spent() {
            return false;
        }
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let may = *saved >= 1.0;
        *saved -= f64::from(u8::from(may));
        may
    }

    /// Whether it is time to open a connection that stands by.
    fn is_due(&self, origin: &Origin) -> bool {
        let mut stood_by = self.stood_by.lock().unwrap_or_else(PoisonError::into_inner);
        stood_by.retain(|(_, since)| since.elapsed() < AGAIN);
        let is_due = !stood_by.iter().any(|(known, _)| known == origin);
        if is_due {
            stood_by.push((origin.clone(), Instant::now()));
        }
        is_due
    }
}

impl Inner {
    /// With a warm standby, has a connection on the backup ready while an answer comes over the primary.
    pub(super) fn stand_by(self: &Arc<Self>, answer: &Answer) {
        let origin = answer.origin();
        let backup = Way::Path(Role::Backup);
        let wanted = self.connector.is_warm()
            && answer.way == Way::Path(Role::Primary)
            && !self.connector.budget_is_spent()
            && !self.pool.has(origin, backup)
            && self.hedges.is_due(origin);
        let target = self.target(origin);
        if !wanted || !self.connector.has_pair(&target) {
            return;
        }
        let (client, origin) = (Arc::clone(self), origin.clone());
        tokio::spawn(async move {
            match client
                .connect(&origin, &target, Some(Role::Backup), None)
                .await
            {
                Ok((link, way)) if !link.is_h2() => client.pool.put(&origin, way, link),
                Ok(_) => {}
                Err(failure) => log::debug!("no connection stands by: {}", failure.why),
            }
        });
    }
}
