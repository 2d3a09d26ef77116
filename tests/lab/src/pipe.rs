//! One direction of a link: loss, a byte queue, a rate, a delay. No clock and no I/O of its own.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::counters::Times;
use crate::packet::Packet;
use crate::spec::Shape;

/// Why a packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Loss,
    Queue,
}

/// Packets wait in the queue for the rate, then fly for the delay.
///
/// All instants are computed from the instants of arrival, never from when the pipe was looked at,
/// so that a late wake-up costs delay once and never throughput.
#[derive(Debug)]
pub(crate) struct Pipe {
    shape: Shape,
    random: Random,
    /// With the instants at which they came.
    waiting: VecDeque<(Instant, Packet)>,
    waiting_bytes: usize,
    /// When the packet at the head of the queue has been sent completely.
    head_sent: Option<Instant>,
    flying: VecDeque<(Instant, Packet)>,
    times: Times,
}

impl Pipe {
    pub(crate) fn new(shape: Shape, seed: u64) -> Self {
        Self {
            shape,
            random: Random(seed),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            head_sent: None,
            flying: VecDeque::new(),
            times: Times::default(),
        }
    }

    pub(crate) fn times(&self) -> Times {
        self.times
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Changes the shape; what is in flight arrives as it would have, what waits goes at the new rate.
    pub(crate) fn set_shape(&mut self, shape: Shape, now: Instant) {
        self.advance(now);
        if let (Some(sent), Some(old), Some(new)) = (self.head_sent, self.shape.rate, shape.rate) {
            let left = sent.saturating_duration_since(now).as_secs_f64();
            let scale = old.as_bits() as f64 / new.as_bits() as f64;
            self.head_sent = Some(now + Duration::from_secs_f64(left * scale));
        } else if self.head_sent.is_some() {
            self.head_sent = Some(now);
        }
        self.shape = shape;
        self.advance(now);
    }

    /// Bytes that wait for their turn.
    pub(crate) fn backlog(&mut self, now: Instant) -> usize {
        self.advance(now);
        self.waiting_bytes
    }

    pub(crate) fn offer(&mut self, packet: Packet, now: Instant) -> Result<(), Refusal> {
        if self.shape.loss > 0.0 && self.random.unit() < self.shape.loss {
            return Err(Refusal::Loss);
        }
        self.advance(now);
        let Some(rate) = self.shape.rate else {
            self.launch(packet, now);
            return Ok(());
        };
        // An empty queue takes any packet, or a link with a queue below the MTU would be dead.
        if !self.waiting.is_empty() && self.waiting_bytes + packet.len() > self.shape.queue {
            return Err(Refusal::Queue);
        }
        if self.head_sent.is_none() {
            self.head_sent = Some(now + rate.time_for(packet.len()));
        }
        self.waiting_bytes += packet.len();
        self.waiting.push_back((now, packet));
        Ok(())
    }

    /// Moves what has been sent by `now` from the queue into flight.
    fn advance(&mut self, now: Instant) {
        while let Some(sent) = self.head_sent.filter(|&sent| sent <= now) {
            let Some((came, packet)) = self.waiting.pop_front() else {
                self.head_sent = None;
                break;
            };
            self.waiting_bytes -= packet.len();
            let sending = self.time_for(&packet);
            self.times.sending += sending;
            self.times.queued += sent.saturating_duration_since(came).saturating_sub(sending);
            self.launch(packet, sent);
            self.head_sent = self
                .waiting
                .front()
                .map(|(_, next)| sent + self.time_for(next));
        }
    }

    fn time_for(&self, packet: &Packet) -> Duration {
        self.shape
            .rate
            .map_or(Duration::ZERO, |rate| rate.time_for(packet.len()))
    }

    fn launch(&mut self, packet: Packet, at: Instant) {
        let mut due = at + self.shape.delay;
        if !self.shape.jitter.is_zero() {
            let jitter = self.shape.jitter.mul_f64(self.random.unit());
            self.times.jitter += jitter;
            due += jitter;
        }
        // A link is one wire: what was sent later never arrives earlier.
        if let Some((last, _)) = self.flying.back() {
            due = due.max(*last);
        }
        self.flying.push_back((due, packet));
    }

    /// The next instant at which a packet may arrive.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        match self.flying.front() {
            Some((due, _)) => Some(*due),
            None => self.head_sent.map(|sent| sent + self.shape.delay),
        }
    }

    /// Whether more than one packet is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.flying.len() + self.waiting.len() > 1
    }

    /// The next packet that has arrived by `now`.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Packet> {
        self.advance(now);
        if self.flying.front()?.0 > now {
            return None;
        }
        self.flying.pop_front().map(|(_, packet)| packet)
    }

    /// Empties queue and wire and says how many packets that were.
    pub(crate) fn clear(&mut self) -> u64 {
        let lost = self.waiting.len() + self.flying.len();
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.head_sent = None;
        self.flying.clear();
        lost as u64
    }
}

/// SplitMix64: repeatable from a seed, good enough to lose packets by.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Rate;

    const MS: Duration = Duration::from_millis(1);

    fn shape() -> Shape {
        Shape {
            delay: 10 * MS,
            jitter: Duration::ZERO,
            rate: None,
            queue: 5000,
            loss: 0.0,
        }
    }

    /// When each of the packets under way arrives, looked at only once at the very end.
    fn arrivals(pipe: &mut Pipe, begin: Instant) -> Vec<u128> {
        let late = begin + Duration::from_secs(100);
        pipe.advance(late);
        pipe.flying
            .iter()
            .map(|(due, _)| (*due - begin).as_millis())
            .collect()
    }

    #[test]
    fn a_packet_arrives_after_the_delay_and_not_before() {
        let begin = Instant::now();
        let mut pipe = Pipe::new(shape(), 1);
        pipe.offer(Packet::sample(100), begin).unwrap();
        assert_eq!(pipe.next_due(), Some(begin + 10 * MS));
        assert!(pipe.take_due(begin + 9 * MS).is_none());
        assert!(pipe.take_due(begin + 10 * MS).is_some());
        assert!(pipe.take_due(begin + 20 * MS).is_none());
        assert_eq!(pipe.next_due(), None);
    }

    #[test]
    fn the_rate_spaces_packets_however_late_the_pipe_is_looked_at() {
        let begin = Instant::now();
        let rate = Some(Rate::mbit(1));
        let mut pipe = Pipe::new(Shape { rate, ..shape() }, 1);
        for _ in 0..4 {
            // 1250 bytes take 10 ms.
            pipe.offer(Packet::sample(1250), begin).unwrap();
        }
        assert_eq!(pipe.next_due(), Some(begin + 20 * MS));
        assert_eq!(pipe.backlog(begin + 10 * MS), 3750);
        assert_eq!(arrivals(&mut pipe, begin), [20, 30, 40, 50]);
        let times = Times {
            queued: (10 + 20 + 30) * MS,
            sending: 40 * MS,
            jitter: Duration::ZERO,
        };
        assert_eq!(pipe.times(), times);
    }

    #[test]
    fn a_full_queue_drops_its_tail() {
        let begin = Instant::now();
        let rate = Some(Rate::mbit(1));
        let mut pipe = Pipe::new(Shape { rate, ..shape() }, 1);
        for _ in 0..4 {
            pipe.offer(Packet::sample(1250), begin).unwrap();
        }
        let refused = pipe.offer(Packet::sample(1250), begin);
        assert_eq!(refused, Err(Refusal::Queue));
        pipe.offer(Packet::sample(1250), begin + 10 * MS).unwrap();
    }

    #[test]
    fn a_new_rate_holds_for_what_waits() {
        let begin = Instant::now();
        let rate = Some(Rate::mbit(1));
        let mut pipe = Pipe::new(Shape { rate, ..shape() }, 1);
        for _ in 0..3 {
            pipe.offer(Packet::sample(1250), begin).unwrap();
        }
        // Half of the first is sent; the other half takes 0.5 ms at ten times the rate.
        let faster = Shape {
            rate: Some(Rate::mbit(10)),
            ..shape()
        };
        pipe.set_shape(faster, begin + 5 * MS);
        assert_eq!(arrivals(&mut pipe, begin), [15, 16, 17]);
        let mut pipe = Pipe::new(Shape { rate, ..shape() }, 1);
        pipe.offer(Packet::sample(1250), begin).unwrap();
        pipe.offer(Packet::sample(1250), begin).unwrap();
        pipe.set_shape(shape(), begin + 5 * MS);
        assert_eq!(arrivals(&mut pipe, begin), [15, 15]);
    }

    #[test]
    fn neither_jitter_nor_a_shorter_delay_reorders() {
        let begin = Instant::now();
        let mut pipe = Pipe::new(
            Shape {
                jitter: 50 * MS,
                ..shape()
            },
            3,
        );
        for n in 0..100 {
            pipe.offer(Packet::sample(100), begin + n * MS).unwrap();
        }
        pipe.set_shape(
            Shape {
                delay: MS,
                ..shape()
            },
            begin + 100 * MS,
        );
        pipe.offer(Packet::sample(101), begin + 100 * MS).unwrap();
        let all = arrivals(&mut pipe, begin);
        assert!(all.is_sorted() && all.len() == 101);
        assert!(all[0] >= 10 && all[0] <= 60);
        assert!(pipe.times().jitter > Duration::ZERO);
        assert_eq!(pipe.flying.back().unwrap().1.len(), 101);
    }

    #[test]
    fn loss_is_as_likely_as_it_is_said_to_be() {
        let begin = Instant::now();
        let mut pipe = Pipe::new(
            Shape {
                loss: 0.01,
                ..shape()
            },
            9,
        );
        let offer = |_| pipe.offer(Packet::sample(20), begin).is_err();
        let lost = (0..100_000).map(offer).filter(|lost| *lost).count();
        assert!((800..1200).contains(&lost), "{lost}");
    }
}
