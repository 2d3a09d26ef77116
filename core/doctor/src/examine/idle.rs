//! How long a connection may be idle before something on the way, a NAT above all, forgets it.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use twinpath::diagnosis::{Finding, Outcome, PathToTest};
use twinpath_socket::{ConnectOptions, connect, probe_closely, tcp_health};

/// The times that are tried, in seconds: those that devices are known to be set to lie between them.
const TRIED: [u64; 12] = [10, 20, 40, 75, 130, 200, 310, 610, 910, 1830, 3630, 7230];
const CONNECT: Duration = Duration::from_secs(4);
/// In which the server's kernel must give a sign of life: four are asked for, a second apart.
const SIGN: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What became of a connection that was idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    Lives,
    Forgotten,
    /// The server has ended it.
    Ended,
    Unknown,
}

/// Opens a connection for each of the times, all at once, lets it be idle for that long, and then has the kernels ask each
/// other for a sign of life, which no program sees.
pub(super) async fn measure(path: &PathToTest, limit: Duration) -> Finding {
    let mut resting = JoinSet::new();
    for time in times(limit) {
        let path = path.clone();
        resting.spawn(async move { (time, rest(&path, time).await) });
    }
    let mut told = Vec::new();
    while let Some(rested) = resting.join_next().await {
        // A task fails only by a panic, of which there is none.
        told.extend(rested);
    }
    told.sort_by_key(|(time, _)| *time);
    judge(&told)
}

fn times(limit: Duration) -> Vec<Duration> {
    let tried = TRIED.into_iter().map(Duration::from_secs);
    let mut times: Vec<_> = tried.filter(|it| *it < limit).collect();
    if times.is_empty() {
        times.push(limit / 3);
    }
    times.push(limit);
    times
}

async fn rest(path: &PathToTest, time: Duration) -> Idle {
    let mut options = ConnectOptions::bound_to(path.binding.clone());
    options.keepalive = None;
    let Ok(Ok(stream)) = timeout(CONNECT, connect(path.server, &options)).await else {
        return Idle::Unknown;
    };
    sleep(time).await;
    if probe_closely(&stream, true).is_err() {
        return Idle::Unknown;
    }
    let asked = std::time::Instant::now();
    let looking = async {
        let mut byte = [0];
        loop {
            match stream.try_read(&mut byte) {
                Ok(0) => return Idle::Ended,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let heard = tcp_health(&stream).ok().and_then(|it| it.last_ack_recv);
                    match heard {
                        Some(heard) if heard < asked.elapsed() => return Idle::Lives,
                        Some(_) => sleep(LOOK_EVERY).await,
                        None => return Idle::Unknown,
                    }
                }
                Err(_) => return Idle::Forgotten,
            }
        }
    };
    timeout(SIGN, looking).await.unwrap_or(Idle::Forgotten)
}

fn judge(told: &[(Duration, Idle)]) -> Finding {
    let longest = told
        .iter()
        .rev()
        .find(|it| it.1 == Idle::Lives)
        .map(|it| it.0);
    let shortest = told
        .iter()
        .find(|it| it.1 == Idle::Forgotten)
        .map(|it| it.0);
    let lives = longest.map_or_else(
        || "none of the times that were tried was survived".to_owned(),
        |time| {
            format!(
                "a connection that was idle for {} s lives",
                time.as_secs_f64()
            )
        },
    );
    let (state, text) = match (longest, shortest) {
        (Some(longest), Some(shortest)) if longest > shortest => (
            "unclear",
            format!("{lives}, and one of {} s does not", shortest.as_secs_f64()),
        ),
        (_, Some(shortest)) => (
            "forgotten",
            format!(
                "{lives}; after {} s something on the way has forgotten it: keepalives must come more often",
                shortest.as_secs_f64()
            ),
        ),
        (Some(_), None) if told.last().map(|it| it.0) == longest => {
            ("kept", format!("{lives}; longer times were not tried"))
        }
        _ => (
            "unclear",
            format!("{lives}; the server ended those that were idle for longer"),
        ),
    };
    Finding::new("idle", state, text, Outcome::Works)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(told: &[(u64, Idle)]) -> &'static str {
        let told: Vec<_> = told
            .iter()
            .map(|(at, idle)| (Duration::from_secs(*at), *idle))
            .collect();
        judge(&told).state
    }

    #[test]
    fn only_silence_is_forgetting() {
        use Idle::{Ended, Forgotten, Lives};
        assert_eq!(state(&[(10, Lives), (20, Lives)]), "kept");
        assert_eq!(state(&[(10, Lives), (20, Forgotten)]), "forgotten");
        assert_eq!(state(&[(10, Forgotten), (20, Lives)]), "unclear");
        assert_eq!(state(&[(10, Lives), (20, Ended)]), "unclear");
        assert_eq!(state(&[(10, Ended)]), "unclear");
    }

    #[test]
    fn the_limit_itself_is_tried() {
        assert_eq!(
            times(Duration::from_secs(30)),
            [10, 20, 30].map(Duration::from_secs)
        );
        assert_eq!(
            times(Duration::from_secs(6)),
            [2, 6].map(Duration::from_secs)
        );
    }
}
