//! Requests to a web server that knows nothing of two paths, beside curl.

use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout_at};
use twinpath::http::Client;
use twinpath::{Connector, Mode, Standby};
use twinpath_lab::Direction;

use super::{Bench, Contender, Family, Order, Row, Target, Unit, collect, strike};
use crate::bench::content::{Check, Content};
use crate::bench::echo::{longest_silence, millis};
use crate::bench::measure::Runs;
use crate::bench::scene::Scene;
use crate::bench::trouble::Trouble;

const WARM: &str = "web-download";
const COLD: &str = "web-download-cold";
const GET: &str = "web-get";
const FIRST: &str = "web-first-byte";
const COST: &str = "web-cost";

const BEFORE: Duration = Duration::from_millis(1500);
const AFTER: Duration = Duration::from_millis(2500);
/// More than can come in that time.
const SIZE: u64 = 100_000_000;

const BESIDE: &str = "in the column of plain TCP: curl --retry -C -";

pub(super) const FAMILY: Family = Family {
    rows: &[WARM, COLD, GET, COST, FIRST],
    measure,
};

fn measure(bench: &Bench) -> Vec<Row> {
    use Contender::{Cold, Plain, Warm};
    let mut rows = Vec::new();
    if bench.wants(WARM) {
        let collected = collect(
            bench,
            WARM,
            &[Warm, Cold, Plain],
            Order::InTurn,
            |contender, run| {
                let phase = Duration::from_millis(100).mul_f64(bench.phase(run));
                download(contender, run, BEFORE + phase)
            },
        );
        let what = "a download from any web server, longest silence, Wi-Fi falls silent";
        let target = (Unit::Millis, Target::MedianAtMost(500.0));
        let warm = collected.row((WARM, what), target, &[Warm, Plain], |it| *it);
        let what = "the same, with a cold backup";
        let cold = collected.row((COLD, what), target, &[Cold, Plain], |it| *it);
        rows.extend([warm, cold].map(|row| Row {
            note: Some(BESIDE.to_owned()),
            ..row
        }));
    }
    if bench.wants(GET) {
        let collected = collect(
            bench,
            GET,
            &[Cold, Plain],
            Order::SideBySide,
            |contender, run| get(contender, run, bench.patience()),
        );
        let what = "a GET to any web server that is sent after Wi-Fi died unnoticed, cold backup";
        // Half a second to find out, and a request on cellular: the handshake and the answer.
        let target = (Unit::Millis, Target::MedianAtMost(500.0 + 120.0));
        let row = collected.row((GET, what), target, &[Cold, Plain], |it| *it);
        rows.push(Row {
            note: Some(BESIDE.to_owned()),
            ..row
        });
    }
    if bench.wants(COST) {
        let collected = collect(bench, COST, &[Cold], Order::InTurn, |contender, run| {
            cost(contender, run)
        });
        let what = "cellular bytes of 50 GETs while Wi-Fi is good, cold backup";
        let target = (Unit::Bytes, Target::EachAtMost(0.0));
        rows.push(collected.row((COST, what), target, &[Cold], |it| *it));
    }
    if bench.wants(FIRST) {
        rows.push(first_byte(bench));
    }
    rows
}

fn connector(contender: Contender) -> io::Result<Connector> {
    let standby = match contender {
        Contender::Warm => Standby::Warm,
        _ => Standby::Cold,
    };
    let connector = Connector::builder()
        .mode(Mode::PlainPair)
        .budget(None)
        .standby(standby);
    connector.build().map_err(io::Error::other)
}

fn download(contender: Contender, run: u32, after: Duration) -> Result<f64, Trouble> {
    let scene = Scene::usual(contender)?;
    let url = format!("http://{}/{run}/{SIZE}", scene.doors.web);
    let blackhole = |scene: &Scene| {
        scene.wifi.blackhole(Direction::Both);
        Ok(())
    };
    if contender == Contender::Plain {
        let mut curl = curl(&scene)?;
        let file =
            tempfile::NamedTempFile::new().map_err(|error| Trouble::new(error.to_string()))?;
        let path = file.path().to_owned();
        curl.args(["-C", "-", "-o"]).arg(&path).arg(url);
        let client = move |started| async move { watch_file(curl, &path, started).await };
        let ((arrivals, until), struck) = strike(&scene, contender, after, client, blackhole)?;
        return Ok(longest_silence(&arrivals, struck, until));
    }
    let client = move |started: mpsc::Sender<Instant>| async move {
        let client = Client::new(connector(contender)?);
        let mut response = client.get(url).send().await.map_err(io::Error::other)?;
        let begun = Instant::now();
        let _ = started.send(begun);
        let until = begun + BEFORE + AFTER;
        let mut check = Check::new(Content::new(run.into()));
        let mut arrivals = Vec::new();
        loop {
            match timeout_at(until.into(), response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    arrivals.push(Instant::now());
                    check.take(&bytes);
                }
                Ok(Ok(None)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(Err(error)) => return Err(io::Error::other(error)),
                Err(_) => return Ok((arrivals, until)),
            }
        }
    };
    let ((arrivals, until), struck) = strike(&scene, contender, after, client, blackhole)?;
    Ok(longest_silence(&arrivals, struck, until))
}

/// curl as one would let it run where Wi-Fi may die: it gives a connection up after three silent seconds, and goes on.
fn curl(scene: &Scene) -> Result<Command, Trouble> {
    let known = Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !known.is_ok_and(|status| status.success()) {
        return Err(Trouble::new("there is no curl on this machine"));
    }
    let mut curl = scene.world.client().command("curl");
    curl.args([
        "--silent",
        "--noproxy",
        "*",
        "--retry",
        "30",
        "--retry-delay",
        "1",
    ])
    .args([
        "--retry-all-errors",
        "--speed-limit",
        "1",
        "--speed-time",
        "3",
    ])
    .args(["--connect-timeout", "3"])
    .stdin(Stdio::null())
    .stdout(Stdio::null())
    .stderr(Stdio::null());
    Ok(curl)
}

/// When a file grew.
async fn watch_file(
    curl: Command,
    path: &std::path::Path,
    started: mpsc::Sender<Instant>,
) -> io::Result<(Vec<Instant>, Instant)> {
    let mut curl = tokio::process::Command::from(curl)
        .kill_on_drop(true)
        .spawn()?;
    let (mut size, mut begun, mut arrivals) = (0, None::<Instant>, Vec::new());
    loop {
        let now = std::fs::metadata(path)?.len();
        if now > size {
            size = now;
            arrivals.push(Instant::now());
            if begun.is_none() {
                begun = Some(Instant::now());
                let _ = started.send(Instant::now());
            }
        }
        if begun.is_some_and(|begun| begun.elapsed() > BEFORE + AFTER) {
            curl.kill().await?;
            return Ok((arrivals, Instant::now()));
        }
        sleep(Duration::from_millis(2)).await;
    }
}

fn get(contender: Contender, run: u32, patience: Duration) -> Result<f64, Trouble> {
    let scene = Scene::usual(contender)?;
    let url = format!("http://{}/{run}/1000", scene.doors.web);
    let curl = (contender == Contender::Plain)
        .then(|| curl(&scene))
        .transpose()?;
    let client = move |started: mpsc::Sender<Instant>| async move {
        if let Some(mut curl) = curl {
            let _ = started.send(Instant::now());
            sleep(Duration::from_millis(100)).await;
            let asked = Instant::now();
            let mut curl = tokio::process::Command::from({
                curl.arg(url);
                curl
            })
            .kill_on_drop(true)
            .spawn()?;
            let ended = tokio::time::timeout(patience, curl.wait()).await;
            return Ok(match ended {
                Ok(Ok(status)) if status.success() => millis(asked.elapsed()),
                _ => f64::INFINITY,
            });
        }
        let client = Client::new(connector(contender)?);
        let ask = async || {
            let answer = client.get(&url).send().await?;
            answer.bytes(10_000).await
        };
        ask().await.map_err(io::Error::other)?;
        let _ = started.send(Instant::now());
        sleep(Duration::from_millis(100)).await;
        let asked = Instant::now();
        let bytes = ask().await.map_err(io::Error::other)?;
        let took = millis(asked.elapsed());
        Check::new(Content::new(run.into())).take(&bytes);
        Ok(took)
    };
    let (delay, _) = strike(
        &scene,
        contender,
        Duration::from_millis(50),
        client,
        |scene| {
            scene.wifi.blackhole(Direction::Both);
            Ok(())
        },
    )?;
    Ok(delay)
}

fn cost(contender: Contender, run: u32) -> Result<f64, Trouble> {
    let scene = Scene::usual(contender)?;
    let web = scene.doors.web;
    let client = scene.client(move || async move {
        let client = Client::new(connector(contender)?);
        for _ in 0..50 {
            let url = format!("http://{web}/{run}/20000");
            let answer = client.get(url).send().await.map_err(io::Error::other)?;
            let bytes = answer.bytes(100_000).await.map_err(io::Error::other)?;
            Check::new(Content::new(run.into())).take(&bytes);
        }
        Ok::<_, io::Error>(())
    })?;
    client.join()?;
    Ok(scene.cellular.counters().bytes_offered() as f64)
}

fn first_byte(bench: &Bench) -> Row {
    let number = if bench.quick { 15 } else { 60 };
    bench.say(format_args!("{FIRST}: {number} requests of each contender"));
    let mut row = Row {
        name: FIRST,
        what: "a first request to any web server, time to first byte",
        unit: Unit::Millis,
        target: Target::MedianAtMost(f64::NAN),
        runs: Vec::new(),
        note: Some(format!(
            "medians of {number} requests, each on a connection of its own; in the column of plain TCP: hyper over TCP; \
             the target is its median and 2 %"
        )),
        troubles: Vec::new(),
    };
    match first_bytes(number) {
        Ok(runs) => row.runs = runs,
        Err(trouble) => row.troubles.push(trouble.to_string()),
    }
    if let Some(raw) = row.of(Contender::Plain).map(Runs::median) {
        row.target = Target::MedianAtMost(raw * 1.02);
    }
    row
}

fn first_bytes(number: u32) -> Result<Vec<(Contender, Runs)>, Trouble> {
    let scene = Scene::usual(Contender::Cold)?;
    let web = scene.doors.web;
    let client = scene.client(move || async move {
        let connector = connector(Contender::Cold)?;
        let (mut ours, mut plain) = (Runs::default(), Runs::default());
        for turn in 0..number {
            let path = format!("/{turn}/1000");
            for place in 0..2 {
                let begun = Instant::now();
                let bytes = if (turn + place) % 2 == 0 {
                    let client = Client::new(connector.clone());
                    let answer = client
                        .get(format!("http://{web}{path}"))
                        .send()
                        .await
                        .map_err(io::Error::other)?;
                    ours.push(millis(begun.elapsed()));
                    answer.bytes(10_000).await.map_err(io::Error::other)?
                } else {
                    let stream = TcpStream::connect(web).await?;
                    stream.set_nodelay(true)?;
                    let handshake =
                        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
                    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
                    tokio::spawn(connection);
                    let request = hyper::Request::get(&path).header("host", web.to_string());
                    let request = request
                        .body(Empty::<Bytes>::new())
                        .map_err(io::Error::other)?;
                    let answer = sender
                        .send_request(request)
                        .await
                        .map_err(io::Error::other)?;
                    plain.push(millis(begun.elapsed()));
                    answer
                        .into_body()
                        .collect()
                        .await
                        .map_err(io::Error::other)?
                        .to_bytes()
                };
                Check::new(Content::new(turn.into())).take(&bytes);
            }
        }
        Ok::<_, io::Error>(vec![(Contender::Cold, ours), (Contender::Plain, plain)])
    })?;
    Ok(client.join()?)
}
