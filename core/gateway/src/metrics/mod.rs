//! What the gateway counts, and how it tells.
//!
//! Counters are plain atomics, bumped where things happen. Nothing is kept per client: no label ever holds an
//! address, so the page is as long on the last day as on the first.

mod families;
mod label;
mod page;
mod text;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) use self::families::{
    Cap, Direction, HandshakeEnd, HelloResult, JoinResult, Levels, Metrics, RawEnd, SessionEnd,
    Transport, UpstreamFailure,
};
pub(crate) use self::label::{CounterSet, Label, label};
pub(crate) use self::page::{PageServer, Source};
pub(crate) use self::text::{Kind, TextPage};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
