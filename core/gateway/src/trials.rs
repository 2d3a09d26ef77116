//! Connections beyond the limits, which may show that they are joins.
//!
//! A join shows itself in its first flight, right after the handshake. Whoever has been silent for longer is the less
//! likely to be one, so when there are too many it is the oldest that goes, and a newcomer is never refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::caps::Block;

/// Trials at a time.
const MOST: usize = 1024;
/// Of these, trials of one address: its flood must not drive out the joins of others.
const MOST_PER_BLOCK: usize = 64;

/// The trials under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trials {
    running: Arc<Mutex<Running>>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    /// In the order in which they came.
    all: BTreeMap<u64, (Block, Arc<Notify>)>,
    by_block: HashMap<Block, BTreeSet<u64>>,
}

impl Running {
    fn remove(&mut self, id: u64) -> Option<Arc<Notify>> {
        let (block, revoked) = self.all.remove(&id)?;
        if let Some(ids) = self.by_block.get_mut(&block) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_block.remove(&block);
            }
        }
        Some(revoked)
    }

    /// Who has to go before one more of `block` may come.
    fn too_many(&self, block: Block) -> Option<u64> {
        let ids = self.by_block.get(&block);
        match ids.filter(|ids| ids.len() >= MOST_PER_BLOCK) {
            Some(ids) => ids.first().copied(),
            None if self.all.len() >= MOST => self.all.keys().next().copied(),
            None => None,
        }
    }
}

impl Trials {
    /// Begins a trial; true if an older one had to end for it.
    pub(crate) fn begin(&self, ip: IpAddr) -> (Trial, bool) {
        let block = Block::of(ip);
        let mut running = lock(&self.running);
        let oldest = running.too_many(block);
        if let Some(revoked) = oldest.and_then(|id| running.remove(id)) {
            revoked.notify_one();
        }
        let id = running.next;
        running.next += 1;
        let revoked = Arc::new(Notify::new());
        running.all.insert(id, (block, Arc::clone(&revoked)));
        running.by_block.entry(block).or_default().insert(id);
        let trial = Trial {
            running: Arc::clone(&self.running),
            id,
            revoked,
        };
        (trial, oldest.is_some())
    }
}

/// One trial, over when dropped.
#[derive(Debug)]
pub(crate) struct Trial {
    running: Arc<Mutex<Running>>,
    id: u64,
    revoked: Arc<Notify>,
}

impl Trial {
    /// Waits until another trial takes the place of this one.
    pub(crate) async fn revoked(&self) {
        self.revoked.notified().await;
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        lock(&self.running).remove(self.id);
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::task::{Context, Waker};

    use super::*;

    fn is_revoked(trial: &Trial) -> bool {
        let revoked = std::pin::pin!(trial.revoked());
        let mut cx = Context::from_waker(Waker::noop());
        revoked.poll(&mut cx).is_ready()
    }

    fn ip(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn a_flood_from_one_address_drives_out_only_its_own() {
        let trials = Trials::default();
        let (other, _) = trials.begin(ip(1));
        let flood: Vec<_> = (0..2 * MOST_PER_BLOCK)
            .map(|_| trials.begin(ip(2)).0)
            .collect();
        assert!(!is_revoked(&other));
        let (gone, here) = flood.split_at(MOST_PER_BLOCK);
        assert!(gone.iter().all(is_revoked));
        assert!(!here.iter().any(is_revoked));
    }

    #[test]
    fn the_newest_is_always_taken_and_the_oldest_goes() {
        let trials = Trials::default();
        let all: Vec<_> = (0..MOST as u32).map(|n| trials.begin(ip(n)).0).collect();
        let (newest, replaced) = trials.begin(ip(u32::MAX));
        assert!(replaced && !is_revoked(&newest));
        assert!(is_revoked(&all[0]) && !is_revoked(&all[1]));
    }

    #[test]
    fn nothing_is_remembered_of_trials_that_are_over() {
        let trials = Trials::default();
        drop((0..5000).map(|n| trials.begin(ip(n)).0).collect::<Vec<_>>());
        let running = lock(&trials.running);
        assert!(running.all.is_empty() && running.by_block.is_empty());
    }
}
