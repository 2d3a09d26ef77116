//! `twinpath mptcp`: what the kernel's MPTCP lacks for protected connections, and how it is changed and put back.

mod endpoints;
mod facts;
mod findings;
mod judge;
mod show;

use std::io;
use std::process::ExitCode;

use clap::Subcommand;
use twinpath::mptcp::{Setup, undo};
use twinpath::{Interface, InterfaceKind};

use twinpath_socket::mptcp::PathManager;

use crate::exit::{self, Failure, say};
use crate::values::parse_interface;
use facts::Facts;

/// What `twinpath mptcp` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what this machine can do, what is missing, and what to do about it.
    Status(StatusArgs),
    /// Make the backup interface the backup of all MPTCP connections, until `undo` or the next boot.
    Setup(SetupArgs),
    /// Put back what setup has changed, what crashed programs have left, and what is taken out.
    #[command(after_help = "\
Exit status: 0 everything is as it was, 2 it could not be put back, 64 usage. There may be nothing to undo.")]
    Undo,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is `ok`, `missing` (no protected connection without it) or `note`.

Exit status: 0 a protected connection is possible now, 1 it is not, 2 there is no such interface, 64 usage. Whether a server speaks \
MPTCP and whether the networks let it through, only a connection shows.")]
struct StatusArgs {
    /// The interface that stands by [default: cellular].
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
    backup: Option<String>,
    /// The interface to prefer [default: Wi-Fi or a cable].
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
    primary: Option<String>,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints every change as you would type it. Programs then need no privilege for a connection with a backup.

Exit status: 0 done, 2 it could not be done, 64 usage.

Example:
  sudo twinpath mptcp setup --backup wwan0 --dry-run")]
struct SetupArgs {
    /// The interface that stands by.
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
    backup: String,
    /// The interface to prefer [default: Wi-Fi or a cable].
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
    primary: Option<String>,
    /// Only print what would be changed.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    exit::with(match &args.command {
        Command::Status(args) => status(args),
        Command::Setup(args) => set_up(args),
        Command::Undo => put_back(),
    })
}

fn status(args: &StatusArgs) -> Result<(), Failure> {
    let interfaces = interfaces()?;
    let (primary, backup) = choose(&interfaces, args.primary.as_deref(), args.backup.as_deref())?;
    let mut facts = Facts::gather(&interfaces, primary, backup);
    facts.named = [args.primary.clone(), args.backup.clone()];
    let findings = judge::judge(&facts);
    if args.json {
        say(findings.json())?;
    } else {
        say(show::text(&findings))?;
    }
    match findings.is_possible() {
        true => Ok(()),
        false => Err(Failure::silent(exit::LOST)),
    }
}

fn set_up(args: &SetupArgs) -> Result<(), Failure> {
    let interfaces = interfaces()?;
    let (primary, backup) = choose(&interfaces, args.primary.as_deref(), Some(&args.backup))?;
    let Some(backup) = backup else {
        let name = &args.backup;
        return Err(Failure::not_connected(format!(
            "{name} is down or has no address"
        )));
    };
    let setup = Setup::of(backup, primary).map_err(|error| failed(&error))?;
    if setup.steps().is_empty() {
        return say(format!("{} stands by already: nothing to do", backup.name));
    }
    if args.dry_run {
        return setup.steps().iter().try_for_each(say);
    }
    let mut saying = Ok(());
    let applied = setup.apply(|step| {
        if saying.is_ok() {
            saying = say(step);
        }
    });
    applied.map_err(|error| failed(&error))?;
    saying
}

fn put_back() -> Result<(), Failure> {
    let undone = undo().map_err(|error| failed(&error))?;
    if undone.is_empty() {
        let may_change = PathManager::open().and_then(|mut manager| manager.may_change());
        return say(match may_change {
            Ok(false) => "nothing to undo of this user (what root has changed, only root sees)",
            _ => "nothing to undo",
        });
    }
    undone
        .iter()
        .try_for_each(|change| say(format!("undone: {change}")))
}

fn interfaces() -> Result<Vec<Interface>, Failure> {
    twinpath_socket::interfaces().map_err(Failure::not_connected)
}

/// The primary and the backup: as named, else as connections choose them.
fn choose<'a>(
    interfaces: &'a [Interface],
    primary: Option<&str>,
    backup: Option<&str>,
) -> Result<(Option<&'a Interface>, Option<&'a Interface>), Failure> {
    if primary.is_some() && primary == backup {
        return Err(Failure::usage(
            "--primary and --backup name the same interface",
        ));
    }
    let named = |name: &str| match interfaces.iter().find(|it| it.name == name) {
        Some(found) => Ok(Some(found).filter(|it| it.up && !it.addresses.is_empty())),
        None => {
            let names: Vec<_> = interfaces.iter().map(|it| it.name.as_str()).collect();
            let names = names.join(", ");
            Err(Failure::not_connected(format!(
                "there is no interface {name}; there are: {names}"
            )))
        }
    };
    let of_kind = |kind: InterfaceKind, not: Option<&str>| {
        let is_free = |it: &&Interface| Some(it.name.as_str()) != not;
        let mut usable = interfaces.iter().filter(|it| it.is_usable());
        usable.find(|it| it.kind == kind && is_free(it))
    };
    let backup_of = || of_kind(InterfaceKind::Cellular, primary);
    let found = backup.map_or_else(|| Ok(backup_of()), named)?;
    let not = backup.or_else(|| found.map(|it| it.name.as_str()));
    let preferred =
        || of_kind(InterfaceKind::Wifi, not).or_else(|| of_kind(InterfaceKind::Wired, not));
    let primary = primary.map_or_else(|| Ok(preferred()), named)?;
    Ok((primary, found))
}

fn failed(error: &io::Error) -> Failure {
    Failure::not_connected(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "changing the kernel's MPTCP needs CAP_NET_ADMIN: run it with sudo".to_owned()
        }
        io::ErrorKind::Unsupported => {
            "this system has no MPTCP that sockets can ask for".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("{error}: this seems to be a container; run it on the host")
        }
        _ => error.to_string(),
    })
}
