//! Whether a path lets Multipath TCP through, as far as a program without privileges can tell, and
//! the words that all verdicts are told in.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let diagnosis = twinpath::diagnosis::diagnose("example.com:443".parse()?, &[]).await?;
//! for path in &diagnosis.paths {
//!     println!("{}: {}", path.interface, path.summary);
//! }
//! println!("{}", diagnosis.json());
//! # Ok(())
//! # }
//! ```
//!
//! # What it does to the network
//!
//! Per path: a plain TCP connection; one that asks for MPTCP, over which an empty line (CR LF) is sent
//! if it was granted; and the plain one again if it was not answered. A connect with MPTCP is given up
//! before the kernel tries without the option ([`fallback_after`](twinpath_socket::mptcp::fallback_after)):
//! its success would turn MPTCP off for the whole machine for an hour.
//!
//! # What it cannot know
//!
//! Which end or device left the option out of a handshake that came back without it, and anything
//! about networks that it was not run in. Where a kernel has no MPTCP for sockets (macOS, Windows,
//! Android), only whether the server is reachable by TCP. Each [`PathDiagnosis::needs`] says what it
//! would take.

mod json;
mod judge;
mod kernel;
mod paths;
mod verdict;

pub use json::SCHEMA_VERSION;
pub use judge::{changed, judge_kernel, sentence};
pub use kernel::{AnswerOf, KernelEvidence, MptcpAnswer, ask_kernel};
pub use paths::{PathToTest, paths_to};
pub use verdict::{Certainty, Diagnosis, Fallback, Finding, How, Outcome, PathDiagnosis, Verdict};

use crate::Target;
use crate::error::ConnectError;

/// Tests every path to `target`: over the named interfaces, or over all that can be used if none is
/// named, to the first addresses of the server of IPv4 and IPv6. The paths are tested side by side, within 12 s.
///
/// # Errors
///
/// [`ConnectError::Interface`] if they cannot be listed or one of those named does not exist. That
/// nothing could be reached is a verdict, not an error.
///
/// # Cancel safety
///
/// Dropping the future closes what is open.
pub async fn diagnose(target: Target, interfaces: &[String]) -> Result<Diagnosis, ConnectError> {
    let (paths, mut diagnosis) = paths_to(&target, interfaces).await?;
    let mut asking = tokio::task::JoinSet::new();
    for (at, path) in paths.iter().cloned().enumerate() {
        asking.spawn(async move { (at, judge_kernel(&path, &ask_kernel(&path).await)) });
    }
    let mut told = Vec::new();
    while let Some(done) = asking.join_next().await {
        // A task fails only by a panic, which the code above has none of.
        told.extend(done);
    }
    told.sort_by_key(|(at, _)| *at);
    diagnosis
        .paths
        .extend(told.into_iter().map(|(_, path)| path));
    Ok(diagnosis)
}
