//! One TCP connection of a session: what is outstanding on it, and how it answers.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;

use crate::rtt::Rtt;
use crate::time::Time;
use crate::types::{LegId, Role};
use crate::wire::frame::Frame;
use crate::wire::reader::FrameReader;

/// Time over which the rate of acknowledgements is measured.
const RATE_WINDOW: Duration = Duration::from_millis(10);
/// More are not waited for.
const MAX_PINGS: usize = 64;
/// More records are merged: a merged one keeps the earliest time.
const MAX_IN_FLIGHT: usize = 1024;
/// More PINGs of the peer, while it reads none of the answers, stay unanswered.
const MAX_PONGS: usize = 16 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Client: HELLO is out.
    AwaitWelcome,
    /// Client: JOIN is out.
    AwaitJoined { counter: u64 },
    /// Gateway, strict: JOINED is out, the proof is missing.
    AwaitProof,
    /// Carries frames.
    Up,
}

/// A stretch of the stream that went out on this leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) end: u64,
    pub(crate) at: Time,
}

/// A PING without its PONG.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    id: u32,
    pub(crate) at: Time,
    /// Silence counts. Not so for one that only measures, and not when bytes of the peer come: its
    /// PONG may stand behind many of them.
    armed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspicion {
    /// When the silence began, from which the second limit counts.
    pub(crate) base: Time,
    pub(crate) next_ping: Option<Time>,
    pub(crate) pings: u32,
    /// Stream bytes that went on other legs because of it.
    pub(crate) hedged: u64,
    /// Whether copies may go on other legs (the allowance, or the second limit).
    pub(crate) hedge: bool,
    /// Taken over from the peer, whose copies came in on another leg.
    pub(crate) by_peer: bool,
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) role: Role,
    pub(crate) phase: Phase,
    /// Bytes of the peer's preamble, until it is whole.
    pub(crate) opening: BytesMut,
    pub(crate) reader: FrameReader,
    pub(crate) control: BytesMut,
    pub(crate) ack_due: bool,
    pub(crate) window_due: bool,
    /// Next offset to go out on this leg; `covers..cursor` has gone.
    pub(crate) cursor: u64,
    pub(crate) covers: u64,
    pub(crate) sending: bool,
    /// Copies go no further than this until the peer has said on this leg what it has: most of
    /// what is unacknowledged may have arrived.
    pub(crate) copies_until: Option<u64>,
    pub(crate) fin_sent: bool,
    pub(crate) in_flight: VecDeque<Sent>,
    /// The highest `next` of the ACKs on this very leg.
    heard_next: u64,
    /// Bytes per second that were acknowledged of late, and since when they are counted.
    rate: u64,
    rate_since: (Time, u64),
    pub(crate) pings: VecDeque<Ping>,
    pub(crate) rtt: Rtt,
    pub(crate) opened_at: Time,
    pub(crate) last_progress: Time,
    pub(crate) last_sent: Time,
    pub(crate) last_received: Time,
    pub(crate) last_data: Option<Time>,
    pub(crate) largest_gap: Duration,
    /// When the peer was last asked in its present silence.
    pub(crate) silence_asked: Option<Time>,
    pub(crate) suspicion: Option<Suspicion>,
    pub(crate) push_grace: bool,
    /// PONGs in a row within the limit, while going back is being considered.
    pub(crate) proofs: u32,
    /// When the next of them is asked for.
    pub(crate) prove_at: Option<Time>,
    /// Since when none took far longer than the shortest on this leg.
    pub(crate) steady_since: Option<Time>,
    /// Went unanswered beyond the second limit, with nowhere to go.
    pub(crate) given_up: bool,
    pub(crate) nonce: [u8; 16],
    next_ping_id: u32,
}

impl Leg {
    pub(crate) fn new(
        id: LegId,
        role: Role,
        phase: Phase,
        rtt: Option<Duration>,
        now: Time,
    ) -> Self {
        let mut estimate = Rtt::default();
        if let Some(rtt) = rtt {
            estimate.sample(rtt);
        }
        Self {
            id,
            role,
            phase,
            opening: BytesMut::new(),
            reader: FrameReader::default(),
            control: BytesMut::new(),
            ack_due: false,
            window_due: false,
            cursor: 0,
            covers: 0,
            sending: false,
            copies_until: None,
            fin_sent: false,
            in_flight: VecDeque::new(),
            heard_next: 0,
            rate: 0,
            rate_since: (now, 0),
            pings: VecDeque::new(),
            rtt: estimate,
            opened_at: now,
            last_progress: now,
            last_sent: now,
            last_received: now,
            last_data: None,
            largest_gap: Duration::ZERO,
            silence_asked: None,
            suspicion: None,
            push_grace: false,
            proofs: 0,
            prove_at: None,
            steady_since: None,
            given_up: false,
            nonce: [0; 16],
            next_ping_id: 0,
        }
    }

    /// Whether frames of the peer are believed.
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up | Phase::AwaitProof)
    }

    /// Up, and not silent beyond the second limit; it may have nothing to answer.
    pub(crate) const fn may_answer(&self) -> bool {
        self.is_up() && !self.given_up
    }

    /// Up and answering: good enough to go on with.
    pub(crate) const fn is_healthy(&self) -> bool {
        matches!(self.phase, Phase::Up) && self.suspicion.is_none() && !self.given_up
    }

    pub(crate) fn push_control(&mut self, frame: &Frame) {
        let answer = matches!(frame, Frame::Pong { .. });
        if !answer || self.control.len() < MAX_PONGS {
            frame.encode(&mut self.control);
        }
    }

    pub(crate) fn ping(&mut self, now: Time) {
        self.push_ping(now, true);
    }

    /// The id of the first PING: what nobody can guess proves, when it comes back, that it was read.
    pub(crate) const fn count_pings_from(&mut self, id: u32) {
        self.next_ping_id = id;
    }

    /// A PING is out whose silence counts.
    pub(crate) fn is_asked(&self) -> bool {
        self.pings.iter().any(|ping| ping.armed)
    }

    /// A PING for its round trip time alone.
    pub(crate) fn measure(&mut self, now: Time) {
        self.push_ping(now, false);
    }

    fn push_ping(&mut self, now: Time, armed: bool) {
        let id = self.next_ping_id;
        self.next_ping_id = self.next_ping_id.wrapping_add(1);
        if self.pings.len() < MAX_PINGS {
            self.pings.push_back(Ping { id, at: now, armed });
        }
        self.push_control(&Frame::Ping { id });
    }

    /// The time of a PING that this PONG answers; older ones count as answered with it.
    pub(crate) fn pong(&mut self, id: u32) -> Option<Time> {
        let position = self.pings.iter().position(|ping| ping.id == id)?;
        self.pings
            .drain(..=position)
            .next_back()
            .map(|ping| ping.at)
    }

    /// Makes sure that everything from `from` on goes, or has gone, on this leg.
    pub(crate) fn cover(&mut self, from: u64) {
        if self.covers > from || self.cursor < from {
            self.covers = from;
            self.cursor = from;
            self.fin_sent = false;
            self.in_flight.clear();
        }
    }

    pub(crate) fn record(&mut self, end: u64, now: Time) {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            if let Some(last) = self.in_flight.back_mut() {
                last.end = end;
                return;
            }
        }
        self.in_flight.push_back(Sent { end, at: now });
    }

    /// Removes what is acknowledged, and gives when the newest of it was sent.
    pub(crate) fn acknowledged(&mut self, next: u64) -> Option<Time> {
        let mut newest = None;
        while self.in_flight.front().is_some_and(|sent| sent.end <= next) {
            newest = self.in_flight.pop_front().map(|sent| sent.at);
        }
        if self.in_flight.is_empty() && self.in_flight.capacity() > 64 {
            self.in_flight = VecDeque::new();
        }
        newest
    }

    /// Everything below `next` was acknowledged on this leg.
    pub(crate) fn note_rate(&mut self, next: u64, now: Time) {
        let (since, from) = self.rate_since;
        let passed = now.saturating_since(since);
        if passed >= RATE_WINDOW {
            let bytes = u128::from(next.saturating_sub(from));
            self.rate = (bytes * 1_000_000 / passed.as_micros().max(1)) as u64;
            self.rate_since = (now, next);
        }
    }

    /// What the peer took while its last acknowledgements were lost: half the shortest round trip
    /// at the rate of late.
    pub(crate) fn taken_unheard(&self) -> u64 {
        let way = self.rtt.shortest().unwrap_or_default() / 2;
        (u128::from(self.rate) * way.as_micros() / 1_000_000) as u64
    }

    /// When the oldest thing was sent that has no answer.
    pub(crate) fn oldest_unanswered(&self) -> Option<Time> {
        let opening =
            (self.phase != Phase::Up && self.phase != Phase::AwaitProof).then_some(self.opened_at);
        let data = self.in_flight.front().map(|sent| sent.at);
        let ping = self.pings.iter().find(|ping| ping.armed);
        let ping = ping.map(|ping| ping.at);
        [opening, data, ping].into_iter().flatten().min()
    }

    /// From when on silence counts, given that the last good answer arrives after the oldest
    /// lost byte has left.
    pub(crate) fn silent_since(&self) -> Option<Time> {
        let oldest = self.oldest_unanswered()?;
        Some(oldest.max(self.last_progress.saturating_sub(self.rtt.srtt())))
    }

    /// Data of the peer arrived.
    pub(crate) fn data_arrived(&mut self, now: Time) {
        if let Some(last) = self.last_data {
            let gap = now.saturating_since(last);
            if gap < crate::config::IDLE {
                self.largest_gap = gap.max(self.largest_gap * 15 / 16);
            } else {
                self.largest_gap = Duration::ZERO;
            }
        }
        self.last_data = Some(now);
        self.silence_asked = None;
        if self.suspicion.is_none() {
            for ping in &mut self.pings {
                ping.armed = false;
            }
        } else if self.in_flight.is_empty() {
            // Only PONGs are missing, which may stand behind these bytes.
            self.put_off_condemning(now);
        }
    }

    /// An ACK came on this very leg; true if that is progress. The peer sends one where something
    /// arrived, so that it answers for this leg although a copy on another may have been the first.
    pub(crate) fn heard(&mut self, next: u64, now: Time) -> bool {
        let news = next > self.heard_next;
        self.heard_next = self.heard_next.max(next);
        if !news {
            // Old bytes still come out of a queue at the other end.
            self.put_off_condemning(now);
        }
        news
    }

    /// The leg is alive, though not as far as what it was asked.
    fn put_off_condemning(&mut self, now: Time) {
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.base = suspicion.base.max(now);
        }
    }
}
