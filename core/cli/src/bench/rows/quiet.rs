//! Where nothing may happen: no switch while Wi-Fi forwards, however badly, and no byte over
//! cellular while it is good.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, sleep_until, timeout_at};
use twinpath::{Monitor, Role};
use twinpath_lab::{LinkSpec, Rate};

use super::{Bench, Contender, Family, Row, Target, Unit};
use crate::bench::contenders::Line;
use crate::bench::content::{Check, Content, PORTION};
use crate::bench::echo::{self, Pace};
use crate::bench::lateness;
use crate::bench::measure::Runs;
use crate::bench::scene::Scene;
use crate::bench::service::Request;
use crate::bench::trouble::Trouble;

/// What Wi-Fi is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Good,
    /// 1 % of the packets is lost, each way.
    Loss,
    /// A download of somebody else fills a queue of 100 ms.
    Bloat,
    /// The round trip takes 100 ms more, and less again, every ten seconds.
    Steps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Echo {
        millis: u64,
    },
    Down,
    Up,
    /// Echo for a second, and silence from then on.
    Idle,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    what: &'static str,
    weather: Weather,
    work: Work,
    contender: Contender,
}

const fn switches(name: &'static str, what: &'static str, weather: Weather, work: Work) -> Case {
    Case {
        name,
        what,
        weather,
        work,
        contender: Contender::Warm,
    }
}

const CASES: &[Case] = &[
    switches(
        "switches-loss-echo-10",
        "switches at 1 % loss each way, echo every 10 ms",
        Weather::Loss,
        Work::Echo { millis: 10 },
    ),
    switches(
        "switches-loss-echo-50",
        "the same, echo every 50 ms",
        Weather::Loss,
        Work::Echo { millis: 50 },
    ),
    switches(
        "switches-loss-echo-400",
        "the same, echo every 400 ms",
        Weather::Loss,
        Work::Echo { millis: 400 },
    ),
    switches(
        "switches-loss-download",
        "the same, download",
        Weather::Loss,
        Work::Down,
    ),
    switches(
        "switches-loss-upload",
        "the same, upload",
        Weather::Loss,
        Work::Up,
    ),
    switches(
        "switches-bloat-echo",
        "switches beside a bulk download in a 100 ms queue, echo every 10 ms",
        Weather::Bloat,
        Work::Echo { millis: 10 },
    ),
    switches(
        "switches-bloat-download",
        "the same, download",
        Weather::Bloat,
        Work::Down,
    ),
    switches(
        "switches-step-echo",
        "switches while the round trip rises and falls by 100 ms, echo every 10 ms",
        Weather::Steps,
        Work::Echo { millis: 10 },
    ),
    Case {
        name: "cellular-cold",
        what: "payload over cellular while Wi-Fi is good, cold, echo every 50 ms",
        weather: Weather::Good,
        work: Work::Echo { millis: 50 },
        contender: Contender::Cold,
    },
    Case {
        name: "cellular-warm",
        what: "the same, warm, an idle hour",
        weather: Weather::Good,
        work: Work::Idle,
        contender: Contender::Warm,
    },
];

const NAMES: &[&str] = &{
    let mut names = [""; CASES.len()];
    let mut at = 0;
    while at < CASES.len() {
        names[at] = CASES[at].name;
        at += 1;
    }
    names
};

pub(super) const FAMILY: Family = Family {
    rows: NAMES,
    measure,
};

/// What happened where nothing should.
struct Seen {
    switches: u64,
    cellular: u64,
    note: String,
}

fn measure(bench: &Bench) -> Vec<Row> {
    let cases: Vec<Case> = CASES
        .iter()
        .copied()
        .filter(|it| bench.wants(it.name))
        .collect();
    bench.say(format_args!(
        "{} rows in which nothing may happen, side by side: {} s",
        cases.len(),
        bench.long.as_secs()
    ));
    lateness::reset();
    let mut rows: Vec<Row> = thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .map(|case| (*case, scope.spawn(|| one(*case, bench.long))))
            .collect();
        let rows = threads.into_iter().map(|(case, thread)| {
            let panicked = |_| Err(Trouble::new("the run panicked"));
            row(case, bench, thread.join().unwrap_or_else(panicked))
        });
        rows.collect()
    });
    // A silence of the machine is one of the path: neither end can tell them apart.
    let late = lateness::worst().as_millis();
    for note in rows.iter_mut().filter_map(|row| row.note.as_mut()) {
        note.push_str(&format!("; this machine itself was up to {late} ms late"));
    }
    rows
}

fn row(case: Case, bench: &Bench, seen: Result<Seen, Trouble>) -> Row {
    let (unit, target) = match (case.weather, case.work) {
        (Weather::Good, Work::Idle) => (Unit::Bytes, Target::EachAtMost(4096.0)),
        (Weather::Good, _) => (Unit::Bytes, Target::EachAtMost(0.0)),
        _ => (Unit::Count, Target::EachAtMost(0.0)),
    };
    let mut row = Row {
        name: case.name,
        what: case.what,
        unit,
        target,
        runs: Vec::new(),
        note: None,
        troubles: Vec::new(),
    };
    match seen {
        Ok(seen) => {
            let mut runs = Runs::default();
            let count = if unit == Unit::Bytes {
                seen.cellular
            } else {
                seen.switches
            };
            runs.push(count as f64);
            row.runs.push((case.contender, runs));
            row.note = Some(format!("{} s; {}", bench.long.as_secs(), seen.note));
        }
        Err(trouble) => row.troubles.push(trouble.to_string()),
    }
    row
}

fn one(case: Case, length: Duration) -> Result<Seen, Trouble> {
    let mut wifi = LinkSpec::wifi();
    match case.weather {
        Weather::Loss => wifi.loss = 0.01,
        // 100 ms at 50 Mbit/s.
        Weather::Bloat => wifi.queue = 625_000,
        Weather::Good | Weather::Steps => {}
    }
    debug_assert_eq!(wifi.rate, Some(Rate::mbit(50)));
    let scene = Scene::with(case.contender, wifi, 1)?;
    let doors = scene.doors;
    let begun = scene.wifi.counters();
    let competitor = (case.weather == Weather::Bloat)
        .then(|| scene.client(move || compete(doors.plain, length + Duration::from_secs(60))))
        .transpose()?;
    if competitor.is_some() {
        // Until the queue is full.
        thread::sleep(Duration::from_secs(5));
    }
    let (tell, told) = std::sync::mpsc::channel();
    let client = scene.client(move || async move {
        let mut line = case.contender.connect(doors).await?;
        if let Some(monitor) = &line.monitor {
            let _ = tell.send(monitor.clone());
        }
        work(&mut line, case.work, length).await
    })?;
    let monitor = told
        .recv_timeout(Duration::from_secs(10))
        .map_err(|_| Trouble::new("no connection"))?;
    let (calm, most) = observe(&scene, case.weather, &monitor, length);
    let idle_since = scene.cellular.counters();
    let stats = monitor.stats();
    let gateway = scene.gateway_counts("twinpath_failovers_total")?;
    client.join()?;
    drop(competitor);
    let lost = (scene.wifi.counters() - begun).dropped();
    let expected = match case.weather {
        Weather::Good => Duration::ZERO,
        Weather::Loss if lost == 0 => return Err(Trouble::new("nothing was lost")),
        Weather::Loss => Duration::ZERO,
        Weather::Bloat => Duration::from_millis(70),
        Weather::Steps => Duration::from_millis(110),
    };
    if most < expected {
        let text = format!("the round trip did not rise: {} ms", most.as_millis());
        return Err(Trouble::new(text));
    }
    let note = match case.weather {
        Weather::Good => format!(
            "{} bytes of it after the first 5 s, {} connections opened; a joined leg has one keepalive in 15 minutes, \
             which carries no payload",
            (idle_since - calm).payload_offered(),
            idle_since.up.offered.syns,
        ),
        Weather::Loss => format!(
            "{lost} packets lost, {} suspicions, {} of them needless",
            stats.hedges, stats.needless_hedges
        ),
        Weather::Bloat | Weather::Steps => format!(
            "round trips up to {} ms, {} suspicions, {} of them needless",
            most.as_millis(),
            stats.hedges,
            stats.needless_hedges
        ),
    };
    Ok(Seen {
        switches: u64::from(stats.failovers + stats.failbacks).max(gateway),
        cellular: scene.cellular.counters().payload_offered(),
        note,
    })
}

/// Makes the weather, and says what cellular had carried after five seconds and how long Wi-Fi's
/// round trips became.
fn observe(
    scene: &Scene,
    weather: Weather,
    monitor: &Monitor,
    length: Duration,
) -> (twinpath_lab::Counters, Duration) {
    let begun = Instant::now();
    let mut calm = scene.cellular.counters();
    let mut most = Duration::ZERO;
    let normal = LinkSpec::wifi().rtt;
    let mut is_slow = false;
    while begun.elapsed() < length {
        thread::sleep(Duration::from_millis(100));
        if begun.elapsed() < Duration::from_secs(5) {
            calm = scene.cellular.counters();
        }
        if weather == Weather::Steps {
            let slow = (begun.elapsed().as_secs() / 5) % 2 == 1;
            if slow != is_slow {
                is_slow = slow;
                let more = if slow {
                    Duration::from_millis(100)
                } else {
                    Duration::ZERO
                };
                scene.wifi.set(|spec| spec.rtt = normal + more);
            }
        }
        let srtt = monitor.stats().path(Role::Primary).and_then(|it| it.srtt);
        most = most.max(srtt.unwrap_or_default());
    }
    (calm, most)
}

async fn work(line: &mut Line, work: Work, length: Duration) -> io::Result<()> {
    let stream = &mut *line.stream;
    let until = Instant::now() + length + Duration::from_secs(1);
    match work {
        Work::Echo { millis } => {
            echo::begin(stream).await?;
            let pace = Pace::new(
                Duration::from_millis(millis),
                until - Instant::now(),
                millis,
            );
            let answers = echo::run(stream, pace).await;
            if answers.len() * 10 < pace.messages() * 9 {
                return Err(io::Error::other("the echo broke off"));
            }
        }
        Work::Idle => {
            echo::begin(stream).await?;
            let pace = Pace::new(Duration::from_millis(50), Duration::from_secs(1), 5);
            echo::run(stream, pace).await;
            sleep_until(until.into()).await;
        }
        Work::Down => {
            let seed = 7;
            let request = Request::Down {
                seed,
                size: 1 << 50,
            };
            stream.write_all(&request.encode()).await?;
            let mut check = Check::new(Content::new(seed));
            let mut buffer = vec![0; PORTION];
            while let Ok(read) = timeout_at(until.into(), stream.read(&mut buffer)).await {
                match read? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    size => check.take(&buffer[..size]),
                }
            }
        }
        Work::Up => {
            let seed = 11;
            stream.write_all(&Request::Up { seed }.encode()).await?;
            let (content, mut sent) = (Content::new(seed), 0);
            loop {
                let write = stream.write(content.at(sent, 64 * 1024));
                match timeout_at(until.into(), write).await {
                    Ok(written) => sent += written? as u64,
                    Err(_) => break,
                }
            }
            stream.shutdown().await?;
            let mut arrived = [0; 8];
            stream.read_exact(&mut arrived).await?;
            if u64::from_le_bytes(arrived) != sent {
                return Err(io::Error::other("not everything arrived"));
            }
        }
    }
    Ok(())
}

/// Somebody else's downloads on the same Wi-Fi: eight, for one alone takes long to fill the queue.
async fn compete(service: std::net::SocketAddr, length: Duration) -> io::Result<()> {
    let swallow = async || {
        let mut stream = tokio::net::TcpStream::connect(service).await?;
        let request = Request::Down {
            seed: 3,
            size: 1 << 50,
        };
        stream.write_all(&request.encode()).await?;
        let mut buffer = vec![0; PORTION];
        while stream.read(&mut buffer).await? > 0 {}
        Ok(())
    };
    let pair = async || tokio::try_join!(swallow(), swallow()).map(drop);
    let all = async { tokio::try_join!(pair(), pair(), pair(), pair()).map(drop) };
    tokio::select! {
        result = all => result,
        () = sleep(length) => Ok(()),
    }
}
