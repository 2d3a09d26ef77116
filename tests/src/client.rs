//! A connection of the client, with its tale.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath::{Connection, ConnectionSummary, EventKind};

use crate::patience::soon;
use crate::tale::Tale;

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
