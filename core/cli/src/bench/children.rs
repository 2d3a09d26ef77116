//! This program once more, in processes of its own, so that what they need can be told apart.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use twinpath_lab::Host;

use super::trouble::Trouble;

/// A process that listens. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Runs `twinpath` with these arguments, up to the line that says where it listens.
    pub(super) fn start(host: &Host, arguments: &[&str]) -> Result<Self, Trouble> {
        let program = std::env::current_exe()?;
        let mut child = host
            .command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let (tell, told) = mpsc::channel();
        if let Some(errors) = child.stderr.take() {
            // It must be read to the end, or the process would wait for that.
            thread::spawn(move || {
                for line in BufReader::new(errors).lines().map_while(Result::ok) {
                    let address = line.split("listening on ").nth(1);
                    match address.and_then(|it| it.trim().parse().ok()) {
                        Some(address) => {
                            let _ = tell.send(address);
                        }
                        None => log::info!("{line}"),
                    }
                }
            });
        }
        match told.recv_timeout(Duration::from_secs(20)) {
            Ok(address) => Ok(Self { child, address }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(Trouble::new(format!(
                    "`twinpath {}` did not start",
                    arguments.join(" ")
                )))
            }
        }
    }

    /// Processor time so far, in ticks of the system: user and kernel, all threads.
    pub(super) fn ticks(&self) -> Result<u64, Trouble> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold anything.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let number = |at: usize| {
            let field = fields.split_whitespace().nth(at);
            field.and_then(|it| it.parse::<u64>().ok())
        };
        match (number(11), number(12)) {
            (Some(user), Some(system)) => Ok(user + system),
            _ => Err(Trouble::new("/proc does not tell the processor time")),
        }
    }

    /// Memory in use.
    pub(super) fn resident_kib(&self) -> Result<f64, Trouble> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number
            .and_then(|it| it.trim().parse().ok())
            .ok_or_else(|| Trouble::new("/proc does not tell the memory"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
