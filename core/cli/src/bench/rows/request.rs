//! One request on an idle connection whose Wi-Fi has died unnoticed.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use twinpath_lab::Direction;

use super::{Bench, Contender, Family, Order, Row, Target, Unit, collect, strike};
use crate::bench::contenders::Duplex;
use crate::bench::content::{Check, Content};
use crate::bench::echo::{self, MESSAGE, millis};
use crate::bench::scene::Scene;
use crate::bench::trouble::Trouble;

const NAME: &str = "request";
/// Exchanges before, by which the round-trip time is known and the backup joined.
const EXCHANGES: u64 = 10;
const PAUSE: Duration = Duration::from_millis(50);
/// Between the last exchange and the fault.
const QUIET: Duration = Duration::from_millis(700);

pub(super) const FAMILY: Family = Family {
    rows: &[NAME],
    measure,
};

fn measure(bench: &Bench) -> Vec<Row> {
    use Contender::{Kernel, Plain, Warm, Watched};
    let dead = Duration::from_millis(if bench.quick { 1500 } else { 3000 });
    let all = [Warm, Watched, Kernel, Plain];
    let collected = collect(bench, NAME, &all, Order::SideBySide, |contender, run| {
        let dead = dead.mul_f64(1.0 - 0.3 * bench.phase(run));
        one(contender, run, dead, bench.patience())
    });
    let what = "one request after Wi-Fi died unnoticed";
    let target = (Unit::Millis, Target::MedianAtMost(150.0));
    vec![collected.row((NAME, what), target, &all, |it| *it)]
}

fn one(contender: Contender, run: u32, dead: Duration, patience: Duration) -> Result<f64, Trouble> {
    let scene = Scene::usual(contender)?;
    let doors = scene.doors;
    let client = move |started: mpsc::Sender<Instant>| async move {
        let mut line = contender.connect(doors).await?;
        let stream = &mut *line.stream;
        echo::begin(stream).await?;
        let content = Content::new(u64::from(run));
        let mut check = Check::new(content);
        for number in 0..EXCHANGES {
            exchange(stream, content, &mut check, number).await?;
            tokio::time::sleep(PAUSE).await;
        }
        let _ = started.send(Instant::now());
        tokio::time::sleep(QUIET + dead).await;
        let asked = Instant::now();
        let answered = timeout(patience, exchange(stream, content, &mut check, EXCHANGES)).await;
        Ok(match answered {
            Ok(answered) => answered.map(|()| millis(asked.elapsed()))?,
            Err(_) => f64::INFINITY,
        })
    };
    let (delay, _) = strike(&scene, contender, QUIET, client, |scene| {
        scene.wifi.blackhole(Direction::Both);
        Ok(())
    })?;
    Ok(delay)
}

async fn exchange(
    stream: &mut dyn Duplex,
    content: Content,
    check: &mut Check,
    number: u64,
) -> io::Result<()> {
    let message = content.at(number * MESSAGE as u64, MESSAGE);
    stream.write_all(message).await?;
    let mut answer = [0; MESSAGE];
    stream.read_exact(&mut answer).await?;
    check.take(&answer);
    Ok(())
}
