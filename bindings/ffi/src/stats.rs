//! What a connection has done so far, and its account at the end.

use std::time::Duration;

use twinpath::{ConnectionSummary, Monitor};

use crate::error::Kind;
use crate::names::{Cost, InterfaceKind, Mode, Role};

/// A path: its role, and the interface it runs over.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PathName {
    /// Primary or backup.
    pub role: Role,
    /// The system's name of the interface, where one is known.
    pub interface: Option<String>,
}

impl From<twinpath::PathName> for PathName {
    fn from(path: twinpath::PathName) -> Self {
        Self {
            role: path.role.into(),
            interface: path.interface.map(|name| name.to_string()),
        }
    }
}

/// What a connection can claim at this moment.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Protection {
    /// Whether losing the active path is survived.
    pub is_protected: bool,
    /// In words, with the reason if it is not.
    pub description: String,
}

impl From<twinpath::Protection> for Protection {
    fn from(protection: twinpath::Protection) -> Self {
        Self {
            is_protected: protection.is_protected(),
            description: protection.to_string(),
        }
    }
}

/// The counters of one path.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PathStats {
    /// Primary or backup.
    pub role: Role,
    /// The system's name of its interface, where one is known.
    pub interface: Option<String>,
    /// What that is, where it is known.
    pub kind: Option<InterfaceKind>,
    /// Bytes sent over it, framing included.
    pub sent: u64,
    /// Bytes received over it, framing included.
    pub received: u64,
    /// Smoothed round-trip time of its newest leg.
    pub round_trip: Option<Duration>,
    /// Whether a leg is up.
    pub is_up: bool,
}

/// A connection at one moment.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Stats {
    /// How it runs.
    pub mode: Mode,
    /// Why, in words.
    pub mode_reason: String,
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
    /// Times the backup became active.
    pub failovers: u32,
    /// Times the primary became active again.
    pub failbacks: u32,
    /// Longest time in which bytes were due and none moved.
    pub worst_stall: Duration,
    /// Bytes accepted from the application.
    pub written: u64,
    /// Of these, bytes known to have arrived at the gateway.
    pub acknowledged: u64,
    /// Bytes that the application has read.
    pub read: u64,
}

impl Stats {
    pub(crate) fn of(monitor: &Monitor) -> Self {
        let stats = monitor.stats();
        Self {
            mode: stats.mode.into(),
            mode_reason: monitor.mode_reason().to_string(),
            protection: stats.protection.into(),
            active: stats.active.into(),
            age: stats.age,
            paths: stats.paths.into_iter().map(PathStats::from).collect(),
            hedges: stats.hedges,
            failovers: stats.failovers,
            failbacks: stats.failbacks,
            worst_stall: stats.worst_stall,
            written: stats.written,
            acknowledged: stats.acknowledged,
            read: stats.read,
        }
    }
}

impl From<twinpath::PathStats> for PathStats {
    fn from(path: twinpath::PathStats) -> Self {
        Self {
            role: path.role.into(),
            kind: path.interface.as_ref().map(|it| it.kind.into()),
            interface: path.interface.map(|it| it.name.to_string()),
            sent: path.sent,
            received: path.received,
            round_trip: path.srtt,
            is_up: path.up,
        }
    }
}

/// What one path carried, without names or addresses.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
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

/// For how long losing the active path would not have been survived, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct UnprotectedTime {
    /// The reason, in words.
    pub reason: String,
    /// For how long.
    pub duration: Duration,
}

/// The account of a connection: what an app may send to its analytics. It holds no address and no name.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Summary {
    /// How it ran at the end.
    pub mode: Mode,
    /// How long it lived.
    pub duration: Duration,
    /// For how long losing the active path would have been survived.
    pub protected: Duration,
    /// For how long it would not, per reason.
    pub unprotected: Vec<UnprotectedTime>,
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
    pub error: Option<Kind>,
}

impl From<ConnectionSummary> for Summary {
    fn from(summary: ConnectionSummary) -> Self {
        let unprotected = summary.unprotected.into_iter();
        let paths = summary.paths.into_iter();
        Self {
            mode: summary.mode.into(),
            duration: summary.duration,
            protected: summary.protected,
            unprotected: unprotected
                .map(|(reason, duration)| UnprotectedTime {
                    reason: reason.to_string(),
                    duration,
                })
                .collect(),
            hedges: summary.hedges,
            needless_hedges: summary.needless_hedges,
            failovers: summary.failovers,
            failbacks: summary.failbacks,
            worst_stall: summary.worst_stall,
            paths: paths
                .map(|path| PathSummary {
                    role: path.role.into(),
                    kind: path.kind.map(InterfaceKind::from),
                    cost: path.cost.into(),
                    sent: path.sent,
                    received: path.received,
                })
                .collect(),
            written: summary.written,
            read: summary.read,
            error: summary.error.map(Kind::from),
        }
    }
}
