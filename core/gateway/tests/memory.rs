//! What an idle session costs a gateway: measured in a process that does nothing else.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;

use common::{chat, echo, service, soon};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use twinpath_gateway::{Forwarder, Limits};

/// Where the gateway in the other process forwards to; its presence makes this binary that process.
const SERVICE: &str = "TWINPATH_TEST_SERVICE";
const LIMIT_KIB: f64 = 16.0;

fn resident_kib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap_or(usize::MAX)
}

#[tokio::test]
#[ignore = "the process that the measurement starts"]
async fn gateway_process() {
    let Ok(service) = std::env::var(SERVICE) else {
        return;
    };
    let mut limits = Limits::default();
    limits.per_address = 10_000;
    let gateway = Forwarder::builder(common::loopback(), service)
        .limits(limits)
        .build()
        .unwrap();
    // Behind a line feed, for the test harness has begun a line of its own.
    writeln!(std::io::stderr(), "\nlistening {}", gateway.local_addr()).unwrap();
    gateway.run().await;
}

#[tokio::test]
async fn an_idle_session_costs_little() {
    // Two descriptors each in this process: the client's and the service's.
    let sessions = 1000.min(open_files().saturating_sub(100) / 2);
    let service = service(echo).await;
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "gateway_process", "--nocapture"])
        .env(SERVICE, service.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let address: SocketAddr = soon("the gateway", async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some(address) = line.strip_prefix("listening ") {
                break address.parse().unwrap();
            }
        }
    })
    .await;
    let pid = process.id().unwrap();

    // The first ones pay for what is made once.
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut session = common::session(address).await;
        chat(&mut session, "hello").await;
        held.push(session);
    }
    let before = resident_kib(pid);
    for _ in 0..sessions {
        let mut session = common::session(address).await;
        chat(&mut session, "hello").await;
        held.push(session);
    }
    // Two sweeps, so that nothing of the handshakes is left.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let each = (resident_kib(pid) - before) / sessions as f64;
    writeln!(
        std::io::stdout(),
        "{sessions} idle sessions: {each:.1} KiB of the gateway's memory each"
    )
    .unwrap();
    assert!(each <= LIMIT_KIB, "{each:.1} KiB per idle session");
    process.kill().await.unwrap();
}
