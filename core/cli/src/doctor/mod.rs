//! `twinpath doctor`: whether a network lets Multipath TCP through, and who stops it.

mod hosts;
mod listen;
mod watch;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::task::JoinSet;
use twinpath::Target;
use twinpath_doctor::report::{self, Style};
use twinpath_doctor::{Examined, Options, examine, worst};

use crate::exit::{self, Failure, say};
use crate::values::{ListenAt, parse_interface};

/// Where HTTPS is.
const PORT: u16 = 443;
/// Hosts at the same time.
const MOST: usize = 8;

/// What `twinpath doctor` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without privilege it tells what the kernel's own connections show. With CAP_NET_RAW (sudo) it also sends SYNs of its own, which tell \
a server that does not speak MPTCP from a path that takes the option out, and traces. As root it also finds data that is changed on \
the way, by MPTCP's checksums, and measures how long a connect waits where the option is dropped, both in a network namespace of its \
own. Either way the kernel's MPTCP is as it was afterwards. Of a name with several addresses the first four of each family are tested.

Exit status: 0 MPTCP works, 1 connections work without it, 2 they are broken, 3 it could not be told, 64 usage. Of several paths or \
hosts, the worst that is certain.

Examples:
  twinpath doctor example.com
  sudo twinpath doctor example.com:443 --interface wlan0 --interface wwan0 --trace --html report.html
  twinpath doctor --listen '[::]:8443'    (on a server of your own)")]
pub(crate) struct Args {
    /// Which server: a name or an address, and a port if it is not 443. Brackets around an IPv6 address.
    #[arg(value_name = "HOST[:PORT]", value_parser = parse_server, required_unless_present_any = ["listen", "hosts"])]
    target: Option<Target>,
    /// Be the other end: tell clients what arrives here, on this port (MPTCP) and the one above it (plain TCP). With
    /// CAP_NET_RAW also who changes or drops it on the way back.
    #[arg(long, value_name = "ADDR:PORT", conflicts_with_all = ["target", "hosts", "interface", "trace", "json", "html", "watch", "idle"])]
    listen: Option<ListenAt>,
    /// The interface to test; may be given several times [default: all that can be used].
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
    interface: Vec<String>,
    /// Find the hop at which packets are changed or dropped, those that join a connection as well, and whether that is so
    /// for some connections only. On the way back it takes `twinpath doctor --listen` on the server. Needs CAP_NET_RAW
    /// (sudo).
    #[arg(long)]
    trace: bool,
    /// Find out how long a connection may be idle before something on the way forgets it, up to so many seconds, which it
    /// then takes.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(3..=7200))]
    idle: Option<u64>,
    /// Test the servers in this file, one a line; `#` begins a comment.
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    hosts: Option<PathBuf>,
    /// Test again every so many seconds until Ctrl-C [default: 60].
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
    /// With --watch: end after so many times.
    #[arg(long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    times: Option<u64>,
    /// One JSON object instead of lines; with --watch, one a line each time.
    #[arg(long)]
    json: bool,
    /// Also write the report to this file, as a page that can be sent to those who run the network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match check(args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => exit::with(Err(failure)),
    }
}

fn check(args: &Args) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::not_connected)?;
    if let Some(at) = &args.listen {
        return runtime.block_on(listen::run(at)).map(|()| 0);
    }
    let targets = match (&args.hosts, &args.target) {
        (Some(file), _) => hosts::read(file)?,
        (None, Some(target)) => vec![target.clone()],
        (None, None) => return Err(Failure::usage("name a server")),
    };
    let mut options = Options::default();
    options.interfaces.clone_from(&args.interface);
    options.trace = args.trace;
    options.idle = args.idle.map(Duration::from_secs);
    if let Some(seconds) = args.watch {
        let every = Duration::from_secs(seconds);
        return runtime.block_on(watch::run(args, &targets, &options, every));
    }
    let all = runtime.block_on(examine_all(&targets, &options))?;
    write_page(args, &all)?;
    let outcome = worst(all.iter().map(Examined::outcome));
    match (&all[..], args.json) {
        ([one], true) if args.hosts.is_none() => say(report::json(one))?,
        (all, true) => say(report::many_json(all, outcome))?,
        (all, false) => {
            for examined in all {
                if args.hosts.is_some() {
                    say(format!("{}:", examined.target))?;
                }
                say(report::text(examined, style()).trim_end())?;
            }
        }
    }
    Ok(outcome.code())
}

/// Examines them, a few at a time, in their order.
async fn examine_all(targets: &[Target], options: &Options) -> Result<Vec<Examined>, Failure> {
    let mut waiting = targets.iter().cloned().enumerate();
    let mut running = JoinSet::new();
    let mut all = Vec::new();
    loop {
        while running.len() < MOST {
            let Some((at, target)) = waiting.next() else {
                break;
            };
            let options = options.clone();
            running.spawn(async move { (at, examine(&target, &options).await) });
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        let (at, examined) = done.map_err(Failure::not_connected)?;
        all.push((at, examined.map_err(Failure::not_connected)?));
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, examined)| examined).collect())
}

fn write_page(args: &Args, all: &[Examined]) -> Result<(), Failure> {
    let Some(file) = &args.html else {
        return Ok(());
    };
    let page = report::html(all, env!("CARGO_PKG_VERSION"));
    std::fs::write(file, page)
        .map_err(|error| Failure::not_connected(format!("{}: {error}", file.display())))
}

fn style() -> Style {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    Style {
        colour: io::stdout().is_terminal() && !is_dumb && !no_colour,
    }
}

/// A server with or without a port.
fn parse_server(text: &str) -> Result<Target, String> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse::<std::net::IpAddr>() {
        return Ok(Target::new(address.to_string(), PORT));
    }
    let with_port = match text.contains(':') {
        true => text.to_owned(),
        false => format!("{text}:{PORT}"),
    };
    with_port.parse().map_err(|_| {
        "write it as example.com, example.com:443, 192.0.2.1 or [2001:db8::1]:443".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_be_named_without_a_port() {
        for (text, target) in [
            ("example.com", "example.com:443"),
            ("example.com:8443", "example.com:8443"),
            ("192.0.2.1", "192.0.2.1:443"),
            ("2001:db8::1", "[2001:db8::1]:443"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(parse_server(text).unwrap().to_string(), target);
        }
        assert!(parse_server("http://example.com/").is_err());
        assert!(parse_server("").is_err());
    }
}
