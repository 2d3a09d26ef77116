//! What Twinpath costs over kernel MPTCP, against a bare MPTCP socket to the same service.

use std::io;
use std::time::Instant;

use twinpath_lab::{LinkSpec, Rate};

use super::throughput::exchange;
use super::{Bench, Contender, Family, Row, Target, Unit, first_byte};
use crate::bench::contenders::Doors;
use crate::bench::measure::Runs;
use crate::bench::scene::Scene;
use crate::bench::trouble::Trouble;

const FIRST_BYTE: &str = "first-byte-kernel";
const DOWN: &str = "throughput-kernel";
const UP: &str = "throughput-kernel-up";

pub(super) const FAMILY: Family = Family {
    rows: &[FIRST_BYTE, DOWN, UP],
    measure,
};

/// Of one transfer; at 500 Mbit/s a tenth of a second.
const SIZE: u64 = 6_000_000;

/// Of the same thing by both contenders, one right after the other.
type Pairs = Vec<[f64; 2]>;

const BOTH: [Contender; 2] = [Contender::Watched, Contender::Kernel];

fn measure(bench: &Bench) -> Vec<Row> {
    if bench.present(&BOTH).len() < 2 {
        return Vec::new();
    }
    let number = if bench.quick { 15 } else { 60 };
    bench.say(format_args!("{FIRST_BYTE}: {number} of each contender"));
    let first_byte = measured(Scene::usual(Contender::Watched), number, Kind::FirstByte);
    let fast = || {
        let wifi = LinkSpec {
            rate: Some(Rate::mbit(500)),
            queue: 1_250_000,
            ..LinkSpec::wifi()
        };
        Scene::with(Contender::Watched, wifi, 0)
    };
    bench.say(format_args!("{DOWN}: {number} of each contender, each way"));
    let down = measured(fast(), number, Kind::Transfer { up: false });
    let up = measured(fast(), number, Kind::Transfer { up: true });
    vec![
        delay(first_byte),
        rate(
            (DOWN, "throughput against a bare MPTCP socket, download"),
            down,
        ),
        rate((UP, "the same, upload"), up),
    ]
}

/// What is done in pairs.
#[derive(Debug, Clone, Copy)]
enum Kind {
    FirstByte,
    Transfer { up: bool },
}

fn measured(scene: Result<Scene, Trouble>, number: u64, kind: Kind) -> Result<Pairs, Trouble> {
    let scene = scene?;
    let doors = scene.doors;
    let client = scene.client(move || async move {
        let mut pairs = Pairs::new();
        for turn in 0..number {
            let mut pair = [0.0; 2];
            for place in 0..2 {
                let at = (turn as usize + place) % 2;
                pair[at] = one(BOTH[at], doors, turn, kind).await?;
            }
            pairs.push(pair);
        }
        Ok::<_, io::Error>(pairs)
    })?;
    Ok(client.join()?)
}

async fn one(contender: Contender, doors: Doors, seed: u64, kind: Kind) -> io::Result<f64> {
    match kind {
        Kind::FirstByte => first_byte::one(contender, doors, seed).await,
        Kind::Transfer { up } => {
            let begun = Instant::now();
            let mut line = contender.connect(doors).await?;
            exchange(&mut *line.stream, SIZE, up, seed).await?;
            Ok(begun.elapsed().as_secs_f64())
        }
    }
}

fn delay(pairs: Result<Pairs, Trouble>) -> Row {
    let what = "time to first byte, kernel MPTCP, against a bare MPTCP socket";
    let mut row = row((FIRST_BYTE, what), Unit::Millis);
    match pairs {
        Ok(pairs) => {
            row.runs = each(&pairs);
            let bare = row.runs[1].1.median();
            row.target = Target::MedianAtMost((bare * 1.02).max(bare + 1.0));
            let (mean, half) = interval(pairs.iter().map(|[ours, bare]| ours - bare));
            row.note = Some(format!(
                "{} pairs differ by {mean:.2} ± {half:.2} ms (95 % interval of the mean)",
                pairs.len()
            ));
        }
        Err(trouble) => row.troubles.push(trouble.to_string()),
    }
    row
}

fn rate(name: (&'static str, &'static str), pairs: Result<Pairs, Trouble>) -> Row {
    let mut row = row(name, Unit::Ratio);
    row.target = Target::MedianAtLeast(0.95);
    match pairs {
        Ok(pairs) => {
            let ratios = || pairs.iter().map(|[ours, bare]| bare / ours);
            let mut runs = Runs::default();
            ratios().for_each(|ratio| runs.push(ratio));
            row.runs = vec![(Contender::Watched, runs)];
            let (mean, half) = interval(ratios());
            row.note = Some(format!(
                "{} pairs of {} MB: {mean:.3} ± {half:.3} (95 % interval of the mean)",
                pairs.len(),
                SIZE / 1_000_000
            ));
        }
        Err(trouble) => row.troubles.push(trouble.to_string()),
    }
    row
}

fn row((name, what): (&'static str, &'static str), unit: Unit) -> Row {
    Row {
        name,
        what,
        unit,
        target: Target::MedianAtMost(f64::NAN),
        runs: Vec::new(),
        note: None,
        troubles: Vec::new(),
    }
}

fn each(pairs: &Pairs) -> Vec<(Contender, Runs)> {
    let runs = |at: usize| {
        let mut runs = Runs::default();
        pairs.iter().for_each(|pair| runs.push(pair[at]));
        (BOTH[at], runs)
    };
    vec![runs(0), runs(1)]
}

/// The mean, and half of its 95 % interval.
fn interval(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let number = values.clone().count().max(2) as f64;
    let mean = values.clone().sum::<f64>() / number;
    let variance = values.map(|it| (it - mean).powi(2)).sum::<f64>() / (number - 1.0);
    (mean, 1.96 * (variance / number).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_that_of_the_mean() {
        let (mean, half) = interval([1.0, 2.0, 3.0, 4.0].into_iter());
        assert!((mean - 2.5).abs() < 1e-9);
        assert!((half - 1.96 * (5.0_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-9);
    }
}
