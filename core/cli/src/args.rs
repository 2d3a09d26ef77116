//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, Subcommand, ValueEnum};
use twinpath_proto::PublicKey;

use crate::{bench, demo, gateway};

/// Connections with cellular backup: the bytes go on when Wi-Fi dies.
#[derive(Debug, Parser)]
#[command(name = "twinpath", version, arg_required_else_help = true)]
pub(crate) struct Args {
    /// Tell more on standard error; twice for every decision. See also TWINPATH_LOG.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it: a download that survives the loss of Wi-Fi, beside one over plain TCP.
    Demo(demo::Args),
    /// Open a connection and carry standard input and output, or local connections, over it.
    Connect(ConnectArgs),
    /// Run the server half in front of a TCP service.
    Gateway(gateway::Args),
    /// Measure failover beside kernel MPTCP and plain TCP.
    Bench(bench::Args),
}

/// What `twinpath connect` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 the connection ended in order, 1 it was lost, 2 there never was one, 64 usage.

Examples:
  twinpath connect gateway.example.com:443 --gateway < request
  twinpath connect '[2001:db8::1]:443' --gateway --listen 127.0.0.1:8443 --events -")]
pub(crate) struct ConnectArgs {
    /// Where to: a name or an address, and a port. Brackets around an IPv6 address.
    #[arg(value_name = "HOST:PORT")]
    pub(crate) target: Target,
    /// The peer is a twinpath gateway. Only then does a connection survive the loss of its path.
    #[arg(long)]
    pub(crate) gateway: bool,
    /// Carry every connection accepted here over one of its own, instead of standard input and
    /// output. Port 0 takes a free port; standard error says which.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// The interface to prefer [default: Wi-Fi or a cable].
    #[arg(long, value_name = "IFACE")]
    pub(crate) primary: Option<String>,
    /// The interface that stands by [default: cellular].
    #[arg(long, value_name = "IFACE")]
    pub(crate) backup: Option<String>,
    /// Use the backup only when needed, or also for the lowest delay.
    #[arg(long, value_enum, default_value_t = Service::Handover)]
    pub(crate) service: Service,
    /// Keep the backup closed until it is needed, or open and idle [default: cold for handover,
    /// warm for interactive].
    #[arg(long, value_enum)]
    pub(crate) standby: Option<Standby>,
    /// How to run; `auto` goes by --gateway.
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    pub(crate) mode: Mode,
    /// Accept only the gateway with this public key, which it prints at its start.
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    pub(crate) pin: Option<PublicKey>,
    /// The most that may go over the backup in a day: a number of bytes, with k, M or G if you
    /// like [default: 50M].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) budget: Option<u64>,
    /// Append what happens, as JSON lines; `-` is standard output with --listen and standard error
    /// without.
    #[arg(long, value_name = "FILE|-")]
    pub(crate) events: Option<EventsTo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    Handover,
    Interactive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Standby {
    Cold,
    Warm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Emulated with --gateway, plain without.
    Auto,
    /// A kernel MPTCP socket.
    Kernel,
    /// A session with a gateway, lossless.
    Emulated,
    /// Plain TCP, the connect raced over both paths.
    Plain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EventsTo {
    Standard,
    File(PathBuf),
}

impl FromStr for EventsTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty".to_owned()),
            "-" => Ok(Self::Standard),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// `host:port`, looked at so far that a typing error is a usage error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(String);

impl Target {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write it as example.com:443, 192.0.2.1:443 or [2001:db8::1]:443";
        let (host, port) = text.rsplit_once(':').ok_or(example)?;
        if port.parse::<u16>().is_ok_and(|port| port > 0) {
            let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
            let is_host = match bare {
                Some(v6) => v6
                    .split('%')
                    .next()
                    .is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok()),
                None => !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']),
            };
            if is_host {
                return Ok(Self(text.to_owned()));
            }
        }
        Err(example.to_owned())
    }
}

fn parse_key(text: &str) -> Result<PublicKey, String> {
    text.trim().parse().map_err(|_| {
        "a public key is 64 hexadecimal digits, as `twinpath gateway --key FILE` prints it"
            .to_owned()
    })
}

/// A number of bytes with a decimal suffix.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || "write a number of bytes, as in 500000, 500k, 50M or 1G".to_owned();
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "that is too much".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn bytes_have_suffixes() {
        assert_eq!(parse_bytes("17"), Ok(17));
        assert_eq!(parse_bytes("500k"), Ok(500_000));
        assert_eq!(parse_bytes("50M"), Ok(50_000_000));
        assert_eq!(parse_bytes("2G"), Ok(2_000_000_000));
        for wrong in ["", "k", "1.5M", "-1", "+1", "1T", "1 k", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn targets_are_looked_at() {
        for right in ["a:1", "192.0.2.1:443", "[2001:db8::1]:443", "[fe80::1%3]:1"] {
            assert!(right.parse::<Target>().is_ok(), "{right}");
        }
        let wrong = [
            "",
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "2001:db8::1:443",
            "[x]:1",
            "a b:1",
            "http://a:1",
        ];
        for wrong in wrong {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dash_is_no_file() {
        assert_eq!("-".parse(), Ok(EventsTo::Standard));
        assert_eq!("./-".parse(), Ok(EventsTo::File("./-".into())));
    }
}
