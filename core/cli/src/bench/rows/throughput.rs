//! What a session costs in the long run: rate and processor time, against raw connections through
//! the same forwarder and the same gateway.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath_lab::{Host, LinkSpec, Rate};

use super::{Bench, Contender, Family, Row, Target, Unit};
use crate::bench::children::Server;
use crate::bench::contenders::Duplex;
use crate::bench::content::{Check, Content, PORTION};
use crate::bench::measure::Runs;
use crate::bench::scene::{CELLULAR, Scene, WIFI};
use crate::bench::service::Request;
use crate::bench::trouble::Trouble;

const SHAPED: &str = "throughput-shaped";
const SHAPED_UP: &str = "throughput-shaped-up";
const LOOPBACK: &str = "throughput-loopback";
const LOOPBACK_UP: &str = "throughput-loopback-up";
const CPU: &str = "cpu-per-byte";
const CPU_UP: &str = "cpu-per-byte-up";

pub(super) const FAMILY: Family = Family {
    rows: &[SHAPED, SHAPED_UP, LOOPBACK, LOOPBACK_UP, CPU, CPU_UP],
    measure,
};

/// What one transfer took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    seconds: f64,
    ticks: u64,
}

/// Session against raw, in one direction.
#[derive(Debug, Default)]
struct Ratios {
    rate: Runs,
    processor: Runs,
    /// Of raw and of ours, in Mbit/s.
    fastest: [f64; 2],
}

fn measure(bench: &Bench) -> Vec<Row> {
    let runs = if bench.quick { 2 } else { bench.runs };
    let mut rows = Vec::new();
    if [SHAPED, SHAPED_UP].iter().any(|it| bench.wants(it)) {
        let [down, up] = directions(bench, "throughput, shaped to 500 Mbit/s", runs, shaped);
        let target = (Unit::Ratio, Target::MedianAtLeast(0.95));
        let what = "throughput against raw, shaped to 500 Mbit/s, download";
        rows.push(row(SHAPED, what, target, &down, |it| &it.rate));
        rows.push(row(SHAPED_UP, "the same, upload", target, &up, |it| {
            &it.rate
        }));
    }
    let names = [LOOPBACK, LOOPBACK_UP, CPU, CPU_UP];
    if names.iter().any(|it| bench.wants(it)) {
        let [down, up] = directions(bench, "throughput, loopback", runs, loopback);
        let target = (Unit::Ratio, Target::MedianAtLeast(0.75));
        let what = "throughput against raw, loopback, download";
        rows.push(row(LOOPBACK, what, target, &down, |it| &it.rate));
        rows.push(row(LOOPBACK_UP, "the same, upload", target, &up, |it| {
            &it.rate
        }));
        let target = (Unit::Ratio, Target::MedianAtMost(1.3));
        let what = "processor time per byte against raw, loopback, download";
        rows.push(row(CPU, what, target, &down, |it| &it.processor));
        rows.push(row(CPU_UP, "the same, upload", target, &up, |it| {
            &it.processor
        }));
    }
    rows
}

fn row(
    name: &'static str,
    what: &'static str,
    (unit, target): (Unit, Target),
    measured: &Result<Ratios, Trouble>,
    which: impl Fn(&Ratios) -> &Runs,
) -> Row {
    let mut row = Row {
        name,
        what,
        unit,
        target,
        runs: Vec::new(),
        note: None,
        troubles: Vec::new(),
    };
    match measured {
        Ok(ratios) => {
            row.runs.push((Contender::Warm, which(ratios).clone()));
            row.note = Some(format!(
                "the best of raw {:.0} Mbit/s, of ours {:.0}",
                ratios.fastest[0], ratios.fastest[1]
            ));
        }
        Err(trouble) => row.troubles.push(trouble.to_string()),
    }
    row
}

type Transfers = fn(u32, u64) -> Result<[Ratios; 2], Trouble>;

fn directions(
    bench: &Bench,
    what: &str,
    runs: u32,
    transfers: Transfers,
) -> [Result<Ratios, Trouble>; 2] {
    bench.say(format_args!(
        "{what}: {runs} transfers of each contender, each way"
    ));
    match transfers(runs, if bench.quick { 3 } else { 1 }) {
        Ok([down, up]) => [Ok(down), Ok(up)],
        Err(trouble) => [Err(trouble.clone()), Err(trouble)],
    }
}

fn shaped(runs: u32, part: u64) -> Result<[Ratios; 2], Trouble> {
    let wifi = LinkSpec {
        rate: Some(Rate::mbit(500)),
        // Room for one round trip.
        queue: 1_250_000,
        ..LinkSpec::wifi()
    };
    let scene = Scene::with(Contender::Warm, wifi, 0)?;
    let (client, server) = (scene.world.client(), scene.world.server());
    let gateway = gateway(server, "203.0.113.10:8443")?;
    let to = gateway.address.to_string();
    let paths = ["--primary", WIFI, "--backup", CELLULAR];
    compare(client, &gateway, &to, &paths, 150_000_000 / part, runs)
}

fn loopback(runs: u32, part: u64) -> Result<[Ratios; 2], Trouble> {
    let scene = Scene::usual(Contender::Warm)?;
    let host = scene.world.server();
    let gateway = gateway(host, "127.0.0.1:8443")?;
    let to = gateway.address.to_string();
    compare(host, &gateway, &to, &[], 1_000_000_000 / part, runs)
}

fn gateway(host: &Host, listen: &str) -> Result<Server, Trouble> {
    Server::start(
        host,
        &["gateway", "--listen", listen, "--to", "127.0.0.1:7000"],
    )
}

fn compare(
    host: &Host,
    gateway: &Server,
    to: &str,
    paths: &[&str],
    size: u64,
    runs: u32,
) -> Result<[Ratios; 2], Trouble> {
    let forwarder = |kind: &[&str]| {
        let common = ["connect", to, "--listen", "127.0.0.1:0"];
        Server::start(host, &[&common[..], kind, paths].concat())
    };
    let session = forwarder(&["--gateway", "--standby", "warm"])?;
    let raw = forwarder(&["--mode", "plain"])?;
    let mut ratios = [Ratios::default(), Ratios::default()];
    // The first of each warms up.
    for run in 0..=runs {
        for (up, ratios) in [false, true].into_iter().zip(&mut ratios) {
            let transfer = |through| transfer(host, through, gateway, size, up, run);
            let (ours, raws) = if run % 2 == 0 {
                let ours = transfer(&session)?;
                (ours, transfer(&raw)?)
            } else {
                let raws = transfer(&raw)?;
                (transfer(&session)?, raws)
            };
            if run > 0 {
                ratios.rate.push(raws.seconds / ours.seconds);
                ratios
                    .processor
                    .push(ours.ticks as f64 / raws.ticks.max(1) as f64);
                for (fastest, took) in ratios.fastest.iter_mut().zip([raws, ours]) {
                    *fastest = fastest.max(size as f64 * 8e-6 / took.seconds);
                }
            }
        }
    }
    Ok(ratios)
}

fn transfer(
    host: &Host,
    through: &Server,
    gateway: &Server,
    size: u64,
    up: bool,
    run: u32,
) -> Result<Cost, Trouble> {
    let busy = || Ok::<u64, Trouble>(through.ticks()? + gateway.ticks()?);
    let (address, seed) = (through.address, u64::from(run));
    let before = busy()?;
    let carry = move || async move {
        let limit = Duration::from_secs(120);
        tokio::time::timeout(limit, carry(address, size, up, seed)).await
    };
    let seconds = host
        .run(carry)?
        .map_err(|_| Trouble::new("a transfer hangs"))??;
    Ok(Cost {
        seconds,
        ticks: busy()? - before,
    })
}

async fn carry(to: SocketAddr, size: u64, up: bool, seed: u64) -> io::Result<f64> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(to).await?;
    exchange(&mut stream, size, up, seed).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Sends so many bytes, or asks for them, and makes sure that they arrived.
pub(super) async fn exchange(
    stream: &mut dyn Duplex,
    size: u64,
    up: bool,
    seed: u64,
) -> io::Result<()> {
    let content = Content::new(seed);
    if up {
        stream.write_all(&Request::Up { seed }.encode()).await?;
        let mut sent = 0;
        while sent < size {
            let portion = PORTION.min(usize::try_from(size - sent).unwrap_or(PORTION));
            sent += stream.write(content.at(sent, portion)).await? as u64;
        }
        stream.shutdown().await?;
        let mut arrived = [0; 8];
        stream.read_exact(&mut arrived).await?;
        if u64::from_le_bytes(arrived) != size {
            return Err(io::Error::other("not everything arrived"));
        }
    } else {
        stream
            .write_all(&Request::Down { seed, size }.encode())
            .await?;
        let mut check = Check::new(content);
        let mut buffer = vec![0; PORTION];
        loop {
            match stream.read(&mut buffer).await? {
                0 => break,
                read => check.take(&buffer[..read]),
            }
        }
        if check.received() != size {
            return Err(io::Error::other("not everything arrived"));
        }
    }
    Ok(())
}
