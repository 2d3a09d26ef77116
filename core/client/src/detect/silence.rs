//! For how long a connection has brought nothing of ours to its peer.

use std::time::Duration;

use twinpath_proto::Time;
use twinpath_socket::TcpHealth;

/// The shortest silence that is suspicious: peers put off an acknowledgement by 40 ms.
const SUSPICIOUS: Duration = Duration::from_millis(50);
/// What a condemned path has been silent for beyond the round trips in which it should have answered.
const GRACE: Duration = Duration::from_millis(100);

/// Of one connection or subflow, from its counters.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    last: Option<Counted>,
    due: Option<Due>,
    pub(crate) timing: Timing,
}

/// Something of ours is on its way, and nothing of it has arrived since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) since: Time,
    /// Segments that had been sent then.
    segments: u32,
    /// Segments that were sent since and have not arrived.
    pub(crate) unanswered: u32,
}

/// Counters that grow while all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    delivered: u32,
    acknowledged: u64,
    received: u64,
    /// What comes behind a lost segment counts as well: the path brings it.
    came: u32,
}

/// What a look has shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// Something of ours has arrived.
    pub(crate) arrived: bool,
    /// Something came.
    pub(crate) heard: bool,
}

/// From the round trips of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timing {
    srtt: Duration,
    rttvar: Duration,
}

impl Timing {
    /// A silence of that length is suspicious.
    pub(crate) fn suspicious(self) -> Duration {
        let late = (self.srtt * 2).max(self.srtt + self.rttvar * 4);
        (late + Duration::from_millis(10)).max(SUSPICIOUS)
    }

    /// A path that has been silent for that long may be condemned.
    pub(crate) fn condemning(self) -> Duration {
        (self.srtt * 3).max(self.srtt + self.rttvar * 4) + GRACE
    }

    /// A question should have been answered by then.
    pub(crate) fn answering(self) -> Duration {
        self.srtt + self.rttvar * 4
    }
}

impl Counted {
    pub(crate) fn of(health: &TcpHealth) -> Self {
        Self {
            delivered: health.delivered.unwrap_or_default(),
            acknowledged: health.bytes_acked.unwrap_or_default(),
            received: health.bytes_received.unwrap_or_default(),
            came: health.data_segments_received.unwrap_or_default(),
        }
    }
}

impl Silence {
    /// Takes the counters in.
    pub(crate) fn look(&mut self, health: &TcpHealth, now: Time) -> Progress {
        self.timing = Timing {
            srtt: health.srtt.unwrap_or_default(),
            rttvar: health.rttvar.unwrap_or_default(),
        };
        let counted = Counted::of(health);
        let segments = health.data_segments_sent.unwrap_or_default();
        let last = self.last.replace(counted).unwrap_or(counted);
        let arrived =
            (counted.delivered, counted.acknowledged) != (last.delivered, last.acknowledged);
        match &mut self.due {
            _ if health.unacked.unwrap_or_default() == 0 => self.due = None,
            Some(due) if !arrived => due.unanswered = segments.wrapping_sub(due.segments),
            due => {
                // What was sent before this look is on its way as well.
                let unanswered = u32::from(due.is_none());
                *due = Some(Due {
                    since: now,
                    segments: segments.wrapping_sub(unanswered),
                    unanswered,
                });
            }
        }
        Progress {
            arrived,
            heard: (counted.received, counted.came) != (last.received, last.came),
        }
    }

    /// The silence that there is.
    pub(crate) const fn due(&self) -> Option<Due> {
        self.due
    }
}
