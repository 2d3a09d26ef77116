//! `twinpath demo`: a download that survives the loss of Wi-Fi, beside one over plain TCP.

mod client;
mod file;
mod links;
mod progress;
mod recording;
mod relayed;
mod report;
mod server;
mod story;
mod terminal;

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use twinpath_lab::LabError;

use crate::args::Standby;
use crate::exit::{self, Failure};
use links::{Links, Stage, tell};
use progress::End;
use recording::{Recording, Run};
use terminal::{Terminal, megabytes};

/// What `twinpath demo` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the links are made of; `auto` takes namespaces where they are to be had.
    #[arg(long, value_enum, default_value_t = Links::Auto)]
    links: Links,
    /// Keep the backup open and idle, or closed until it is needed.
    #[arg(long, value_enum, default_value_t = Standby::Warm)]
    standby: Standby,
    /// Where the report is written.
    #[arg(long, value_name = "FILE", default_value = "twinpath-demo.html")]
    report: PathBuf,
}

/// The process must have one thread at this point, see [`twinpath_lab::become_root_in_user_namespace`].
pub(crate) fn run(args: &Args) -> ExitCode {
    exit::with(show(args))
}

fn show(args: &Args) -> Result<(), Failure> {
    try_report(&args.report)?;
    let (build, stage, name) = choose(args.links).map_err(Failure::not_connected)?;
    let standby = match args.standby {
        Standby::Cold => twinpath::Standby::Cold,
        Standby::Warm => twinpath::Standby::Warm,
    };
    let mut terminal = Terminal::new();
    let played = story::play(build, (stage, name), standby, &mut terminal);
    let recording = played.map_err(Failure::not_connected)?;
    terminal.say(&verdict("twinpath ", &recording.twinpath));
    terminal.say(&verdict("plain TCP", &recording.plain));
    let written = write_report(&args.report, &recording);
    if written.is_ok() {
        terminal.say(&format!(
            "\nThe whole story is in {}",
            args.report.display()
        ));
    }
    match &recording.twinpath.last.end {
        Some((_, End::Intact)) => written,
        Some((_, End::Damaged)) => Err(Failure::lost("the file has arrived damaged")),
        Some((_, End::Failed(error))) => Err(Failure::lost(error)),
        None => Err(Failure::lost("the download did not end in time")),
    }
}

type Build = fn() -> Result<Stage, LabError>;

/// The first stage, how to build another one like it, and what to call it.
fn choose(links: Links) -> Result<(Build, Stage, String), String> {
    let loopback = |why: &str| {
        let stage = Stage::loopback().map_err(tell)?;
        let name = format!("impaired relays on the loopback address, inside this process{why}");
        Ok((Stage::loopback as Build, stage, name))
    };
    if links == Links::Loopback {
        return loopback("");
    }
    let before = user_namespace();
    let built = twinpath_lab::become_root_in_user_namespace().and_then(|()| Stage::namespaces());
    let who = if user_namespace() == before {
        "as root"
    } else {
        "as an ordinary user"
    };
    match built {
        Ok(stage) => {
            let name = format!("devices in network namespaces, with the kernel's own TCP ({who})");
            Ok((Stage::namespaces, stage, name))
        }
        Err(error) if links == Links::Auto && may_fall_back(&error) => {
            loopback(&format!(" (no namespaces: {})", tell(error)))
        }
        Err(error) => Err(format!("{}; try --links loopback", tell(error))),
    }
}

fn may_fall_back(error: &LabError) -> bool {
    error.is_unavailable() || matches!(error, LabError::MultiThreaded | LabError::Setup { .. })
}

/// The name of the user namespace this process is in, where there are such.
fn user_namespace() -> Option<PathBuf> {
    std::fs::read_link("/proc/self/ns/user").ok()
}

fn verdict(name: &str, run: &Run) -> String {
    let stall = run.last.stall.length.as_secs_f64();
    let outcome = match &run.last.end {
        Some((at, End::Intact)) => format!("50 MB in {:.1} s, SHA-256 matches", at.as_secs_f64()),
        Some((at, End::Damaged)) => format!("50 MB in {:.1} s, but WRONG bytes", at.as_secs_f64()),
        Some((at, End::Failed(error))) => format!("broke after {:.1} s: {error}", at.as_secs_f64()),
        None => format!("not finished, {:.1} of 50 MB", megabytes(run.last.received)),
    };
    format!("{name}  {outcome}, longest stall {stall:.2} s")
}

fn write_report(path: &Path, recording: &Recording) -> Result<(), Failure> {
    std::fs::write(path, report::html(recording)).map_err(|error| cannot_write(path, &error))
}

/// Half a minute is too long to wait for an error that can be known at once. A report of an earlier run is left alone
/// until there is another, and an interrupted run leaves no empty one.
fn try_report(path: &Path) -> Result<(), Failure> {
    let existed = path.exists();
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    opened.map_err(|error| cannot_write(path, &error))?;
    if !existed {
        if let Err(error) = std::fs::remove_file(path) {
            log::debug!("an empty report stays behind for now: {error}");
        }
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::not_connected(format!(
        "cannot write {}: {error}; run it in a folder you may write to, or give --report FILE",
        path.display()
    ))
}
