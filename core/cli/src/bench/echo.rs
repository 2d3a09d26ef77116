//! Messages that come back: when each was due to leave, and when its answer was there.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep_until, timeout_at};

use super::contenders::Duplex;
use super::content::{Check, Content};
use super::service::Request;

/// Size of a message.
pub(super) const MESSAGE: usize = 200;

/// Messages at a steady pace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) seed: u64,
}

/// What became of the messages.
#[derive(Clone)]
pub(super) struct Answers {
    pace: Pace,
    received: Vec<Instant>,
    ended: Instant,
}

/// Sends and receives until the time is over. Every message counts from the moment at which it was
/// due, even if the stream did not take it then.
pub(super) async fn run(stream: &mut dyn Duplex, pace: Pace) -> Answers {
    let (mut from, mut to) = tokio::io::split(stream);
    let (content, end) = (Content::new(pace.seed), pace.until.into());
    let send = async {
        let mut number: u32 = 0;
        loop {
            let due = pace.due(number);
            if due >= pace.until {
                return Ok(());
            }
            sleep_until(due.into()).await;
            let offset = u64::from(number) * MESSAGE as u64;
            to.write_all(content.at(offset, MESSAGE)).await?;
            number += 1;
        }
    };
    let mut received = Vec::new();
    let receive = async {
        let mut check = Check::new(content);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let size = from.read(&mut buffer).await?;
            let now = Instant::now();
            if size == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            check.take(&buffer[..size]);
            let whole = check.received() / MESSAGE as u64;
            while (received.len() as u64) < whole {
                received.push(now);
            }
        }
    };
    let both = async {
        // Receiving ends with the time, sending before it.
        if let Err::<((), ()), std::io::Error>(error) = tokio::try_join!(send, receive) {
            log::info!("an echo broke: {error}");
        }
    };
    let _ = timeout_at(end, both).await;
    Answers {
        pace,
        received,
        ended: Instant::now().max(pace.until),
    }
}

/// Tells the service what is coming.
pub(super) async fn begin(stream: &mut dyn Duplex) -> std::io::Result<()> {
    stream.write_all(&Request::Echo.encode()).await
}

impl Pace {
    /// From now on, for so long.
    pub(super) fn new(interval: Duration, length: Duration, seed: u64) -> Self {
        let from = Instant::now();
        Self {
            interval,
            from,
            until: from + length,
            seed,
        }
    }

    /// How many messages that is.
    pub(super) fn messages(&self) -> usize {
        (self.until - self.from).div_duration_f64(self.interval) as usize
    }

    fn due(&self, number: u32) -> Instant {
        self.from + self.interval * number
    }
}

impl Answers {
    /// How many came back.
    pub(super) fn len(&self) -> usize {
        self.received.len()
    }

    /// The longest that a message due after `since` took, in milliseconds; infinite if the last one
    /// answered leaves a silence that lasts to the end.
    pub(super) fn worst_delay(&self, since: Instant) -> f64 {
        let mut worst = 0.0_f64;
        for (number, received) in (0..).zip(&self.received) {
            let due = self.pace.due(number);
            if due >= since {
                worst = worst.max(millis(received.saturating_duration_since(due)));
            }
        }
        // Messages due so shortly before the end that nobody could have answered do not count.
        let unanswered = self.pace.due(self.received.len() as u32);
        let open = self.ended.saturating_duration_since(unanswered);
        if unanswered < self.pace.until && open > Duration::from_millis(500) {
            return f64::INFINITY;
        }
        worst
    }

    /// The longest time after `since` in which nothing came back.
    pub(super) fn longest_silence(&self, since: Instant) -> f64 {
        longest_silence(&self.received, since, self.ended)
    }
}

/// The longest time between `since` and `until` in which nothing of `arrivals` came; infinite if it
/// lasts to the end.
pub(super) fn longest_silence(arrivals: &[Instant], since: Instant, until: Instant) -> f64 {
    let mut last = since;
    let mut longest = Duration::ZERO;
    for arrival in arrivals.iter().filter(|it| **it > since) {
        longest = longest.max(*arrival - last);
        last = *arrival;
    }
    if until.saturating_duration_since(last) > Duration::from_millis(500) {
        return f64::INFINITY;
    }
    millis(longest)
}

impl fmt::Debug for Answers {
    /// The delays, in milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delay = |(number, received): (u32, &Instant)| {
            received
                .saturating_duration_since(self.pace.due(number))
                .as_millis()
        };
        f.debug_list()
            .entries((0..).zip(&self.received).map(delay))
            .finish()
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
