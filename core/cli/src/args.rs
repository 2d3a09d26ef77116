//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use twinpath_proto::PublicKey;

use crate::values::{EventsTo, ListenAt, Target, parse_bytes, parse_interface, parse_key};
use crate::{bench, demo, doctor, fetch, gateway, help, mptcp};

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
    /// Download something over HTTP, and go on when Wi-Fi is lost.
    Fetch(fetch::Args),
    /// Run the server half in front of a TCP service.
    Gateway(gateway::Args),
    /// Measure failover beside kernel MPTCP and plain TCP.
    Bench(bench::Args),
    /// Look after the kernel's Multipath TCP: what is missing for a backup, and how to change it.
    Mptcp(mptcp::Args),
    /// Tell whether a network lets Multipath TCP through to a server, and who stops it.
    Doctor(doctor::Args),
}

/// What `twinpath connect` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = help::CONNECT, after_long_help = help::CONNECT_LONG)]
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
    pub(crate) listen: Option<ListenAt>,
    /// The interface to prefer [default: Wi-Fi or a cable]. Naming one, here or with --backup, opts
    /// out of what otherwise demands one path over the system's route: a VPN, a mandated proxy, a
    /// target in a private or local network.
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
    pub(crate) primary: Option<String>,
    /// The interface that stands by [default: cellular]. Opts out as --primary does.
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
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
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, allow_negative_numbers = true)]
    pub(crate) budget: Option<u64>,
    /// Append what happens, as JSON lines; `-` is standard output with --listen and standard error
    /// without. Without this, standard error says once if a connection is unprotected.
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
    /// Emulated with --gateway; without, kernel where it has a backup, else plain.
    Auto,
    /// A kernel MPTCP socket, backup or not; with --gateway no session is spoken.
    Kernel,
    /// A session with a gateway, lossless.
    Emulated,
    /// Plain TCP, the connect raced over both paths.
    Plain,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
