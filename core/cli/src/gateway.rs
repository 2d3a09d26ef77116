//! `twinpath gateway`: the server half in front of an unchanged TCP service.

use std::io::{self, Write as _};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use tokio::runtime::Runtime;
use twinpath_gateway::{Forwarder, KeyFile, Limits, ProxyProtocol, ShutdownHandle};

use crate::exit::{self, Failure};
use crate::values::parse_bytes;

/// What `twinpath gateway` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The first SIGTERM or SIGINT drains: nothing new is taken, connections may end. The second ends at once.

Examples:
  twinpath gateway --listen '[::]:443' --to 127.0.0.1:8443 --key gateway.key
  twinpath gateway --listen 0.0.0.0:443 --to web:80 --metrics 127.0.0.1:9090 --proxy-protocol v2")]
pub(crate) struct Args {
    /// Where clients connect. Port 0 takes a free port; standard error says which.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: SocketAddr,
    /// The TCP service behind the gateway.
    #[arg(long, value_name = "ADDR:PORT")]
    to: Endpoint,
    /// The file with the key that clients may pin; it is made if it does not exist.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// An address to which clients shall join, if not where they connected first; up to eight.
    #[arg(long, value_name = "HOST:PORT")]
    join_address: Vec<Endpoint>,
    /// Serve Prometheus metrics (/metrics) and health (/healthz) here; keep it away from clients.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<SocketAddr>,
    /// Tell the service who the client is.
    #[arg(long, value_enum, value_name = "VERSION")]
    proxy_protocol: Option<ProxyVersion>,
    /// Take a client that says nothing for this long for one that waits for the server to speak.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    raw_after: Option<u64>,
    /// How long connections may take to end once the gateway drains.
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    drain_timeout: u64,
    /// Let a new leg carry data to the client only after it has proven that it hears the gateway;
    /// costs a round trip per join.
    #[arg(long)]
    strict_join: bool,
    #[command(flatten)]
    bounds: Bounds,
}

/// The bounds that an operator may set.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct Bounds {
    /// Raw connections, and sessions whose client has not proven itself yet, that one IPv4 address
    /// or IPv6 /64 may hold [default: 256]. Joins are never counted.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_per_address: Option<u32>,
    /// Sessions in all [default: 10000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_sessions: Option<u32>,
    /// Raw connections in all; 0 takes none [default: 10000].
    #[arg(long, value_name = "N")]
    max_raw: Option<u32>,
    /// What all connections together may keep waiting to be read or acknowledged: a number of
    /// bytes, with k, M or G if you like; at least 64 KiB. Allows one session for every 32 KiB
    /// [default: 1 GiB].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    max_buffers: Option<u64>,
    /// End a session whose client was not heard for this long [default: 7440].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=604_800))]
    idle_timeout: Option<u64>,
    /// Hold a session whose client has no path for this long at most; clients ask for their time
    /// within it, as an app does that goes to the background [default: 60].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=1800))]
    max_ttl: Option<u64>,
    /// What a session may have under way in each direction: a number of bytes as above, from
    /// 16 KiB to 16 MiB. More is of use on paths both long and fast [default: 4 MiB].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    window: Option<u64>,
}

impl Bounds {
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        let set = |limit: &mut usize, value: Option<u32>| {
            if let Some(value) = value {
                *limit = usize::try_from(value).unwrap_or(usize::MAX);
            }
        };
        set(&mut limits.per_address, self.max_per_address);
        set(&mut limits.sessions, self.max_sessions);
        set(&mut limits.raw, self.max_raw);
        if let Some(bytes) = self.max_buffers {
            limits.buffers = bytes;
        }
        if let Some(seconds) = self.idle_timeout {
            limits.idle = Duration::from_secs(seconds);
        }
        limits
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProxyVersion {
    V2,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    host: String,
    port: u16,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write it as 127.0.0.1:80, [::1]:80 or name:80".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let host = match host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            Some(v6) => v6.parse::<Ipv6Addr>().is_ok().then_some(v6),
            None => (!host.is_empty() && !host.contains([':', '/', ' '])).then_some(host),
        };
        match (host, port) {
            (Some(host), Some(port)) => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err(wrong()),
        }
    }
}

impl Endpoint {
    fn to_text(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

pub(crate) fn run(args: Args) -> ExitCode {
    exit::with(serve(args))
}

/// Raises the number of descriptors that the process may have open, and gives it.
fn raise_descriptor_limit() -> u64 {
    twinpath_socket::raise_descriptor_limit().unwrap_or_else(|error| {
        log::warn!("the limit of open files cannot be raised: {error}");
        u64::MAX
    })
}

/// Says so if fewer connections can be taken than `limits` allow.
fn warn_of_few_descriptors(limits: &Limits) {
    let (allowed, needed) = (limits.descriptors, descriptors_needed(limits));
    if allowed < needed {
        log::warn!(
            "{allowed} open files allowed, and the limits on sessions and raw connections need {needed}; raise the limit (ulimit -n, LimitNOFILE=)"
        );
    }
}

/// Descriptors of as many connections as `limits` allow.
fn descriptors_needed(limits: &Limits) -> u64 {
    /// Two legs and a connection to the service.
    const SESSION: u64 = 3;
    /// The client's connection and that to the service.
    const RAW: u64 = 2;
    /// Connections that have not shown yet what they are, and all else.
    const OTHERS: u64 = 6_000;
    let sessions = (limits.sessions as u64).saturating_mul(SESSION);
    let raw = (limits.raw as u64).saturating_mul(RAW);
    sessions.saturating_add(raw).saturating_add(OTHERS)
}

fn serve(args: Args) -> Result<(), Failure> {
    let runtime = Runtime::new().map_err(Failure::not_connected)?;
    let result = runtime.block_on(async {
        let mut limits = args.bounds.limits();
        limits.descriptors = raise_descriptor_limit();
        let gateway = build(&args, limits)?;
        let shutdown = gateway.shutdown_handle();
        // Before the address is told: whoever reads it may signal at once.
        let signals = Signals::listen().map_err(Failure::not_connected)?;
        tokio::spawn(signals.advance(shutdown));
        announce(&gateway);
        warn_of_few_descriptors(&limits);
        let report = gateway.run().await;
        if report.clean {
            log::info!("ended after {:.1} s", report.drained_for.as_secs_f32());
        } else {
            let cut = report.sessions_cut + report.raw_cut;
            say(&format!("cut off {cut} connections that were still open"));
        }
        Ok(())
    });
    // A lookup that hangs must not hold up the end.
    runtime.shutdown_background();
    result
}

fn build(args: &Args, limits: Limits) -> Result<Forwarder, Failure> {
    let mut builder = Forwarder::builder(args.listen, args.to.to_text())
        .limits(limits)
        .raw_after(args.raw_after.map(Duration::from_millis))
        .drain_timeout(Duration::from_secs(args.drain_timeout))
        .strict_join(args.strict_join);
    if let Some(path) = &args.key {
        let file = KeyFile::open(path).map_err(Failure::not_connected)?;
        let made = if file.created { "new " } else { "" };
        say(&format!("{made}public key {}", file.public()));
        builder = builder.key(file.key);
    }
    if let Some(bytes) = args.bounds.window {
        builder = builder.window(u32::try_from(bytes).unwrap_or(u32::MAX));
    }
    if let Some(seconds) = args.bounds.max_ttl {
        builder = builder.ttl_max(Duration::from_secs(seconds));
    }
    for Endpoint { host, port } in &args.join_address {
        builder = builder.join_address(host, *port);
    }
    if let Some(address) = args.metrics {
        builder = builder.metrics(address);
    }
    if let Some(ProxyVersion::V2) = args.proxy_protocol {
        builder = builder.proxy_protocol(ProxyProtocol::V2);
    }
    builder.build().map_err(|error| {
        let advice = match error.io().map(io::Error::kind) {
            Some(io::ErrorKind::AddrInUse) => "; another program has it, choose another port",
            Some(io::ErrorKind::PermissionDenied) => {
                "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
            }
            Some(io::ErrorKind::AddrNotAvailable) => {
                "; this machine has no such address, 0.0.0.0 and [::] take all"
            }
            _ => "",
        };
        let text = format!("{error}{advice}");
        match error.io() {
            Some(_) => Failure::not_connected(text),
            None => Failure::usage(text),
        }
    })
}

fn announce(gateway: &Forwarder) {
    say(&format!("listening on {}", gateway.local_addr()));
    if let Some(address) = gateway.metrics_addr() {
        say(&format!("metrics on http://{address}/metrics"));
    }
}

fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "twinpath: {text}");
}

/// What the operator and the service manager end a gateway with.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn advance(mut self, shutdown: ShutdownHandle) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            shutdown.advance();
            log::info!("now {:?}", shutdown.phase());
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn advance(self, shutdown: ShutdownHandle) {
        while tokio::signal::ctrl_c().await.is_ok() {
            shutdown.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(options: &[&str]) -> Option<Args> {
        let line = ["gateway", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1"];
        let line = Line::try_parse_from(line.iter().chain(options));
        line.ok().map(|line| line.args)
    }

    #[test]
    fn the_operator_sets_the_limits() {
        let defaults = parse(&[]).unwrap().bounds;
        assert_eq!(defaults.limits(), Limits::default());
        let args = parse(&[
            "--max-per-address=7",
            "--max-sessions=20",
            "--max-raw=0",
            "--max-buffers=64M",
            "--idle-timeout=60",
            "--window=16000k",
            "--max-ttl=1800",
        ]);
        let args = args.unwrap();
        let limits = args.bounds.limits();
        assert_eq!(
            (limits.per_address, limits.sessions, limits.raw),
            (7, 20, 0)
        );
        assert_eq!(limits.buffers, 64_000_000);
        assert_eq!(limits.idle, Duration::from_secs(60));
        assert_eq!(args.bounds.window, Some(16_000_000));
        assert_eq!(args.bounds.max_ttl, Some(1800));
        assert_eq!(descriptors_needed(&limits), 60 + 6_000);
        for wrong in [
            "--max-per-address=0",
            "--max-sessions=0",
            "--max-raw=-1",
            "--max-buffers=lots",
            "--idle-timeout=0",
            "--window=1.5M",
            "--max-ttl=1801",
        ] {
            assert!(parse(&[wrong]).is_none(), "{wrong}");
        }
    }

    #[test]
    fn endpoints_keep_their_brackets() {
        for text in ["127.0.0.1:80", "[::1]:80", "web.example.com:8443"] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_text(), text);
        }
        for wrong in [
            "",
            "80",
            ":80",
            "a:0",
            "::1:80",
            "[a]:1",
            "a:65536",
            "http://a:1",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }
}
