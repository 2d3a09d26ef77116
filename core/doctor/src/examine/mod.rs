//! Everything that can be found out about the paths to one target.

mod asked;
mod back;
mod checksums;
mod fallback;
mod idle;
mod join;
mod joining;
mod path;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use twinpath::diagnosis::{
    Diagnosis, Outcome, PathDiagnosis, PathToTest, Verdict, paths_to, sentence,
};
use twinpath::{ConnectError, InterfaceKind, Target};
use twinpath_socket::raw;

use crate::probe::FlowsTried;
use crate::trace::{Interval, Located, Trace};

/// How to examine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The interfaces to test; all that can be used if there is none.
    pub interfaces: Vec<String>,
    /// Find the hop.
    pub trace: bool,
    /// Find out how long a connection may be idle before something on the way forgets it, up to this time.
    pub idle: Option<Duration>,
}

/// What was found out about all paths to one target.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Examined {
    /// What was asked about, as `host:port`.
    pub target: String,
    /// One for each interface and address that was tested.
    pub paths: Vec<ExaminedPath>,
    /// What was not tested, and why.
    pub notes: Vec<String>,
}

/// What was found out about one path.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExaminedPath {
    /// The verdict, and what it rests on.
    pub told: PathDiagnosis,
    /// The routers on the way out, if they were looked for.
    pub trace: Option<Trace>,
    /// What was changed on the way out, and between which hops.
    pub changes: Vec<Located>,
    /// Between which hops SYNs with the option vanish.
    pub dropped: Option<Interval>,
    /// SYNs with the option arrive, and it is certain: what is dropped is the answers to them, on the way back.
    pub arrives: bool,
    /// The way back, as the other end has told it in JSON.
    pub back: Option<serde_json::Value>,
    /// What became of several flows, if not the same; all else is of one that fares worst.
    pub flows: Option<FlowsTried>,
    /// The hops by SYNs that join a connection, if these do not get through.
    pub join: Option<JoinTraced>,
}

/// What was found out about the way of joins.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JoinTraced {
    /// The routers on the way out.
    pub trace: Trace,
    /// What was changed on the way out, and between which hops.
    pub changes: Vec<Located>,
    /// Between which hops joins vanish.
    pub dropped: Option<Interval>,
    /// The way back, as the other end has told it in JSON.
    pub back: Option<serde_json::Value>,
}

impl Examined {
    /// What it comes to.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut all = Diagnosis::new(self.target.clone());
        all.paths = self.paths.iter().map(|it| it.told.clone()).collect();
        all.outcome()
    }
}

/// What many come to: the worst that is certain.
#[must_use]
pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let all = outcomes.into_iter();
    all.max_by_key(|it| it.weight()).unwrap_or(Outcome::Unknown)
}

/// Examines every path to `target`, side by side.
///
/// # Errors
///
/// As [`twinpath::diagnosis::diagnose`].
///
/// # Cancel safety
///
/// Dropping the future closes what is open.
pub async fn examine(target: &Target, options: &Options) -> Result<Examined, ConnectError> {
    let (paths, diagnosis) = paths_to(target, &options.interfaces).await?;
    let mut examining = JoinSet::new();
    let turns = Arc::<Turns>::default();
    let mut with_trace = 0;
    for (at, path) in paths.iter().cloned().enumerate() {
        let mut options = options.clone();
        // The hops to the addresses of one server are mostly the same, and each is asked once a second.
        let is_first = |it: &PathToTest| {
            it.interface == path.interface && it.server.is_ipv6() == path.server.is_ipv6()
        };
        options.trace &= paths.iter().position(is_first) == Some(at);
        with_trace += usize::from(options.trace);
        let turns = Arc::clone(&turns);
        examining.spawn(async move { (at, path::examine(&path, &options, &turns).await) });
    }
    let mut examined = Vec::new();
    while let Some(done) = examining.join_next().await {
        // A task fails only by a panic, which goes on here.
        match done.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => examined.push(done),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(error)) => log::error!("a path was not examined to the end: {error}"),
        }
    }
    examined.sort_by_key(|(at, _)| *at);
    let mut examined: Vec<_> = examined.into_iter().map(|(_, path)| path).collect();
    if raw::is_permitted().is_ok() {
        join::join(&paths, &mut examined).await;
    } else if paths.len() > 1 {
        for path in &mut examined {
            let what =
                "whether it can join a connection of another path: CAP_NET_RAW, as with sudo";
            path.told.needs.push(what.into());
        }
    }
    summarise(&mut examined);
    let mut notes = diagnosis.notes;
    if options.trace && with_trace < paths.len() {
        notes.push(
            "--trace looked at the way to the first address of a family alone: name another one to trace it"
                .into(),
        );
    }
    Ok(Examined {
        target: diagnosis.target,
        paths: examined,
        notes,
    })
}

/// Traces of one family go one after the other: the hops near the server are the same for all, and each is asked once a
/// second.
#[derive(Debug, Default)]
struct Turns([Mutex<()>; 2]);

impl Turns {
    fn of(&self, path: &PathToTest) -> &Mutex<()> {
        &self.0[usize::from(path.server.is_ipv6())]
    }
}

/// Whether something takes joins out or drops them.
pub(crate) fn joins_are_hindered(told: &PathDiagnosis) -> bool {
    let hinders = |state| ["stripped", "dropped"].contains(&state);
    told.findings
        .iter()
        .any(|it| it.topic == "join" && hinders(it.state))
}

/// A sentence for each path, with what was not tested of the other half.
fn summarise(examined: &mut [ExaminedPath]) {
    let kinds: Vec<_> = examined
        .iter()
        .map(|it| (it.told.server, it.told.kind))
        .collect();
    for path in examined {
        path.told.summary = sentence(&path.told);
        if path.told.verdict != Verdict::Works {
            continue;
        }
        if joins_are_hindered(&path.told) {
            path.told.summary = format!(
                "Between {} and {} connections with MPTCP get through, and what joins a second path to them (MP_JOIN) does not",
                path.told.interface, path.told.server
            );
        }
        let other = match path.told.kind {
            InterfaceKind::Cellular => (InterfaceKind::Wifi, "Wi-Fi"),
            _ => (InterfaceKind::Cellular, "cellular"),
        };
        let is_tested = kinds.contains(&(path.told.server, other.0));
        let tested = if is_tested {
            "tested beside it"
        } else {
            "not tested"
        };
        path.told
            .summary
            .push_str(&format!("; {} half {tested}", other.1));
    }
}
