//! Pipes between the two ends.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use twinpath_proto::{LegEnd, LegId, Role, Time};

use super::{Rng, ms};

/// Something that arrives.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Bytes { to: usize, bytes: Bytes },
    End { to: usize, end: LegEnd },
    Dialled { role: Role, id: u64 },
}

impl What {
    fn is_to(&self, end: usize) -> bool {
        matches!(self, Self::Bytes { to, .. } | Self::End { to, .. } if *to == end)
    }
}

/// What is under way, by time and order.
#[derive(Default)]
pub(crate) struct Queue {
    entries: BTreeMap<(Time, u64), (usize, What)>,
    order: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Time, conn: usize, what: What) {
        self.order += 1;
        self.entries.insert((at, self.order), (conn, what));
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn pop(&mut self, now: Time) -> Option<(usize, What)> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Something is sent behind what is under way: selective acknowledgements of it show within a
    /// round trip what was lost, which is sent again.
    pub(crate) fn repair(&mut self, now: Time, conn: usize, to: usize, delay: Duration) -> Time {
        let bound = now + delay * 7 / 2;
        let late: Vec<(Time, u64)> = self
            .entries
            .iter()
            .filter(|((at, _), (of, what))| {
                let same = matches!(what, What::Bytes { to: t, .. } if *t == to);
                *of == conn && same && *at > bound
            })
            .map(|(key, _)| *key)
            .collect();
        for key in late {
            if let Some(entry) = self.entries.remove(&key) {
                self.entries.insert((bound, key.1), entry);
            }
        }
        bound
    }

    /// Takes out what is under way on one pipe, in order.
    pub(crate) fn take(&mut self, conn: usize, to: usize) -> Vec<What> {
        let keys: Vec<(Time, u64)> = self
            .entries
            .iter()
            .filter(|(_, (of, what))| *of == conn && what.is_to(to))
            .map(|(key, _)| *key)
            .collect();
        keys.iter()
            .filter_map(|key| self.entries.remove(key))
            .map(|(_, what)| what)
            .collect()
    }

    pub(crate) fn forget(&mut self, conn: usize) {
        self.entries
            .retain(|_, (at, what)| *at != conn || matches!(what, What::Dialled { .. }));
    }
}

/// One path.
pub(crate) struct Link {
    pub(crate) delay: Duration,
    pub(crate) rate: u64,
    /// Probability that a segment is lost, and comes later instead.
    pub(crate) loss: f64,
    pub(crate) hole: [bool; 2],
    free_at: [Time; 2],
}

impl Link {
    pub(crate) fn new(delay: Duration, rate: u64) -> Self {
        Self {
            delay,
            rate,
            loss: 0.0,
            hole: [false; 2],
            free_at: [Time::ZERO; 2],
        }
    }

    pub(crate) fn holds(&self, to: usize) -> bool {
        self.hole[to]
    }

    pub(crate) fn is_open(&self) -> bool {
        self.hole == [false; 2]
    }

    pub(crate) fn due(&mut self, now: Time, to: usize, len: usize) -> Time {
        let wire = Duration::from_micros((len as u64 + 40) * 1_000_000 / self.rate);
        let done = now.max(self.free_at[to]) + wire;
        self.free_at[to] = done;
        done + self.delay
    }

    /// How much later a segment comes because copies of it were lost: a fast repair, or a timer.
    pub(crate) fn late(&self, rng: &mut Rng) -> Duration {
        if self.loss == 0.0 || !rng.chance(self.loss) {
            return Duration::ZERO;
        }
        // A timer; what is sent behind it makes the repair faster, see `Queue::repair`.
        let timer = self.delay * 4 + ms(200);
        if rng.chance(self.loss) {
            timer * 3
        } else {
            timer
        }
    }
}

/// One TCP connection.
pub(crate) struct Conn {
    pub(crate) role: Role,
    pub(crate) legs: [Option<LegId>; 2],
    pub(crate) closed: [bool; 2],
    pub(crate) first: Vec<u8>,
    pub(crate) in_flight: [usize; 2],
    pub(crate) last_due: [Time; 2],
    pub(crate) held: [VecDeque<What>; 2],
    pub(crate) socket: usize,
}

impl Conn {
    pub(crate) fn new(role: Role, leg: LegId) -> Self {
        Self {
            role,
            legs: [Some(leg), None],
            closed: [false; 2],
            first: Vec::new(),
            in_flight: [0; 2],
            last_due: [Time::ZERO; 2],
            held: [VecDeque::new(), VecDeque::new()],
            socket: 128 * 1024,
        }
    }
}
