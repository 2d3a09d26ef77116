//! Which servers the primary path does not lead to: found dead under a connection to them, and not yet proven alive again.
//!
//! While there is one, a connect tries both paths at once, and requests to that server take the backup. Others may still
//! be in reach: that is for their own connections to find out, so that one server alone does not move everything to the
//! backup.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use twinpath_proto::Time;

use crate::clock;
use crate::detect::Answer;
use crate::detect::comeback::{Comeback, Step};
use crate::driver::BoxFuture;

/// Asks a server whether it answers on the primary path.
pub(super) type Ask = Box<dyn Fn() -> BoxFuture<Answer> + Send + Sync>;

/// What the primary path's round trip is taken for when it was good: what is slower than twice this is not good yet.
const USUAL: Duration = Duration::from_millis(100);
/// More servers are not remembered, and the one that was in doubt for longest is believed.
const SERVERS: usize = 32;

/// A path is not asked for longer than this for a server that nobody wants anything of.
const UNWANTED: Duration = Duration::from_secs(2 * 60);

/// Of one connector.
#[derive(Default)]
pub(super) struct Doubt {
    servers: Mutex<VecDeque<Server>>,
    /// Told of every change.
    changed: Notify,
    /// The system has told something about the paths.
    hurry: Notify,
}

struct Server {
    host: String,
    in_doubt: bool,
    /// Somebody last wanted to know then.
    wanted: Time,
    /// Remembers earlier losses, so that a path that comes and goes is stayed away from for longer.
    comeback: Comeback,
}

impl Doubt {
    pub(super) fn is_any(&self) -> bool {
        self.lock().iter().any(|server| server.in_doubt)
    }

    /// Whether the primary path was found dead under a connection to that host and is not yet proven alive again.
    #[cfg(feature = "http")]
    pub(super) fn is_about(&self, host: &str) -> bool {
        let in_doubt = self.with(host, |server| {
            server.wanted = clock::now();
            server.in_doubt
        });
        in_doubt == Some(true)
    }

    /// Waits for the next change of [`is_about`](Self::is_about).
    #[cfg(feature = "http")]
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The primary path was found dead under a connection to that host.
    pub(super) fn begin(self: &Arc<Self>, host: &str, ask: Ask) {
        let mut servers = self.lock();
        if !servers.iter().any(|it| it.host == host) {
            if servers.len() == SERVERS {
                servers.pop_front();
            }
            servers.push_back(Server {
                host: host.to_owned(),
                in_doubt: false,
                wanted: clock::now(),
                comeback: Comeback::default(),
            });
        }
        let server = servers.iter_mut().find(|it| it.host == host);
        let is_news = server.is_some_and(|server| {
            server.comeback.set_lost(true, clock::now());
            server.wanted = clock::now();
            !std::mem::replace(&mut server.in_doubt, true)
        });
        drop(servers);
        if is_news {
            log::info!("a server does not answer on the primary path, and on the backup it does");
            self.changed.notify_waiters();
            tokio::spawn(prove(Arc::downgrade(self), host.to_owned(), ask));
        }
    }

    /// The system has told something new about the paths.
    pub(super) fn hurry(&self) {
        let mut servers = self.lock();
        for server in servers.iter_mut() {
            server.comeback.hurry(clock::now());
        }
        drop(servers);
        self.hurry.notify_waiters();
    }

    fn end(&self, host: &str) {
        self.with(host, |server| {
            server.in_doubt = false;
            server.comeback.set_lost(false, clock::now());
        });
        log::info!("a server answers on the primary path again");
        self.changed.notify_waiters();
    }

    fn with<R>(&self, host: &str, act: impl FnOnce(&mut Server) -> R) -> Option<R> {
        let mut servers = self.lock();
        servers.iter_mut().find(|it| it.host == host).map(act)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doubt")
            .field("is_any", &self.is_any())
            .finish_non_exhaustive()
    }
}

/// Asks until the path is proven, or nobody cares any more.
async fn prove(doubt: Weak<Doubt>, host: String, ask: Ask) {
    loop {
        let Some(doubt) = doubt.upgrade() else {
            return;
        };
        let now = clock::now();
        let polled = doubt.with(&host, |server| {
            if now.saturating_since(server.wanted) >= UNWANTED {
                // The next connect finds out by itself.
                server.in_doubt = false;
                server.comeback.set_lost(false, now);
                return None;
            }
            let step = server.comeback.poll(now);
            Some((step, server.comeback.pause(now).unwrap_or_default()))
        });
        let Some((step, pause)) = polled.flatten() else {
            return;
        };
        match step {
            Some(Step::BringBack) => return doubt.end(&host),
            Some(Step::Ask) => {
                let answer = ask().await;
                let now = clock::now();
                doubt.with(&host, |server| server.comeback.answer(answer, USUAL, now));
            }
            None => tokio::select! {
                () = doubt.hurry.notified() => {}
                () = sleep(pause.max(Duration::from_millis(1))) => {}
            },
        }
    }
}
