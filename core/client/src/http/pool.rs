//! Connections that wait for the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use twinpath_proto::Role;

use super::link::Link;
use super::origin::Origin;

/// Servers end connections on which nothing is said, many of them after a minute.
const IDLE: Duration = Duration::from_secs(50);
/// Of HTTP/1.1, for one origin and path: what browsers keep.
const PER_PATH: usize = 6;
/// Origins; the one that was used longest ago is forgotten.
const ORIGINS: usize = 64;

/// Which connections serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// Those that see to their paths by themselves, or have but one.
    Whole,
    /// Those over the path of that role.
    Path(Role),
}

#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<(Origin, Way), Entry>>,
}

#[derive(Debug)]
struct Entry {
    shared: Option<Link>,
    links: Vec<(Link, Instant)>,
    used: Instant,
}

impl Pool {
    /// A connection that is free.
    pub(super) fn take(&self, origin: &Origin, way: Way) -> Option<Link> {
        let mut idle = self.lock();
        let entry = idle.get_mut(&(origin.clone(), way))?;
        entry.used = Instant::now();
        if let Some(shared) = &entry.shared {
            match shared.is_closed() {
                false => return shared.share(),
                true => entry.shared = None,
            }
        }
        while let Some((mut link, since)) = entry.links.pop() {
            if !link.is_closed() && since.elapsed() < IDLE {
                link.used = true;
                return Some(link);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(self: &Arc<Self>, origin: &Origin, way: Way, link: Link) {
        if link.is_closed() {
            return;
        }
        let mut idle = self.lock();
        let key = (origin.clone(), way);
        if idle.len() >= ORIGINS && !idle.contains_key(&key) {
            let oldest = idle.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                idle.remove(&oldest);
            }
        }
        let now = Instant::now();
        let entry = idle.entry(key).or_insert_with(|| Entry {
            shared: None,
            links: Vec::new(),
            used: now,
        });
        entry.used = now;
        if link.is_h2() {
            if entry.shared.as_ref().is_none_or(Link::is_closed) {
                entry.shared = Some(link);
            }
        } else {
            if entry.links.len() == PER_PATH {
                entry.links.remove(0);
            }
            entry.links.push((link, now));
        }
        drop(idle);
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep(IDLE).await;
            if let Some(pool) = pool.upgrade() {
                pool.prune();
            }
        });
    }

    /// Whether there is one that could serve.
    pub(super) fn has(&self, origin: &Origin, way: Way) -> bool {
        let idle = self.lock();
        idle.get(&(origin.clone(), way)).is_some_and(|entry| {
            let shared = entry.shared.as_ref().is_some_and(|link| !link.is_closed());
            shared || entry.links.iter().any(|(link, _)| !link.is_closed())
        })
    }

    /// Ends what nobody has used for long.
    fn prune(&self) {
        self.lock().retain(|_, entry| {
            entry
                .links
                .retain(|(link, since)| !link.is_closed() && since.elapsed() < IDLE);
            if entry.used.elapsed() >= IDLE {
                entry.shared = None;
            }
            entry.shared.is_some() || !entry.links.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Origin, Way), Entry>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
