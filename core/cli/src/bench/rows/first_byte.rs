//! What a session costs at its start: the time to the first byte of an answer.

use std::io;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Bench, Contender, Family, Row, Target, Unit};
use crate::bench::contenders::Doors;
use crate::bench::content::{Check, Content};
use crate::bench::echo::{MESSAGE, millis};
use crate::bench::measure::Runs;
use crate::bench::scene::Scene;
use crate::bench::service::Request;
use crate::bench::trouble::Trouble;

const NAME: &str = "first-byte";

pub(super) const FAMILY: Family = Family {
    rows: &[NAME],
    measure,
};

fn measure(bench: &Bench) -> Vec<Row> {
    let number = if bench.quick { 15 } else { 60 };
    bench.say(format_args!(
        "{NAME}: {number} connections of each contender"
    ));
    let mut row = Row {
        name: NAME,
        what: "time to first byte, against raw TCP through the same gateway",
        unit: Unit::Millis,
        target: Target::MedianAtMost(f64::NAN),
        runs: Vec::new(),
        note: Some(format!(
            "medians of {number} connections; kernel MPTCP goes to the service itself, plain TCP through the gateway; \
             the target is plain TCP's median and 2 %, at least 1 ms, more"
        )),
        troubles: Vec::new(),
    };
    match all(bench, number) {
        Ok(runs) => row.runs = runs,
        Err(trouble) => row.troubles.push(trouble.to_string()),
    }
    if let Some(raw) = row.of(Contender::Plain).map(Runs::median) {
        row.target = Target::MedianAtMost((raw * 1.02).max(raw + 1.0));
    }
    vec![row]
}

fn all(bench: &Bench, number: u32) -> Result<Vec<(Contender, Runs)>, Trouble> {
    let contenders = bench.present(&[Contender::Warm, Contender::Kernel, Contender::Plain]);
    let scene = Scene::usual(Contender::Kernel)?;
    let mut doors = scene.doors;
    // Raw, through the same gateway.
    doors.plain = doors.gateway;
    let client = scene.client(move || async move {
        let mut runs: Vec<_> = contenders.iter().map(|it| (*it, Runs::default())).collect();
        for turn in 0..number as usize {
            for place in 0..runs.len() {
                let at = (turn + place) % contenders.len();
                let (contender, runs) = &mut runs[at];
                runs.push(one(*contender, doors, turn as u64).await?);
            }
        }
        Ok::<_, io::Error>(runs)
    })?;
    Ok(client.join()?)
}

/// The time until the answer to a first message begins, in ms, from before the connect.
pub(super) async fn one(contender: Contender, doors: Doors, seed: u64) -> io::Result<f64> {
    let content = Content::new(seed);
    let begun = Instant::now();
    let mut line = contender.connect(doors).await?;
    let mut request = Request::Echo.encode().to_vec();
    request.extend_from_slice(content.at(0, MESSAGE));
    line.stream.write_all(&request).await?;
    let mut answer = [0; MESSAGE];
    let first = line.stream.read(&mut answer).await?;
    let took = millis(begun.elapsed());
    line.stream.read_exact(&mut answer[first..]).await?;
    Check::new(content).take(&answer);
    Ok(took)
}
