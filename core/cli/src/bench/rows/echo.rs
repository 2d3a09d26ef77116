//! The worst message while Wi-Fi dies: 200 bytes every 10 ms that come back.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use twinpath_lab::Direction;

use super::{Bench, Collected, Contender, Family, Order, Row, Target, Unit, collect, strike};
use crate::bench::echo::{self, Pace};
use crate::bench::scene::Scene;
use crate::bench::trouble::Trouble;

const INTERVAL: Duration = Duration::from_millis(10);
/// Enough for round-trip times to be known and for the backup to be joined.
const BEFORE: Duration = Duration::from_millis(1500);

const SILENT_WARM: &str = "echo-silent";
const SILENT_COLD: &str = "echo-silent-cold";
const SILENT_WATCHED: &str = "echo-silent-kernel";
const DOWN_WARM: &str = "echo-down";

pub(super) const SILENT: Family = Family {
    rows: &[SILENT_WARM, SILENT_COLD, SILENT_WATCHED],
    measure: silent,
};

pub(super) const DOWN: Family = Family {
    rows: &[DOWN_WARM],
    measure: down,
};

fn silent(bench: &Bench) -> Vec<Row> {
    use Contender::{Cold, Kernel, Plain, Warm, Watched};
    let all = [Warm, Cold, Watched, Kernel, Plain];
    let collected = measure(bench, SILENT_WARM, &all, |scene| {
        scene.wifi.blackhole(Direction::Both);
        Ok(())
    });
    let what = "worst message, echo every 10 ms, Wi-Fi falls silent";
    let cold = "the same, with a cold backup";
    let watched = "the same, kernel MPTCP and whoever may tell it that a path is dead";
    let target = |millis| (Unit::Millis, Target::MedianAtMost(millis));
    vec![
        collected.row(
            (SILENT_WARM, what),
            target(130.0),
            &[Warm, Watched, Kernel, Plain],
            |it| *it,
        ),
        collected.row(
            (SILENT_COLD, cold),
            target(200.0),
            &[Cold, Kernel, Plain],
            |it| *it,
        ),
        collected.row(
            (SILENT_WATCHED, watched),
            target(450.0),
            &[Watched, Kernel],
            |it| *it,
        ),
    ]
}

fn down(bench: &Bench) -> Vec<Row> {
    use Contender::{Kernel, Plain, Warm, Watched};
    let all = [Warm, Watched, Kernel, Plain];
    let collected = measure(bench, DOWN_WARM, &all, |scene| Ok(scene.wifi.down()?));
    let what = "worst message, echo every 10 ms, the system takes Wi-Fi down";
    let target = (Unit::Millis, Target::MedianAtMost(90.0));
    vec![collected.row((DOWN_WARM, what), target, &all, |it| *it)]
}

fn measure(
    bench: &Bench,
    what: &str,
    contenders: &[Contender],
    fault: impl Fn(&Scene) -> Result<(), Trouble> + Sync,
) -> Collected<f64> {
    collect(
        bench,
        what,
        contenders,
        Order::SideBySide,
        |contender, run| {
            let strike = BEFORE + INTERVAL.mul_f64(bench.phase(run));
            one(contender, run, strike, bench.patience(), &fault)
        },
    )
}

/// The worst delay of a message that the fault could have met.
fn one(
    contender: Contender,
    run: u32,
    after: Duration,
    patience: Duration,
    fault: impl Fn(&Scene) -> Result<(), Trouble>,
) -> Result<f64, Trouble> {
    let scene = Scene::usual(contender)?;
    let doors = scene.doors;
    let client = move |started: mpsc::Sender<Instant>| async move {
        let mut line = contender.connect(doors).await?;
        echo::begin(&mut *line.stream).await?;
        let pace = Pace::new(INTERVAL, BEFORE + patience, u64::from(run));
        let _ = started.send(pace.from);
        Ok(echo::run(&mut *line.stream, pace).await)
    };
    let (answers, struck) = strike(&scene, contender, after, client, fault)?;
    log::debug!("{contender}, run {run}: {answers:?}");
    // What was on its way at that moment counts.
    Ok(answers.worst_delay(struck - Duration::from_millis(50)))
}
