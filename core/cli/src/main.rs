//! The `twinpath` command: connections with cellular backup, from a terminal.

mod args;
mod bench;
mod connect;
mod demo;
mod doctor;
mod exit;
mod fetch;
mod gateway;
mod help;
mod mptcp;
mod values;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser as _;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return exit::usage(&error),
    };
    start_logging(args.verbose);
    let code = match args.command {
        Command::Demo(args) => demo::run(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Gateway(args) => gateway::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Mptcp(args) => mptcp::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    // Nobody waits for tasks that still run, and these may have connections.
    twinpath::mptcp::end_leases();
    code
}

/// Logs go to standard error; `-v` is for users, the variables are for everyone else.
fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let variable = if std::env::var_os("TWINPATH_LOG").is_some() {
        "TWINPATH_LOG"
    } else {
        "RUST_LOG"
    };
    let environment = env_logger::Env::new().filter_or(variable, level);
    let mut builder = env_logger::Builder::from_env(environment);
    builder.format_timestamp_millis();
    if verbose > 0 {
        // What is asked for by hand goes before what the environment says.
        builder.parse_filters(level);
    }
    // Fails only if there is a logger already, which then serves.
    let _ = builder.try_init();
}
