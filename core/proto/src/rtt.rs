//! Round trip time of a leg, and the two limits that follow from it.

use std::time::Duration;

/// Assumed while nothing was measured.
const UNKNOWN: Duration = Duration::from_millis(100);
/// Added to the first limit for scheduling and timer grain.
const SLACK: Duration = Duration::from_millis(10);
/// Below this the first limit would measure the two hosts' schedulers, not the path.
const D1_FLOOR: Duration = Duration::from_millis(30);
/// With fewer samples the variance says little.
const FEW: u32 = 8;
const FEW_EXTRA: Duration = Duration::from_millis(150);
/// Samples until the time of a busy path can be trusted.
const YOUNG: u32 = 32;
/// Added to three round trips before a leg is condemned.
const CONDEMN_EXTRA: Duration = Duration::from_millis(500);

/// RFC 6298's estimator, its variance seeded from two samples instead of half the first one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rtt {
    srtt: Duration,
    var: Duration,
    shortest: Duration,
    samples: u32,
}

impl Rtt {
    pub(crate) fn sample(&mut self, rtt: Duration) {
        self.shortest = match self.samples {
            0 => rtt,
            _ => self.shortest.min(rtt),
        };
        match self.samples {
            0 => {
                self.srtt = rtt;
                self.var = rtt / 2;
            }
            1 => {
                // Half the first sample would make the first limit three round trips.
                self.var = self.srtt.abs_diff(rtt);
                self.srtt = (self.srtt + rtt) / 2;
            }
            _ => {
                let error = self.srtt.abs_diff(rtt);
                self.var = (self.var * 3 + error) / 4;
                self.srtt = (self.srtt * 7 + rtt) / 8;
            }
        }
        self.samples = self.samples.saturating_add(1);
    }

    /// The smoothed time, if any was measured.
    pub(crate) fn measured(&self) -> Option<Duration> {
        (self.samples > 0).then_some(self.srtt)
    }

    /// The shortest that was measured.
    pub(crate) fn shortest(&self) -> Option<Duration> {
        (self.samples > 0).then_some(self.shortest)
    }

    /// TCP's slow start still fills the queues of the path, which doubles its time per round trip.
    pub(crate) const fn is_young(&self) -> bool {
        self.samples < YOUNG
    }

    pub(crate) fn srtt(&self) -> Duration {
        self.measured().unwrap_or(UNKNOWN)
    }

    /// D1: silence beyond it makes a leg suspect.
    pub(crate) fn suspect(&self) -> Duration {
        let var = if self.samples > 0 {
            self.var
        } else {
            UNKNOWN / 2
        };
        let srtt = self.srtt();
        let mut d1 = ((srtt * 2).max(srtt + var * 4) + SLACK).max(D1_FLOOR);
        if (1..FEW).contains(&self.samples) {
            // One unlucky sample of two or three (a radio that slept, a busy host) is no variance.
            d1 = d1.min(self.shortest * 3 + FEW_EXTRA);
        }
        d1
    }

    /// D2: silence beyond it condemns a leg.
    pub(crate) fn condemn(&self) -> Duration {
        self.srtt() * 3 + CONDEMN_EXTRA
    }
}
