//! What is looked up while all is well, so that no leg has to wait for a lookup when a path has died.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::timeout;
use twinpath_proto::{DialError, JoinAddress, PathChange, Role};

use super::live::Live;
use crate::dialer::{Dialer, Path};
use crate::driver::Shared;
use crate::target::Target;

/// Longer than resolvers need that answer at all.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);
/// Of one name on one path; what a gateway announces is meant to be a handful.
const ADDRESSES_MAX: usize = 16;

/// The addresses that were found, by path and host.
#[derive(Debug, Default)]
pub(super) struct Known {
    found: Vec<(Role, String, Arc<[IpAddr]>)>,
    /// A task is looking; the interfaces may have changed since it began.
    looking: bool,
    outdated: bool,
}

impl Known {
    /// The target, with what is known of it on that path.
    pub(super) fn told(&self, target: Target, role: Role) -> Target {
        let known = self
            .found
            .iter()
            .find(|(on, host, _)| *on == role && host == target.host());
        match known {
            Some((_, _, addresses)) => target.with_known(Arc::clone(addresses)),
            None => target,
        }
    }

    fn learn(&mut self, role: Role, target: &Target, addresses: &[IpAddr]) {
        self.found
            .retain(|(on, host, _)| *on != role || host != target.host());
        let addresses = addresses.iter().copied().take(ADDRESSES_MAX).collect();
        self.found.push((role, target.host().to_owned(), addresses));
    }

    /// True if a task has to be started; else the running one has heard that there is more to do.
    fn begin(&mut self) -> bool {
        self.outdated = self.looking;
        !std::mem::replace(&mut self.looking, true)
    }

    /// True if the task is done.
    fn end(&mut self) -> bool {
        self.looking = std::mem::take(&mut self.outdated);
        !self.looking
    }
}

impl Live {
    /// Looks up what legs will need, once the session is established.
    pub(super) fn look_ahead(self: &Arc<Self>, shared: &Arc<Shared>) {
        let mut state = self.lock();
        let backup = state.plan.path(Role::Backup).cloned();
        let start = state.known.begin();
        drop(state);
        if let Some(backup) = backup.filter(|backup| self.doubts(backup)) {
            self.judge(&backup, false);
        }
        if start {
            tokio::spawn(look_ahead(Arc::downgrade(self), Arc::clone(shared)));
        }
    }

    /// A cold backup of another address family than the server that was reached is no protection until a lookup has
    /// found a way; a warm one shows by its leg.
    fn doubts(&self, path: &Path) -> bool {
        let reached = self.target.reached_at();
        path.role() == Role::Backup
            && !self.options.is_warm()
            && reached.is_some_and(|reached| !path.leads_to(reached))
    }

    /// Whether a leg over a path that has none yet would have somewhere to go.
    fn judge(&self, path: &Path, leads: bool) {
        let role = path.role();
        let state = self.lock();
        let shared = state.shared.upgrade();
        let still = state.plan.path(role) == Some(path);
        drop(state);
        if let Some(shared) = shared.filter(|_| still) {
            shared.with(|state, now| match leads {
                true => state.session.path_changed(role, PathChange::Back, now),
                false => state.session.dial_failed(role, DialError::Unreachable, now),
            });
        }
    }

    /// The paths, the one first that is known to work.
    fn paths_to_look_on(&self) -> Vec<Path> {
        let mut paths: Vec<Path> = self.lock().plan.paths().cloned().collect();
        paths.sort_by_key(|path| path.role() != self.first);
        paths
    }

    fn learn(&self, path: &Path, target: &Target, addresses: &[IpAddr]) {
        let mut state = self.lock();
        // What was known stays as good as it was when a lookup fails.
        if !addresses.is_empty() && state.plan.path(path.role()) == Some(path) {
            state.known.learn(path.role(), target, addresses);
        }
    }
}

async fn look_ahead(live: Weak<Live>, shared: Arc<Shared>) {
    let Some(announced) = announced(&shared).await else {
        return;
    };
    drop(shared);
    loop {
        look_once(&live, &announced).await;
        match live.upgrade() {
            Some(live) if !live.lock().known.end() => {}
            _ => return,
        }
    }
}

/// Where the gateway wants legs to go, once it has said so; `None` if the session has ended before.
async fn announced(shared: &Shared) -> Option<Vec<JoinAddress>> {
    std::future::poll_fn(|cx| {
        shared.poll_watch(cx, |state| {
            if state.session.is_established() {
                Some(Some(state.session.join_addresses().to_vec()))
            } else if state.session.is_closed() || state.is_finished() {
                Some(None)
            } else {
                None
            }
        })
    })
    .await
}

/// A host, and where it has been found so far, whatever the path: lookups on the first path serve the second as well if
/// that has the family, since it may be dear to be asked.
struct Host {
    target: Target,
    found: Vec<IpAddr>,
}

impl Host {
    fn leading(&self, path: &Path) -> Vec<IpAddr> {
        let found = self.found.iter().copied();
        found.filter(|address| path.leads_to(*address)).collect()
    }

    /// Whether a leg over that path would have somewhere to go, as far as one can know.
    async fn look_on(&mut self, path: &Path, dialer: &dyn Dialer) -> bool {
        if !self.leading(path).is_empty() {
            return true;
        }
        match timeout(LOOKUP_LIMIT, dialer.look_up(path, &self.target)).await {
            // The dialer leaves names to somebody else.
            Ok(Ok(found)) if found.is_empty() => true,
            Ok(Ok(found)) => {
                self.found.extend(found.iter().map(SocketAddr::ip));
                !self.leading(path).is_empty()
            }
            Ok(Err(error)) => {
                log::debug!(
                    "a lookup ahead over the {} path failed: {error}",
                    path.role()
                );
                false
            }
            Err(_) => {
                log::debug!("a lookup ahead over the {} path took too long", path.role());
                false
            }
        }
    }
}

async fn look_once(live: &Weak<Live>, announced: &[JoinAddress]) {
    let Some(alive) = live.upgrade() else {
        return;
    };
    let dialer = Arc::clone(&alive.options.dialer);
    let mut hosts: Vec<Host> = alive
        .targets(announced)
        .into_iter()
        .map(|target| {
            let address = target.reached_at().or_else(|| target.address());
            let found = address.into_iter().collect();
            Host { target, found }
        })
        .collect();
    let paths = alive.paths_to_look_on();
    drop(alive);
    for path in &paths {
        let mut leads = false;
        for host in &mut hosts {
            leads |= host.look_on(path, dialer.as_ref()).await;
            let Some(live) = live.upgrade() else {
                return;
            };
            live.learn(path, &host.target, &host.leading(path));
        }
        if let Some(live) = live.upgrade() {
            let doubtful = live.doubts(path);
            let cold = path.role() == Role::Backup && !live.options.is_warm();
            if cold && leads == doubtful {
                live.judge(path, leads);
            }
        }
    }
}
