//! Time as the driver hands it in.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A point in time, in microseconds since an epoch that the driver chooses.
///
/// It must never go backwards and should count the time that the machine sleeps: a jump means
/// that the paths may have changed, and the session checks them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// A point `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A point `since_epoch` after the epoch; what lies beyond 584,000 years is cut off.
    pub fn from_duration(since_epoch: Duration) -> Self {
        Self(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, or zero if that lies in the future.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The point `back` before this one, but not before the epoch.
    pub fn saturating_sub(self, back: Duration) -> Self {
        Self(self.0.saturating_sub(Self::from_duration(back).0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(Self::from_duration(rhs).0))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
