//! Counters of a session.

use std::time::Duration;

use crate::types::Role;

/// Counters of one path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PathStats {
    /// Bytes sent on its legs, frames and all.
    pub sent: u64,
    /// Bytes received on its legs, frames and all.
    pub received: u64,
    /// Smoothed round trip time of its newest leg.
    pub srtt: Option<Duration>,
    /// Legs that came up.
    pub legs: u32,
    /// Whether a leg is up.
    pub up: bool,
    /// How long ago something of it was last heard.
    pub last_heard: Option<Duration>,
}

/// Counters of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Of the primary path.
    pub primary: PathStats,
    /// Of the backup path.
    pub backup: PathStats,
    /// Suspicions with copies on the other path.
    pub hedges: u32,
    /// Suspicions after which the path answered.
    pub needless_hedges: u32,
    /// Times the backup became active.
    pub failovers: u32,
    /// Times the primary became active again.
    pub failbacks: u32,
    /// Longest time in which data was due and none progressed.
    pub worst_stall: Duration,
    /// Stream bytes accepted from the application.
    pub written: u64,
    /// Of these, bytes that the peer acknowledged.
    pub acknowledged: u64,
    /// Stream bytes that the application has read.
    pub read: u64,
}

impl Stats {
    /// The counters of one path.
    pub const fn path(&self, role: Role) -> &PathStats {
        match role {
            Role::Primary => &self.primary,
            Role::Backup => &self.backup,
        }
    }

    pub(crate) const fn path_mut(&mut self, role: Role) -> &mut PathStats {
        match role {
            Role::Primary => &mut self.primary,
            Role::Backup => &mut self.backup,
        }
    }
}
