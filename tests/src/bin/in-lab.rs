//! Runs a command on the client's host of a world, for tests in other languages: see [`twinpath_tests::in_lab`].
//!
//!     in-lab COMMAND [ARGUMENT]...

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(command) = arguments.next() else {
        eprintln!("usage: in-lab COMMAND [ARGUMENT]...");
        return ExitCode::from(64);
    };
    twinpath_tests::in_lab(&command, &arguments.collect::<Vec<_>>())
}
