//! The longest silence of a download under which Wi-Fi dies.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout_at;
use twinpath_lab::Direction;

use super::{Bench, Contender, Family, Order, Row, Target, Unit, collect, strike};
use crate::bench::content::{Check, Content};
use crate::bench::echo::longest_silence;
use crate::bench::scene::Scene;
use crate::bench::service::Request;
use crate::bench::trouble::Trouble;

const WARM: &str = "download";
const COLD: &str = "download-cold";
const BEFORE: Duration = Duration::from_millis(1500);
const AFTER: Duration = Duration::from_millis(2500);
/// More than can come in that time.
const SIZE: u64 = 1 << 40;

pub(super) const FAMILY: Family = Family {
    rows: &[WARM, COLD],
    measure,
};

fn measure(bench: &Bench) -> Vec<Row> {
    use Contender::{Cold, Kernel, Plain, Warm, Watched};
    let all = [Warm, Cold, Watched, Kernel, Plain];
    let collected = collect(bench, WARM, &all, Order::InTurn, |contender, run| {
        let phase = Duration::from_millis(100).mul_f64(bench.phase(run));
        one(contender, run, BEFORE + phase)
    });
    let what = "download, longest silence, Wi-Fi falls silent";
    let cold = "the same, with a cold backup";
    let target = |millis| (Unit::Millis, Target::MedianAtMost(millis));
    vec![
        collected.row(
            (WARM, what),
            target(150.0),
            &[Warm, Watched, Kernel, Plain],
            |it| *it,
        ),
        collected.row((COLD, cold), target(350.0), &[Cold, Kernel, Plain], |it| {
            *it
        }),
    ]
}

fn one(contender: Contender, run: u32, after: Duration) -> Result<f64, Trouble> {
    let scene = Scene::usual(contender)?;
    let doors = scene.doors;
    let client = move |started: mpsc::Sender<Instant>| async move {
        let mut line = contender.connect(doors).await?;
        let seed = u64::from(run);
        let request = Request::Down { seed, size: SIZE };
        line.stream.write_all(&request.encode()).await?;
        let begun = Instant::now();
        let _ = started.send(begun);
        let until = begun + BEFORE + AFTER;
        let mut check = Check::new(Content::new(seed));
        let mut buffer = vec![0; 64 * 1024];
        let mut arrivals = Vec::new();
        loop {
            match timeout_at(until.into(), line.stream.read(&mut buffer)).await {
                Ok(Ok(size)) if size > 0 => {
                    arrivals.push(Instant::now());
                    check.take(&buffer[..size]);
                }
                Ok(Ok(_)) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok((arrivals, until)),
            }
        }
    };
    let ((arrivals, until), struck) = strike(&scene, contender, after, client, |scene| {
        scene.wifi.blackhole(Direction::Both);
        Ok(())
    })?;
    Ok(longest_silence(&arrivals, struck, until))
}
