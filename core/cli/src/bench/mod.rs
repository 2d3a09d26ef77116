//! `twinpath bench`.

use std::process::ExitCode;

use crate::exit;

/// Measures failover beside kernel MPTCP and plain TCP.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args) -> ExitCode {
    exit::complain("the bench is being built; try `twinpath demo`");
    ExitCode::from(exit::NOT_CONNECTED)
}
