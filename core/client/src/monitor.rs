//! Looking at a connection from beside it.

use std::fmt;
use std::sync::Arc;

use crate::clock;
use crate::driver;
use crate::events::Events;
use crate::mode::{Mode, ModeReason, PathInfo, Protection};
use crate::plain;
use crate::record::Record;
use crate::stats::{ConnectionStats, ConnectionSummary};

/// A hold on a connection for looking only. It does not keep the connection open, and stays usable after its end.
#[derive(Clone)]
pub struct Monitor {
    of: Of,
}

#[derive(Clone)]
enum Of {
    Session(Arc<driver::Shared>),
    Plain(Arc<plain::Shared>),
}

impl Monitor {
    pub(crate) const fn of_session(shared: Arc<driver::Shared>) -> Self {
        Self {
            of: Of::Session(shared),
        }
    }

    pub(crate) const fn of_plain(shared: Arc<plain::Shared>) -> Self {
        Self {
            of: Of::Plain(shared),
        }
    }

    /// How the connection runs.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.with_record(|record| record.mode())
    }

    /// Why it runs so.
    #[must_use]
    pub fn mode_reason(&self) -> ModeReason {
        self.with_record(|record| record.mode_reason().clone())
    }

    /// What the connection can claim at this moment.
    #[must_use]
    pub fn protection(&self) -> Protection {
        self.with_record(|record| record.protection())
    }

    /// The interface of the active path, where it is known.
    #[must_use]
    pub fn active_path(&self) -> Option<PathInfo> {
        let stats = self.stats();
        stats
            .path(stats.active)
            .and_then(|path| path.interface.clone())
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        let now = clock::now();
        match &self.of {
            Of::Session(shared) => shared.lock().stats(now),
            Of::Plain(shared) => shared.stats(now),
        }
    }

    /// The account so far, or the final one once the connection is over.
    #[must_use]
    pub fn summary(&self) -> ConnectionSummary {
        let now = clock::now();
        match &self.of {
            Of::Session(shared) => {
                let mut state = shared.lock();
                match state.record.final_summary() {
                    Some(summary) => summary.clone(),
                    None => state.summary(now),
                }
            }
            Of::Plain(shared) => shared.summary(now),
        }
    }

    /// As [`Connection::events`](crate::Connection::events).
    #[must_use]
    pub fn events(&self) -> Events {
        self.with_record(|record| record.bus.listen())
    }

    fn with_record<R>(&self, look: impl FnOnce(&mut Record) -> R) -> R {
        match &self.of {
            Of::Session(shared) => look(&mut shared.lock().record),
            Of::Plain(shared) => look(&mut shared.record()),
        }
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}
