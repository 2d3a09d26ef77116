//! Back to Wi-Fi once it is healthy again.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use twinpath_lab::Direction;

use super::{Bench, Contender, Family, Order, Row, Target, Unit, collect, strike};
use crate::bench::echo::{self, Pace};
use crate::bench::scene::Scene;
use crate::bench::trouble::Trouble;

const WHEN: &str = "failback";
const STALL: &str = "failback-stall";
const INTERVAL: Duration = Duration::from_millis(10);
const BEFORE: Duration = Duration::from_millis(1500);
/// Who has carried more in this time carries the connection.
const WINDOW: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(20);

pub(super) const FAMILY: Family = Family {
    rows: &[WHEN, STALL],
    measure,
};

struct Back {
    seconds: f64,
    stall: f64,
}

fn measure(bench: &Bench) -> Vec<Row> {
    use Contender::{Kernel, Plain, Warm, Watched};
    let all = [Warm, Watched, Kernel, Plain];
    let (spread, after) = if bench.quick { (2, 9) } else { (7, 12) };
    let (spread, after) = (Duration::from_secs(spread), Duration::from_secs(after));
    let collected = collect(bench, WHEN, &all, Order::SideBySide, |contender, run| {
        // Between two attempts to reach it as well as right after one.
        let dead = Duration::from_secs(3) + spread.mul_f64(bench.phase(run));
        one(contender, run, dead, after)
    });
    let mut row = collected.row(
        (WHEN, "back on Wi-Fi after it heals"),
        (Unit::Seconds, Target::MedianAtMost(8.0)),
        &all,
        |it| it.seconds,
    );
    row.note = Some(format!(
        "Wi-Fi was dead for 3 to {} s; back is when it has carried more payload than cellular for 200 ms",
        3 + spread.as_secs()
    ));
    let target = (Unit::Millis, Target::MedianAtMost(50.0));
    let what = "stall while going back, echo every 10 ms";
    vec![
        row,
        collected.row((STALL, what), target, &all, |it| it.stall),
    ]
}

fn one(contender: Contender, run: u32, dead: Duration, after: Duration) -> Result<Back, Trouble> {
    let scene = Scene::usual(contender)?;
    let doors = scene.doors;
    let client = move |started: mpsc::Sender<Instant>| async move {
        let mut line = contender.connect(doors).await?;
        echo::begin(&mut *line.stream).await?;
        let pace = Pace::new(INTERVAL, BEFORE + dead + after, u64::from(run));
        let _ = started.send(pace.from);
        Ok(echo::run(&mut *line.stream, pace).await)
    };
    let mut healed = Instant::now();
    let mut seconds = f64::INFINITY;
    let (answers, _) = strike(&scene, contender, BEFORE, client, |scene| {
        scene.wifi.blackhole(Direction::Both);
        thread::sleep(dead);
        scene.wifi.heal();
        healed = Instant::now();
        seconds = back_after(scene, healed, after);
        Ok(())
    })?;
    Ok(Back {
        seconds,
        stall: answers.longest_silence(healed),
    })
}

/// When Wi-Fi has begun to carry more than cellular, in seconds.
fn back_after(scene: &Scene, healed: Instant, after: Duration) -> f64 {
    let arrived = || {
        let payload = |it: &twinpath_lab::LinkHandle| it.counters().down.delivered.tcp_payload;
        (
            Instant::now(),
            payload(&scene.wifi),
            payload(&scene.cellular),
        )
    };
    let mut seen = vec![arrived()];
    let until = healed + after - Duration::from_millis(500);
    loop {
        thread::sleep(LOOK);
        let now = arrived();
        seen.retain(|(at, _, _)| now.0 - *at <= WINDOW + LOOK);
        seen.push(now);
        let (first, wifi, cellular) = seen[0];
        if now.0 - first >= WINDOW && now.1 - wifi > (now.2 - cellular).max(1000) {
            return (first - healed).as_secs_f64();
        }
        if now.0 >= until {
            return f64::INFINITY;
        }
    }
}
