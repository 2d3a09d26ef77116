//! What was measured, and what it says.

use super::contenders::Contender;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Seconds,
    Bytes,
    KiB,
    Ratio,
    Count,
}

impl Unit {
    /// For programs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::KiB => "KiB",
            Self::Ratio => "ratio",
            Self::Count => "count",
        }
    }

    /// The number as it stands in a table.
    pub(super) fn show(self, value: f64) -> String {
        if value.is_nan() {
            return "-".to_owned();
        }
        if value.is_infinite() {
            return "never".to_owned();
        }
        match self {
            Self::Millis if value < 10.0 => format!("{value:.1} ms"),
            Self::Millis => format!("{value:.0} ms"),
            Self::Seconds => format!("{value:.1} s"),
            Self::Bytes => format!("{value:.0} B"),
            Self::KiB => format!("{value:.1} KiB"),
            Self::Ratio => format!("{value:.3}"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

/// Which side of the target is good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// The median at most this.
    MedianAtMost(f64),
    /// The median at least this.
    MedianAtLeast(f64),
    /// Every run at most this.
    EachAtMost(f64),
}

/// The single runs of one contender.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Runs(Vec<f64>);

impl Runs {
    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// NaN if there was no run.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[odd / 2],
            // The mean of the two in the middle is infinite if one of them is.
            even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        }
    }

    /// The largest, or the smallest where more is better.
    pub(super) fn worst(&self, target: Target) -> f64 {
        let better = matches!(target, Target::MedianAtLeast(_));
        self.0.iter().copied().fold(f64::NAN, |worst, value| {
            if better {
                worst.min(value)
            } else {
                worst.max(value)
            }
        })
    }
}

impl Target {
    fn is_met(self, runs: &Runs) -> bool {
        match self {
            Self::MedianAtMost(limit) => runs.median() <= limit,
            Self::MedianAtLeast(limit) => runs.median() >= limit,
            Self::EachAtMost(limit) => runs.worst(self) <= limit,
        }
    }

    pub(super) fn show(self, unit: Unit) -> String {
        match self {
            Self::MedianAtLeast(limit) => format!(">= {}", unit.show(limit)),
            Self::EachAtMost(0.0) => "0".to_owned(),
            Self::MedianAtMost(limit) | Self::EachAtMost(limit) => {
                format!("<= {}", unit.show(limit))
            }
        }
    }
}

/// The row that counts the bytes that were lost, repeated or out of order.
pub(super) const BYTES: &str = "bytes";

/// One row of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) unit: Unit,
    pub(super) target: Target,
    /// Ours first.
    pub(super) runs: Vec<(Contender, Runs)>,
    /// How it was measured, where that is not plain.
    pub(super) note: Option<String>,
    /// Runs that proved nothing, and why.
    pub(super) troubles: Vec<String>,
}

impl Row {
    pub(super) fn of(&self, wanted: Contender) -> Option<&Runs> {
        let found = self.runs.iter().find(|(contender, _)| *contender == wanted);
        found.map(|(_, runs)| runs)
    }

    /// Of the contender that the target is for.
    pub(super) fn ours(&self) -> Option<&Runs> {
        self.emulated().or_else(|| self.of(Contender::Watched))
    }

    /// Of a session with a gateway.
    pub(super) fn emulated(&self) -> Option<&Runs> {
        self.of(Contender::Warm)
            .or_else(|| self.of(Contender::Cold))
    }

    /// Whether the target is met; a row that could not be measured has not met it.
    pub(super) fn is_met(&self) -> bool {
        self.ours().is_some_and(|runs| self.target.is_met(runs))
    }

    /// Whether bytes were lost or something never came, or nothing of ours could be measured.
    pub(super) fn is_broken(&self) -> bool {
        let Some(ours) = self.ours().filter(|runs| !runs.is_empty()) else {
            return true;
        };
        match self.unit {
            Unit::Count => self.name == BYTES && ours.values().iter().any(|lost| *lost > 0.0),
            // A message or an answer that was waited for in vain.
            Unit::Millis => ours.values().iter().any(|value| !value.is_finite()),
            _ => false,
        }
    }

    pub(super) fn verdict(&self) -> &'static str {
        match self.ours() {
            Some(runs) if !runs.is_empty() && self.is_met() => "ok",
            Some(runs) if !runs.is_empty() && self.is_broken() => "BROKEN",
            Some(runs) if !runs.is_empty() => "MISSED",
            _ => "NOT MEASURED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Runs {
        Runs(values.to_vec())
    }

    #[test]
    fn medians() {
        assert!(runs(&[]).median().is_nan());
        assert_eq!(runs(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(runs(&[4.0, 1.0]).median(), 2.5);
        assert_eq!(runs(&[1.0, f64::INFINITY]).median(), f64::INFINITY);
    }

    #[test]
    fn the_worst_depends_on_what_is_good() {
        let some = runs(&[1.0, 3.0, 2.0]);
        assert_eq!(some.worst(Target::MedianAtMost(9.0)), 3.0);
        assert_eq!(some.worst(Target::MedianAtLeast(9.0)), 1.0);
        assert!(!Target::EachAtMost(2.0).is_met(&some));
        assert!(Target::MedianAtMost(2.0).is_met(&some));
        assert!(!Target::MedianAtMost(2.0).is_met(&runs(&[])));
    }

    #[test]
    fn what_is_slow_is_not_broken_and_what_is_lost_or_missing_is() {
        let row = |name, values: &[f64]| Row {
            name,
            what: "",
            unit: if name == BYTES {
                Unit::Count
            } else {
                Unit::Millis
            },
            target: Target::EachAtMost(0.0),
            runs: vec![(Contender::Warm, runs(values))],
            note: None,
            troubles: Vec::new(),
        };
        assert!(!row("echo", &[900.0]).is_broken());
        assert!(row("echo", &[1.0, f64::INFINITY]).is_broken());
        assert!(row("echo", &[]).is_broken());
        assert!(row(BYTES, &[1.0]).is_broken());
        assert!(!row(BYTES, &[0.0]).is_broken());
        let mut of_others = row("echo", &[1.0]);
        of_others
            .runs
            .push((Contender::Kernel, runs(&[f64::INFINITY])));
        assert!(!of_others.is_broken());
    }
}
