//! What a connection has done so far, and its account at the end.

use std::time::Duration;

use twinpath_proto::Role;
use twinpath_socket::{Cost, InterfaceKind};

use crate::error::ErrorKind;
use crate::mode::{Mode, ModeReason, PathInfo, Protection, Unprotected};

/// The counters of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathStats {
    /// Primary or backup.
    pub role: Role,
    /// The interface it runs over, if a leg was ever opened on it or it is known.
    pub interface: Option<PathInfo>,
    /// Bytes sent over it, framing included.
    pub sent: u64,
    /// Bytes received over it, framing included.
    pub received: u64,
    /// Smoothed round-trip time of its newest leg.
    pub srtt: Option<Duration>,
    /// Legs that came up.
    pub legs: u32,
    /// Whether a leg is up.
    pub up: bool,
    /// How long ago it last answered.
    pub last_heard: Option<Duration>,
}

/// The counters of a connection at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// How it runs.
    pub mode: Mode,
    /// What it can claim.
    pub protection: Protection,
    /// The path that carries the bytes.
    pub active: Role,
    /// Time since the connection was made.
    pub age: Duration,
    /// The paths, the primary first.
    pub paths: Vec<PathStats>,
    /// Suspicions with copies on the other path.
    pub hedges: u32,
    /// Suspicions after which the path answered.
    pub needless_hedges: u32,
    /// Times the backup became active.
    pub failovers: u32,
    /// Times the primary became active again.
    pub failbacks: u32,
    /// Longest time in which bytes were due and none moved.
    pub worst_stall: Duration,
    /// Bytes accepted from the application.
    pub written: u64,
    /// Of these, bytes known to have arrived at the gateway. Always 0 on a plain connection, which cannot know.
    pub acknowledged: u64,
    /// Bytes that the application has read.
    pub read: u64,
}

impl ConnectionStats {
    /// The counters of one path.
    #[must_use]
    pub fn path(&self, role: Role) -> Option<&PathStats> {
        self.paths.iter().find(|path| path.role == role)
    }
}

/// What one path carried, without names or addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathSummary {
    /// Primary or backup.
    pub role: Role,
    /// What kind of interface it was, if known.
    pub kind: Option<InterfaceKind>,
    /// What its bytes cost.
    pub cost: Cost,
    /// Bytes sent over it, framing included.
    pub sent: u64,
    /// Bytes received over it, framing included.
    pub received: u64,
}

/// The account of a connection at its end: what an app may send to its analytics. It holds no address and no name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionSummary {
    /// How it ran at the end.
    pub mode: Mode,
    /// Why.
    pub mode_reason: ModeReason,
    /// How long it lived.
    pub duration: Duration,
    /// For how long losing the active path would have been survived.
    pub protected: Duration,
    /// For how long it would not, per reason.
    pub unprotected: Vec<(Unprotected, Duration)>,
    /// Suspicions with copies on the other path.
    pub hedges: u32,
    /// Suspicions after which the path answered.
    pub needless_hedges: u32,
    /// Times the backup became active.
    pub failovers: u32,
    /// Times the primary became active again.
    pub failbacks: u32,
    /// Longest time in which bytes were due and none moved.
    pub worst_stall: Duration,
    /// What each path carried, the primary first.
    pub paths: Vec<PathSummary>,
    /// Bytes accepted from the application.
    pub written: u64,
    /// Bytes that the application has read.
    pub read: u64,
    /// What ended it, if it did not end in order.
    pub error: Option<ErrorKind>,
}
