//! `twinpath bench`: every number that Twinpath promises, measured beside kernel MPTCP and plain TCP.

mod children;
mod contenders;
mod content;
mod echo;
mod json;
mod lateness;
mod measure;
mod page;
mod rows;
mod scene;
mod service;
mod table;
mod trouble;
mod web;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::exit::{self, Failure};
use measure::Row;
use rows::{Bench, FAMILIES};
use trouble::Trouble;

/// What `twinpath bench` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 every target is met, 1 one is missed, 2 it cannot be measured here, 3 bytes were lost or never came, or
a row could not be measured, 64 usage.

Examples:
  twinpath bench --quick
  twinpath bench --only echo-silent,download --runs 21")]
pub(crate) struct Args {
    /// Few and short runs: less than three minutes instead of half an hour, and less sure.
    #[arg(long)]
    quick: bool,
    /// How often each fault is tried, for each contender [default: 9, with --quick 2].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,
    /// How long the rows take in which nothing may happen, in seconds [default: 600, with --quick 15].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(10..=86_400))]
    long: Option<u64>,
    /// Measure these rows only; names as --list has them, or their beginnings.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Say what can be measured, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Where the page with the single runs is written.
    #[arg(long, value_name = "FILE", default_value = "twinpath-bench.html")]
    output: PathBuf,
    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// The process must have one thread at this point, see [`twinpath_lab::become_root_in_user_namespace`].
pub(crate) fn run(args: Args) -> ExitCode {
    match measure(&args) {
        Ok(code) => code,
        Err(failure) => exit::with(Err(failure)),
    }
}

fn measure(args: &Args) -> Result<ExitCode, Failure> {
    if args.list {
        print(&rows::list())?;
        return Ok(ExitCode::SUCCESS);
    }
    for wanted in &args.only {
        if !rows::names().any(|name| name.starts_with(wanted.as_str())) {
            return Err(Failure::usage(format_args!(
                "there is no row named {wanted}; see `twinpath bench --list`"
            )));
        }
    }
    twinpath_lab::become_root_in_user_namespace()
        .and_then(|()| scene::check())
        .map_err(|error| {
            let reason = Trouble::from(error);
            Failure::not_connected(format_args!("the bench needs links of its own: {reason}"))
        })?;
    let bench = Bench::new(args.quick, args.runs, args.long, &args.only);
    let begin = Instant::now();
    let mut table: Vec<Row> = Vec::new();
    for family in FAMILIES {
        if family.rows.iter().any(|name| bench.wants(name)) {
            table.extend((family.measure)(&bench));
        }
    }
    table.retain(|row| bench.wants(row.name));
    table.push(rows::bytes());
    let took = begin.elapsed();
    let page = page::html(&table, &bench, took);
    std::fs::write(&args.output, page).map_err(|error| {
        Failure::not_connected(format_args!(
            "cannot write {}: {error}; give --output FILE",
            args.output.display()
        ))
    })?;
    print(&if args.json {
        json::text(&table, &bench, took)
    } else {
        table::text(&table, &bench, took)
    })?;
    bench.say(format_args!(
        "The single runs are in {}",
        args.output.display()
    ));
    Ok(ExitCode::from(verdict(&table)))
}

/// Too slow, which a busy machine can be blamed for, is told apart from broken, which it cannot.
fn verdict(table: &[Row]) -> u8 {
    if table.iter().any(Row::is_broken) {
        exit::BROKEN
    } else if table.iter().all(Row::is_met) {
        0
    } else {
        exit::LOST
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        // A closed pipe, as with `| head`, is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::not_connected(
            format_args!("cannot write: {error}"),
        )),
        _ => Ok(()),
    }
}
