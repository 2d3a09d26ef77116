//! A chain of routers with a server behind it, for `twinpath doctor`.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv6Addr, SocketAddr};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use twinpath_lab::{Chain, Host, LabError, skip};
use twinpath_socket::{ListenOptions, listen};

use crate::command::binary;
use crate::scene::start_logging;

/// The server's port.
const PORT: u16 = 443;

/// What the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// MPTCP, and TCP to those who do not.
    Mptcp,
    /// TCP alone.
    Tcp,
    /// Nothing: nobody listens.
    Nothing,
    /// `twinpath doctor --listen`.
    Doctor,
    /// The same without CAP_NET_RAW: it can trace nothing.
    DoctorWithoutTrace,
}

/// See the module.
#[derive(Debug)]
pub struct Ward {
    // Ends before the host that it runs on.
    _other_end: Option<Running>,
    /// The routers.
    pub chain: Chain,
}

/// A program that runs until this is dropped.
#[derive(Debug)]
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `twinpath doctor` has said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Standard output as JSON; null if it is none.
    pub json: Value,
    /// Standard output.
    pub text: String,
    /// Standard error.
    pub errors: String,
    /// How long it took.
    pub took: Duration,
}

impl Ward {
    /// A chain of so many routers and a server; `None`, and said aloud, where the machine cannot have it.
    #[track_caller]
    #[must_use]
    pub fn new(routers: u8, speaks: Speaks) -> Option<Self> {
        Self::of(speaks, || Chain::new(routers))
    }

    /// The same with another router beside `router`; see [`Chain::with_twin`].
    #[track_caller]
    #[must_use]
    pub fn with_twin(routers: u8, router: u8, speaks: Speaks) -> Option<Self> {
        Self::of(speaks, || Chain::with_twin(routers, router))
    }

    #[track_caller]
    fn of(speaks: Speaks, chain: impl FnOnce() -> Result<Chain, LabError>) -> Option<Self> {
        start_logging();
        if let Err(error) = twinpath_socket::mptcp::is_available() {
            skip(format_args!("no MPTCP: {error}"));
            return None;
        }
        let chain = twinpath_lab::or_skip(chain())?;
        let other_end = match speaks {
            Speaks::Nothing => None,
            Speaks::Doctor => Some(other_end(chain.server().command(binary()))),
            Speaks::DoctorWithoutTrace => {
                let mut command = chain.server().command("setpriv");
                command.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw"]);
                command.arg(binary());
                Some(other_end(command))
            }
            Speaks::Mptcp | Speaks::Tcp => {
                serve(chain.server(), speaks, PORT);
                None
            }
        };
        Some(Self {
            _other_end: other_end,
            chain,
        })
    }

    /// The server as the command is told of it.
    #[must_use]
    pub fn server(&self, v6: bool) -> String {
        self.chain.server_socket(v6, PORT).to_string()
    }

    /// Runs `twinpath doctor` on the client with `--json`, towards the server's address of one family.
    #[must_use]
    pub fn ask(&self, v6: bool, arguments: &[&str]) -> Said {
        let server = self.server(v6);
        let line = [&["doctor", &server, "--json"], arguments].concat();
        self.run(&line)
    }

    /// The same without any privilege.
    #[must_use]
    pub fn ask_unprivileged(&self, v6: bool, arguments: &[&str]) -> Said {
        let server = self.server(v6);
        let mut command = self.chain.client().command("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all"]);
        command
            .arg(binary())
            .args(["doctor", &server, "--json"])
            .args(arguments);
        finish(command)
    }

    /// Runs the command on the client.
    #[must_use]
    pub fn run(&self, line: &[&str]) -> Said {
        ask_doctor(self.chain.client(), line)
    }

    /// How many connections the server holds that nobody has ended, or has confirmed or taken back; once there are none, or
    /// after two seconds, in which an end that was on its way has arrived.
    ///
    /// # Panics
    ///
    /// When the kernel does not tell.
    #[must_use]
    pub fn left_open(&self) -> usize {
        let begin = Instant::now();
        loop {
            let open = self.open();
            if open == 0 || begin.elapsed() > Duration::from_secs(2) {
                return open;
            }
            // The kernel tells nobody when the last one ends.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn open(&self) -> usize {
        const ESTABLISHED: &str = "01";
        const SYN_RECEIVED: &str = "03";
        let mut command = self.chain.server().command("cat");
        command.args(["/proc/net/tcp", "/proc/net/tcp6"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let table = String::from_utf8(output.stdout).unwrap();
        let states = table.lines().filter_map(|it| it.split_whitespace().nth(3));
        states
            .filter(|it| [ESTABLISHED, SYN_RECEIVED].contains(it))
            .count()
    }

    /// Sets rules of nftables on a router; they are its own.
    ///
    /// # Panics
    ///
    /// When nftables refuses them.
    pub fn nft(&self, router: u8, rules: &str) {
        let mut command = self.chain.router(router).command("nft");
        command.arg(rules);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{rules}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Runs the command on a host.
#[must_use]
pub fn ask_doctor(host: &Host, line: &[&str]) -> Said {
    let mut command = host.command(binary());
    command.args(line);
    finish(command)
}

/// Has a host accept MPTCP, and read what comes to its end.
pub fn serve_mptcp(host: &Host, port: u16) {
    serve(host, Speaks::Mptcp, port);
}

/// Starts it, and waits until it listens.
fn other_end(mut command: std::process::Command) -> Running {
    let listen = format!("[::]:{PORT}");
    command.args(["doctor", "--listen", &listen]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut output = BufReader::new(running.0.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on"), "{line}");
    // What it tells must not fill the pipe.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    running
}

fn finish(mut command: std::process::Command) -> Said {
    command.stdin(Stdio::null()).env_remove("RUST_LOG");
    let begin = Instant::now();
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    Said {
        code: status.code().unwrap(),
        json: serde_json::from_str(&text).unwrap_or_default(),
        text,
        errors: String::from_utf8_lossy(&stderr).into_owned(),
        took: begin.elapsed(),
    }
}

/// Accepts, and reads what comes to its end.
fn serve(host: &Host, speaks: Speaks, port: u16) {
    let mut options = ListenOptions::default();
    options.mptcp = speaks == Speaks::Mptcp;
    let (ready, is_ready) = std::sync::mpsc::channel();
    let serving = host.spawn(move || async move {
        let listener = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), &options).unwrap();
        ready.send(()).unwrap();
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
            });
        }
    });
    serving.unwrap().detach();
    is_ready.recv().unwrap();
}
