//! Skipping a test aloud where the machine cannot run it.

use std::fmt;
use std::io::{self, Write as _};

use crate::error::LabError;

/// The variable that turns a skipped test into a failed one.
const REQUIRE: &str = "TWINPATH_REQUIRE_LAB";

/// Passes on what the lab returned, or `None` where this machine cannot have a lab; then it says
/// so on standard error. See [`world_or_skip!`](crate::world_or_skip).
///
/// # Panics
///
/// When the lab failed for another reason, or `TWINPATH_REQUIRE_LAB=1` is set.
#[track_caller]
pub fn or_skip<T>(lab: Result<T, LabError>) -> Option<T> {
    let error = match lab {
        Ok(lab) => return Some(lab),
        Err(error) => error,
    };
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    assert!(error.is_unavailable(), "no lab: {text}");
    skip(format_args!("no lab: {text}"));
    None
}

/// Says on standard error that the calling test is skipped, in a line that `tests/run` counts.
///
/// # Panics
///
/// When `TWINPATH_REQUIRE_LAB=1` is set.
#[track_caller]
pub fn skip(reason: impl fmt::Display) {
    let required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
    assert!(!required, "{REQUIRE}=1, but {reason}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not by eprintln, which is captured when a test passes. One write, since lines of other tests
    // come at the same time.
    let line = format!("SKIPPED {test}: {reason}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

/// The world a test runs in. Returns from the calling function, with a line on standard error,
/// where the machine cannot have one, and panics instead if `TWINPATH_REQUIRE_LAB=1` is set.
///
/// ```no_run
/// # fn test() {
/// let world = twinpath_lab::world_or_skip!();
/// let slow = twinpath_lab::world_or_skip!(
///     twinpath_lab::World::builder().link("wlan0", twinpath_lab::LinkSpec::cellular()).build()
/// );
/// # }
/// ```
#[macro_export]
macro_rules! world_or_skip {
    () => {
        $crate::world_or_skip!($crate::World::new())
    };
    ($world:expr) => {
        match $crate::or_skip($world) {
            Some(world) => world,
            None => return,
        }
    };
}
