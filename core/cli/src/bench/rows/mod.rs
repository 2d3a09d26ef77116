//! What is measured: a family is measured together and gives one row or more.

mod bare;
mod connect;
mod download;
mod echo;
mod failback;
mod first_byte;
mod memory;
mod quiet;
mod request;
mod throughput;
mod web;

use std::future::Future;
use std::io::{self, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::contenders::{self, Contender};
use super::content;
use super::lateness;
use super::measure::{BYTES, Row, Runs, Target, Unit};
use super::scene::Scene;
use super::trouble::Trouble;

/// Rows that come from the same runs.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) rows: &'static [&'static str],
    pub(super) measure: fn(&Bench) -> Vec<Row>,
}

/// All there is, in the order of the table.
pub(super) const FAMILIES: &[Family] = &[
    echo::SILENT,
    request::FAMILY,
    download::FAMILY,
    echo::DOWN,
    connect::FAMILY,
    failback::FAMILY,
    quiet::FAMILY,
    first_byte::FAMILY,
    throughput::FAMILY,
    bare::FAMILY,
    memory::FAMILY,
    web::FAMILY,
];

/// The names of all rows.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES
        .iter()
        .flat_map(|family| family.rows.iter().copied())
}

pub(super) fn list() -> String {
    names().map(|name| format!("{name}\n")).collect()
}

/// What the streams of all runs came to.
pub(super) fn bytes() -> Row {
    let (compared, wrong) = content::compared();
    let mut runs = Runs::default();
    runs.push(wrong as f64);
    Row {
        name: BYTES,
        what: "bytes lost, repeated or out of order, in all runs",
        unit: Unit::Count,
        target: Target::EachAtMost(0.0),
        runs: vec![(Contender::Warm, runs)],
        note: Some(format!(
            "{:.1} MB were compared with what had been sent, of all contenders together",
            compared as f64 / 1e6
        )),
        troubles: Vec::new(),
    }
}

/// How to measure.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) quick: bool,
    pub(super) runs: u32,
    /// How long the rows take in which nothing may happen.
    pub(super) long: Duration,
    only: Vec<String>,
    has_mptcp: bool,
}

impl Bench {
    pub(super) fn new(quick: bool, runs: Option<u32>, long: Option<u64>, only: &[String]) -> Self {
        Self {
            quick,
            long: Duration::from_secs(long.unwrap_or(if quick { 15 } else { 600 })),
            only: only.to_vec(),
            runs: runs.unwrap_or(if quick { 2 } else { 9 }),
            has_mptcp: contenders::is_available(),
        }
    }

    /// How long to wait for what may never come.
    fn patience(&self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 5 })
    }

    /// Whether this row was asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| name.starts_with(it))
    }

    /// One line on standard error.
    pub(super) fn say(&self, text: impl std::fmt::Display) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Those of `contenders` that this machine has.
    fn present(&self, contenders: &[Contender]) -> Vec<Contender> {
        let over_mptcp = |it: &Contender| matches!(it, Contender::Kernel | Contender::Watched);
        let present = |it: &Contender| self.has_mptcp || !over_mptcp(it);
        contenders.iter().copied().filter(present).collect()
    }

    /// Where between two messages a fault strikes in this run, from 0 to 1: evenly spread, in an
    /// order that has nothing to do with the number of the run.
    fn phase(&self, run: u32) -> f64 {
        let golden = 0.618_033_988_749_894_9;
        (f64::from(run) * golden).fract()
    }
}

/// Whether the contenders of a run have the machine for themselves or share it. They never share
/// links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// At the same time: for what costs the machine next to nothing.
    SideBySide,
    /// One after the other, each run beginning with another one.
    InTurn,
}

/// What several contenders did in several runs.
#[derive(Debug)]
struct Collected<T> {
    results: Vec<(Contender, Vec<T>)>,
    troubles: Vec<String>,
}

/// A run in which a thread of this machine woke that late is done again …
const TOO_LATE: Duration = Duration::from_millis(20);
/// … this often at most.
const REPEATS: u32 = 3;

/// Lets every contender do the same, `bench.runs` times.
fn collect<T: Send>(
    bench: &Bench,
    what: &str,
    contenders: &[Contender],
    order: Order,
    one: impl Fn(Contender, u32) -> Result<T, Trouble> + Sync,
) -> Collected<T> {
    let contenders = bench.present(contenders);
    let mut collected = Collected {
        results: contenders.iter().map(|it| (*it, Vec::new())).collect(),
        troubles: Vec::new(),
    };
    for run in 0..bench.runs {
        let mut repeats = 0;
        let mut outcomes = loop {
            bench.say(format_args!("{what}: run {} of {}", run + 1, bench.runs));
            lateness::reset();
            let outcomes = once(&contenders, order, run, &one);
            let late = lateness::worst();
            if late < TOO_LATE {
                break outcomes;
            }
            let late = late.as_millis();
            bench.say(format_args!(
                "{what}: this machine itself was {late} ms late"
            ));
            if repeats == if bench.quick { 1 } else { REPEATS } {
                collected.troubles.push(format!(
                    "run {} counts although this machine itself was {late} ms late",
                    run + 1
                ));
                break outcomes;
            }
            repeats += 1;
        };
        for (contender, results) in &mut collected.results {
            let Some(at) = outcomes.iter().position(|(it, _)| it == contender) else {
                continue;
            };
            match outcomes.swap_remove(at).1 {
                Ok(result) => results.push(result),
                Err(trouble) => {
                    let text = format!("{contender}, run {}, proved nothing: {trouble}", run + 1);
                    bench.say(format_args!("{what}: {text}"));
                    collected.troubles.push(text);
                }
            }
        }
    }
    collected
}

type Outcomes<T> = Vec<(Contender, Result<T, Trouble>)>;

/// One run of all contenders.
fn once<T: Send>(
    contenders: &[Contender],
    order: Order,
    run: u32,
    one: &(impl Fn(Contender, u32) -> Result<T, Trouble> + Sync),
) -> Outcomes<T> {
    let panicked = |_| Err(Trouble::new("the run panicked"));
    thread::scope(|scope| {
        let start = |it: &Contender| {
            let contender = *it;
            (contender, scope.spawn(move || one(contender, run)))
        };
        let join = |(it, thread): (Contender, thread::ScopedJoinHandle<'_, _>)| {
            (it, thread.join().unwrap_or_else(panicked))
        };
        match order {
            Order::SideBySide => {
                let threads: Vec<_> = contenders.iter().map(start).collect();
                threads.into_iter().map(join).collect()
            }
            Order::InTurn => {
                let mut turns = contenders.to_vec();
                turns.rotate_left(run as usize % contenders.len().max(1));
                turns.iter().map(|it| join(start(it))).collect()
            }
        }
    })
}

impl<T> Collected<T> {
    /// One number of each run of these contenders.
    fn runs(&self, of: &[Contender], number: impl Fn(&T) -> f64) -> Vec<(Contender, Runs)> {
        let wanted = self.results.iter().filter(|(it, _)| of.contains(it));
        wanted
            .map(|(contender, results)| {
                let mut runs = Runs::default();
                results.iter().for_each(|result| runs.push(number(result)));
                (*contender, runs)
            })
            .collect()
    }

    fn row(
        &self,
        (name, what): (&'static str, &'static str),
        (unit, target): (Unit, Target),
        of: &[Contender],
        number: impl Fn(&T) -> f64,
    ) -> Row {
        Row {
            name,
            what,
            unit,
            target,
            runs: self.runs(of, number),
            note: None,
            troubles: self.troubles.clone(),
        }
    }
}

/// Runs a client that tells when it begins, and strikes so long after that.
fn strike<F, Fut, T>(
    scene: &Scene,
    contender: Contender,
    after: Duration,
    client: F,
    fault: impl FnOnce(&Scene) -> Result<(), Trouble>,
) -> Result<(T, Instant), Trouble>
where
    F: FnOnce(mpsc::Sender<Instant>) -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<T>> + 'static,
    T: Send + 'static,
{
    let (started, start) = mpsc::channel();
    let task = scene.client(move || client(started))?;
    let start = start
        .recv_timeout(Duration::from_secs(10))
        .map_err(|_| Trouble::new("no connection before the fault"))?;
    thread::sleep((start + after).saturating_duration_since(Instant::now()));
    backup_is_as_it_should_be(contender, scene)?;
    let before = scene.wifi.counters();
    let struck = Instant::now();
    fault(scene)?;
    let result = task.join()?;
    scene.wifi_dropped_since(&before)?;
    Ok((result, struck))
}

/// A comparison is fair only if everybody's backup is what the row says.
fn backup_is_as_it_should_be(contender: Contender, scene: &Scene) -> Result<(), Trouble> {
    let cellular = scene.cellular.counters();
    let joined = cellular.down.delivered.syns > 0;
    match contender {
        Contender::Warm | Contender::Kernel | Contender::Watched if !joined => {
            Err(Trouble::new("the backup was not joined before the fault"))
        }
        Contender::Cold | Contender::Plain if cellular.up.offered.packets > 0 => {
            Err(Trouble::new("cellular was in use before the fault"))
        }
        _ => Ok(()),
    }
}
