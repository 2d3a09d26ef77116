//! What an idle session costs the gateway in memory.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use twinpath::driver::{BoxFuture, LegStream};
use twinpath::{Connection, Connector, Dialer, Path, Peer, Target as Host};

use super::{Bench, Contender, Family, Row, Target, Unit};
use crate::bench::children::Server;
use crate::bench::measure::Runs;
use crate::bench::scene::Scene;
use crate::bench::service::Request;
use crate::bench::trouble::Trouble;

const NAME: &str = "memory";
const MOST: usize = 1000;
/// The first ones pay for what is made once.
const FIRST: usize = 20;

pub(super) const FAMILY: Family = Family {
    rows: &[NAME],
    measure,
};

fn measure(bench: &Bench) -> Vec<Row> {
    bench.say(format_args!("{NAME}: {MOST} idle sessions"));
    let mut row = Row {
        name: NAME,
        what: "the gateway's memory for an idle session",
        unit: Unit::KiB,
        target: Target::EachAtMost(16.0),
        runs: Vec::new(),
        note: None,
        troubles: Vec::new(),
    };
    match each() {
        Ok((kib, sessions)) => {
            let mut runs = Runs::default();
            runs.push(kib);
            row.runs.push((Contender::Warm, runs));
            row.note = Some(format!(
                "resident memory of a gateway in a process of its own, over {sessions} sessions"
            ));
        }
        Err(trouble) => row.troubles.push(trouble.to_string()),
    }
    vec![row]
}

fn each() -> Result<(f64, usize), Trouble> {
    // A client's and a service's end are in this process.
    let sessions = MOST.min(open_files().saturating_sub(200) / 2);
    let scene = Scene::usual(Contender::Warm)?;
    let host = scene.world.server();
    let arguments = [
        "gateway",
        "--listen",
        "0.0.0.0:8443",
        "--to",
        "127.0.0.1:7000",
    ];
    let gateway = Server::start(host, &arguments)?;
    let measured = host.run(|| async {
        let connector = Connector::builder()
            .peer(Peer::Gateway)
            .respect_mandates(false)
            .dialer(Arc::new(ManyClients::default()))
            .build()
            .map_err(io::Error::other)?;
        let mut held = Vec::new();
        for _ in 0..FIRST {
            held.push(session(&connector).await?);
        }
        let before = gateway.resident_kib()?;
        for _ in 0..sessions {
            held.push(session(&connector).await?);
        }
        // Nothing of the handshakes is left after two sweeps.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let more = gateway.resident_kib()? - before;
        Ok::<f64, Trouble>(more / sessions as f64)
    })?;
    Ok((measured?, sessions))
}

/// A session that has carried something and is idle.
async fn session(connector: &Connector) -> io::Result<Connection> {
    let mut connection = connector.connect("127.0.0.1:8443").await?;
    let mut hello = Request::Echo.encode().to_vec();
    hello.extend_from_slice(b"hello");
    connection.write_all(&hello).await?;
    let mut answer = [0; 5];
    connection.read_exact(&mut answer).await?;
    Ok(connection)
}

/// Dials from many addresses, for a gateway bounds what one of them may have.
#[derive(Debug, Default)]
struct ManyClients {
    dialled: AtomicU32,
}

impl Dialer for ManyClients {
    fn dial(&self, _: &Path, _: &Host) -> BoxFuture<io::Result<LegStream>> {
        let number = self.dialled.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::new(127, 1, (number / 100) as u8, 1);
        Box::pin(async move {
            let socket = TcpSocket::new_v4()?;
            socket.bind((address, 0).into())?;
            let gateway: SocketAddr = (Ipv4Addr::LOCALHOST, 8443).into();
            let stream = socket.connect(gateway).await?;
            stream.set_nodelay(true)?;
            Ok(stream.into())
        })
    }
}

fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    // "unlimited" is no number.
    soft.and_then(|it| it.parse().ok()).unwrap_or(usize::MAX)
}
