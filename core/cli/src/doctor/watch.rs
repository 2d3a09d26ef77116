//! `--watch`: again and again, and what has changed since the last time.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};
use twinpath::Target;
use twinpath_doctor::{Examined, Options, report, worst};

use super::{Args, examine_all, write_page};
use crate::exit::{Failure, say};

pub(super) async fn run(
    args: &Args,
    targets: &[Target],
    options: &Options,
    every: Duration,
) -> Result<u8, Failure> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = HashMap::new();
    let mut code = 3;
    let mut left = args.times;
    while left != Some(0) {
        let all = async {
            ticks.tick().await;
            examine_all(targets, options).await
        };
        let all = tokio::select! {
            all = all => all?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(Failure::not_connected)?;
                break;
            }
        };
        left = left.map(|it| it - 1);
        let outcome = worst(all.iter().map(Examined::outcome));
        code = outcome.code();
        write_page(args, &all)?;
        if args.json {
            let mut value = report::many_json(&all, outcome);
            value["at"] = json!(now());
            say(value)?;
        } else {
            tell(&all, &mut known)?;
        }
    }
    Ok(code)
}

/// A line for each path of which something else is true than the last time.
fn tell(all: &[Examined], known: &mut HashMap<String, &'static str>) -> Result<(), Failure> {
    for examined in all {
        for path in &examined.paths {
            let told = &path.told;
            let name = format!("{} to {}", told.interface, told.server);
            let verdict = told.verdict.name();
            let before = known.insert(name, verdict);
            if before == Some(verdict) {
                continue;
            }
            let was = before.map(|it| format!(" (was {it})")).unwrap_or_default();
            say(format!("{} {verdict}{was}: {}", now(), told.summary))?;
        }
    }
    Ok(())
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |it| it.as_secs())
}
