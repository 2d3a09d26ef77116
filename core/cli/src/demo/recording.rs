//! What the demo saw: samples of both downloads, and what happened when.

use std::time::Duration;

use super::progress::Snapshot;

/// How often the links' counters are read.
pub(super) const STEP: Duration = Duration::from_millis(20);

/// One look at a download and its two links; all numbers count from the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at: Duration,
    /// Payload that each link has delivered.
    pub(super) wifi: u64,
    pub(super) cellular: u64,
    /// Bytes of the file that the program had.
    pub(super) received: u64,
}

/// One of the two downloads.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) samples: Vec<Sample>,
    pub(super) last: Snapshot,
}

/// Something that happened, as the demo tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    WifiDies,
    WifiReturns,
    Hedge,
    Recovered,
    Failover,
    Failback,
    TwinpathDone,
    PlainDone,
}

/// A mark, when it was, and what there is to say about it.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) at: Duration,
    pub(super) mark: Mark,
    pub(super) text: String,
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    pub(super) twinpath: Run,
    pub(super) plain: Run,
    pub(super) moments: Vec<Moment>,
    /// How long the demo watched.
    pub(super) length: Duration,
    /// What the links are made of.
    pub(super) stage: String,
    /// Wi-Fi's and cellular's rate, in Mbit/s, and round-trip time.
    pub(super) links: [(f64, Duration); 2],
}

impl Mark {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::WifiDies => "Wi-Fi silent",
            Self::WifiReturns => "Wi-Fi back",
            Self::Hedge => "hedge",
            Self::Recovered => "recovered",
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::TwinpathDone | Self::PlainDone => "done",
        }
    }
}

impl Run {
    pub(super) fn new() -> Self {
        Self {
            samples: Vec::new(),
            last: Snapshot {
                received: 0,
                stall: super::progress::Stall::default(),
                end: None,
            },
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.last.end.is_some()
    }

    /// Mbit/s over Wi-Fi and cellular in the last `window`.
    pub(super) fn rates(&self, window: Duration) -> [f64; 2] {
        let Some(now) = self.samples.last() else {
            return [0.0; 2];
        };
        let since = now.at.saturating_sub(window);
        let then = self.samples.iter().rev().find(|it| it.at <= since);
        let then = then.copied().unwrap_or_default();
        [
            mbit(now.wifi - then.wifi, now.at - then.at),
            mbit(now.cellular - then.cellular, now.at - then.at),
        ]
    }

    /// Mbit/s over Wi-Fi and cellular in steps of `step`, each with its middle.
    pub(super) fn throughput(&self, step: Duration) -> Vec<(Duration, [f64; 2])> {
        let mut points = Vec::new();
        let mut then = Sample::default();
        for now in &self.samples {
            let took = now.at - then.at;
            if took >= step {
                let rates = [
                    mbit(now.wifi - then.wifi, took),
                    mbit(now.cellular - then.cellular, took),
                ];
                points.push((then.at + took / 2, rates));
                then = *now;
            }
        }
        points
    }
}

/// A rate in Mbit/s.
pub(super) fn mbit(bytes: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    bytes as f64 * 8.0 / 1e6 / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_window() {
        let mut run = Run::new();
        for step in 0..=10_u64 {
            run.samples.push(Sample {
                at: Duration::from_millis(100 * step),
                wifi: 625_000 * step.min(5),
                cellular: 250_000 * step.saturating_sub(5),
                received: 0,
            });
        }
        let [wifi, cellular] = run.rates(Duration::from_millis(300));
        assert!(wifi.abs() < 0.01 && (cellular - 20.0).abs() < 0.01);
        let points = run.throughput(Duration::from_millis(100));
        assert_eq!(points.len(), 10);
        assert!((points[0].1[0] - 50.0).abs() < 0.01);
        assert!((points[9].1[1] - 20.0).abs() < 0.01);
    }
}
