//! A connection of the client, with its tale.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{MissedTickBehavior, interval};
use twinpath::{Connection, ConnectionSummary, EventKind};

use crate::patience::soon;
use crate::stream::Pattern;
use crate::tale::Tale;

/// Said at once in a talk.
const SAYING: usize = 100;

/// A connection and what happens to it.
#[derive(Debug)]
pub struct Client {
    /// The connection.
    pub connection: Connection,
    /// Its events.
    pub tale: Tale,
}

impl Client {
    /// Follows `connection`.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        let tale = Tale::of(connection.events());
        Self { connection, tale }
    }

    /// Says something and waits for its echo.
    pub async fn chat(&mut self, words: &str) {
        self.connection.write_all(words.as_bytes()).await.unwrap();
        let mut back = vec![0; words.len()];
        let reading = self.connection.read_exact(&mut back);
        soon("the echo", reading).await.unwrap();
        assert_eq!(back, words.as_bytes());
    }

    /// Says something every so often until `acting` is over, and hears each of it echoed, in order. The longest time that
    /// one of them took.
    pub async fn talk(&mut self, every: Duration, acting: impl Future<Output = ()>) -> Duration {
        let (read, write) = self.connection.split();
        let (under_way, over) = (RefCell::new(VecDeque::new()), Cell::new(false));
        let talking = async {
            let mut pattern = Pattern::new(6);
            let mut acting = pin!(acting);
            let mut tick = interval(every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !over.get() {
                tokio::select! {
                    biased;
                    () = &mut acting => over.set(true),
                    _ = tick.tick() => {}
                }
                under_way.borrow_mut().push_back(Instant::now());
                write.write_all(&pattern.take(SAYING)).await.unwrap();
            }
        };
        let listening = async {
            let mut pattern = Pattern::new(6);
            let mut heard = [0; SAYING];
            let mut worst = Duration::ZERO;
            while !(over.get() && under_way.borrow().is_empty()) {
                read.read_exact(&mut heard).await.unwrap();
                let said = under_way.borrow_mut().pop_front().unwrap();
                worst = worst.max(said.elapsed());
                assert_eq!(heard[..], pattern.take(SAYING));
            }
            worst
        };
        tokio::join!(talking, listening).1
    }

    /// Ends it in order: both ends say that they have finished, then it is closed.
    pub async fn close(mut self) -> ConnectionSummary {
        let ending = async {
            self.connection.shutdown().await?;
            tokio::io::copy(&mut self.connection, &mut tokio::io::sink()).await
        };
        soon("both ends finish", ending).await.unwrap();
        let summary = soon("the connection closes", self.connection.close()).await;
        assert_eq!(summary.error, None, "{:?}", self.tale);
        self.tale.end().await;
        summary
    }

    /// Panics if the backup became active, or the connection was lost.
    #[track_caller]
    pub fn assert_no_failover(&self) {
        assert_eq!(self.tale.count(EventKind::Failover), 0, "{:?}", self.tale);
    }
}
