//! Skipping a test aloud where the machine cannot run it.

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
    let required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
    assert!(error.is_unavailable() && !required, "no lab: {text}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("SKIPPED {test}: {text}");
    None
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
