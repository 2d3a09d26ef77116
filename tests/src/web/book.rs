//! What a web server has seen.

use std::net::IpAddr;

use tokio::sync::watch;

use crate::patience::soon;
use crate::stream::Hash;

/// One request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Its `Range` header.
    pub range: Option<String>,
    /// The client's address, which says over which path it came.
    pub from: IpAddr,
    /// Bytes of the answer's body that were given to the connection.
    pub served: u64,
    /// What its body hashes to, once it was read.
    pub body: Option<Hash>,
    /// It was applied, and not just answered as one that had come before.
    pub applied: bool,
}

/// The requests, in the order in which they came.
#[derive(Debug, Default)]
pub struct WebBook {
    entries: watch::Sender<Vec<Entry>>,
    connections: watch::Sender<usize>,
}

impl WebBook {
    pub(super) fn begin(&self, entry: Entry) -> usize {
        let mut index = 0;
        self.entries.send_modify(|entries| {
            index = entries.len();
            entries.push(entry);
        });
        index
    }

    pub(super) fn change(&self, index: usize, change: impl FnOnce(&mut Entry)) {
        self.entries
            .send_modify(|entries| change(&mut entries[index]));
    }

    pub(super) fn connected(&self) {
        self.connections
            .send_modify(|connections| *connections += 1);
    }

    /// What came so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.borrow().clone()
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// How often a request was applied that names this.
    #[must_use]
    pub fn applied(&self, target: &str) -> usize {
        let entries = self.entries.borrow();
        let applied = entries
            .iter()
            .filter(|it| it.applied && it.target.contains(target));
        applied.count()
    }

    /// Waits until there is a connection more than `before`.
    pub async fn until_connected(&self, before: usize) {
        let mut connections = self.connections.subscribe();
        let there = connections.wait_for(|connections| *connections > before);
        soon("the connection", there).await.unwrap();
    }

    /// Waits until the entries are so.
    pub async fn until(&self, what: &str, are: impl Fn(&[Entry]) -> bool) {
        let mut entries = self.entries.subscribe();
        let there = entries.wait_for(|entries| are(entries));
        soon(what, there).await.unwrap();
    }
}
