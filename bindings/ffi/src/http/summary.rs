//! How a request went.

use std::time::Duration;

use crate::names::{Cost, InterfaceKind, Mode, Role};

/// What one path has carried of a request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PathUse {
    /// Primary or backup.
    pub role: Role,
    /// The system's name of its interface, where one is known.
    pub interface: Option<String>,
    /// What that is, where it is known.
    pub kind: Option<InterfaceKind>,
    /// What its bytes cost.
    pub cost: Cost,
    /// Bytes of the answer's body.
    pub body: u64,
    /// Bytes of TCP payload sent over it.
    pub sent: u64,
    /// Bytes of TCP payload received over it.
    pub received: u64,
}

/// The account of a request so far.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct RequestSummary {
    /// How the newest connection of it runs.
    pub mode: Option<Mode>,
    /// What the paths have carried, in the order in which they came into use.
    pub paths: Vec<PathUse>,
    /// Times the request was sent again before anything of its answer was handed over.
    pub replays: u32,
    /// Times the answer was gone on with in its middle.
    pub resumes: u32,
    /// Times the answer was fetched from its start again.
    pub restarts: u32,
    /// Times it was sent on the backup as well, for want of an answer.
    pub hedges: u32,
    /// Times it left a dead path for another one.
    pub failovers: u32,
    /// Times it went back to the primary path.
    pub failbacks: u32,
    /// Redirects that were followed.
    pub redirects: u32,
    /// Bytes of body that were received twice.
    pub fetched_again: u64,
    /// The longest time for which nothing came while the caller waited.
    pub worst_stall: Duration,
    /// Bytes of TCP payload over backup paths, both ways.
    pub on_backup: u64,
}

impl From<twinpath::http::RequestSummary> for RequestSummary {
    fn from(summary: twinpath::http::RequestSummary) -> Self {
        let on_backup = summary.on_backup();
        let paths = summary.paths.into_iter();
        Self {
            mode: summary.mode.map(Mode::from),
            paths: paths
                .map(|it| PathUse {
                    role: it.role.into(),
                    kind: it.path.as_ref().map(|path| path.kind.into()),
                    cost: it
                        .path
                        .as_ref()
                        .map_or(Cost::Unknown, |path| path.cost.into()),
                    interface: it.path.map(|path| path.name.to_string()),
                    body: it.body,
                    sent: it.sent,
                    received: it.received,
                })
                .collect(),
            replays: summary.replays,
            resumes: summary.resumes,
            restarts: summary.restarts,
            hedges: summary.hedges,
            failovers: summary.failovers,
            failbacks: summary.failbacks,
            redirects: summary.redirects,
            fetched_again: summary.fetched_again,
            worst_stall: summary.worst_stall,
            on_backup,
        }
    }
}
