//! Connecting while Wi-Fi is dead, and still the way that the system takes.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use twinpath_lab::Direction;

use super::{Bench, Contender, Family, Order, Row, Target, Unit, collect};
use crate::bench::echo::millis;
use crate::bench::scene::Scene;
use crate::bench::trouble::Trouble;

const NAME: &str = "connect";
/// 250 ms and one round trip over cellular.
const TARGET: f64 = 310.0;

pub(super) const FAMILY: Family = Family {
    rows: &[NAME],
    measure,
};

fn measure(bench: &Bench) -> Vec<Row> {
    use Contender::{Kernel, Plain, Warm, Watched};
    let all = [Warm, Watched, Kernel, Plain];
    let collected = collect(bench, NAME, &all, Order::SideBySide, |contender, _| {
        one(contender, bench.patience())
    });
    let what = "connecting while Wi-Fi is dead and still the default route";
    let mut row = collected.row(
        (NAME, what),
        (Unit::Millis, Target::MedianAtMost(TARGET)),
        &all,
        |it| *it,
    );
    row.note = Some(format!(
        "never is not within {} s",
        bench.patience().as_secs()
    ));
    vec![row]
}

fn one(contender: Contender, patience: Duration) -> Result<f64, Trouble> {
    let scene = Scene::usual(contender)?;
    let doors = scene.doors;
    let before = scene.wifi.counters();
    scene.wifi.blackhole(Direction::Both);
    let client = scene.client(move || async move {
        let begun = Instant::now();
        match timeout(patience, contender.connect(doors)).await {
            Ok(Ok(_)) => millis(begun.elapsed()),
            Ok(Err(_)) | Err(_) => f64::INFINITY,
        }
    })?;
    let took = client.join();
    scene.wifi_dropped_since(&before)?;
    Ok(took)
}
