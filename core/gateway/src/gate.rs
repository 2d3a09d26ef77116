//! What all connections of one listener share: bounds, counters, and the sessions that live.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use twinpath::driver::Handle;
use twinpath_proto::{
    Directory, DirectoryConfig, GatewayConfig, ResetCode, Role, Session, SessionError, SessionId,
    Stats, Time, WindowConfig,
};

use crate::caps::{AddressCaps, AddressSlot};
use crate::census::{Census, SessionGuard};
use crate::clock;
use crate::config::ListenerConfig;
use crate::drain::{Phase, ShutdownHandle};
use crate::ledger::{Ledger, SMALL_WINDOW, Transit};
use crate::metrics::{Levels, Metrics, SessionEnd, Source};

/// Who is at the other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The address that the first leg came from.
    pub remote: SocketAddr,
    /// The address that the first leg connected to.
    pub local: SocketAddr,
}

impl PeerInfo {
    pub(crate) const fn new(remote: SocketAddr, local: SocketAddr) -> Self {
        Self { remote, local }
    }
}

/// A session that lives, and what is remembered of it from one look to the next.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) handle: Handle,
    pub(crate) id: SessionId,
    /// When its HELLO came.
    pub(crate) since: Time,
    /// Whether a client that has not proven itself was asked to.
    pub(crate) asked: AtomicBool,
    /// What is on its way between the session and the service.
    pub(crate) transit: Transit,
    /// Why this end ended it, if it did.
    end: OnceLock<SessionEnd>,
    /// Held until the client has proven itself.
    slot: Mutex<Option<AddressSlot>>,
    published: Mutex<Stats>,
}

impl Member {
    pub(crate) fn new(handle: Handle, id: SessionId, since: Time, slot: AddressSlot) -> Self {
        Self {
            handle,
            id,
            since,
            asked: AtomicBool::new(false),
            transit: Transit::default(),
            end: OnceLock::new(),
            slot: Mutex::new(Some(slot)),
            published: Mutex::default(),
        }
    }

    /// Resets the session, and remembers for the counters why.
    pub(crate) fn reset(&self, code: ResetCode, end: SessionEnd) {
        let _ = self.end.set(end);
        self.handle
            .with_session(|session, now| session.abort(code, now));
    }

    /// Bytes that the session holds, those in transit included.
    pub(crate) fn held(&self) -> u64 {
        self.look(|session, _| session.buffered_bytes()) + self.transit.bytes()
    }

    /// Looks at the session.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Session, Time) -> R) -> R {
        self.handle.inspect(look)
    }

    /// Gives the slot of the address back.
    pub(crate) fn release_slot(&self) {
        drop(lock(&self.slot).take());
    }

    /// Adds to `metrics` what happened since the last call.
    fn publish(&self, metrics: &Metrics) -> Stats {
        let mut published = lock(&self.published);
        let stats = self.look(|session, now| session.stats(now));
        metrics.add_session(&published, &stats);
        *published = stats;
        stats
    }

    fn how_it_ended(&self) -> SessionEnd {
        if let Some(end) = self.end.get() {
            return *end;
        }
        match self.look(|session, _| session.result()) {
            Some(Ok(())) => SessionEnd::Finished,
            Some(Err(SessionError::Reset { .. })) => SessionEnd::ClientReset,
            Some(Err(SessionError::TimedOut { .. })) => SessionEnd::ClientLost,
            Some(Err(SessionError::Protocol(_))) => SessionEnd::Protocol,
            Some(Err(_)) | None => SessionEnd::Dropped,
        }
    }
}

/// Shared by everything that belongs to one listener.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) config: ListenerConfig,
    pub(crate) session_config: GatewayConfig,
    /// The same with a small window at first.
    pub(crate) small_config: GatewayConfig,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) caps: AddressCaps,
    pub(crate) census: Arc<Census>,
    pub(crate) ledger: Ledger,
    pub(crate) shutdown: ShutdownHandle,
    /// For how many looks in a row the ledger has been full.
    pub(crate) full_for: AtomicU32,
    directory: Mutex<Directory<Arc<Member>>>,
    members: Mutex<HashMap<SessionId, Arc<Member>>>,
}

impl Gate {
    pub(crate) fn new(config: ListenerConfig) -> Self {
        let session_config = GatewayConfig {
            window: WindowConfig {
                initial: WindowConfig::default().initial.min(config.window),
                max: config.window,
            },
            send_buffer: config.window as usize,
            static_key: config.key.clone(),
            join_addresses: config.join_addresses.clone(),
            strict_join: config.strict_join,
            ttl_max: config.ttl_max,
        };
        let small_config = GatewayConfig {
            window: WindowConfig {
                initial: SMALL_WINDOW,
                ..session_config.window
            },
            ..session_config.clone()
        };
        let directory = directory_config(&config);
        Self {
            session_config,
            small_config,
            metrics: Arc::new(Metrics::new()),
            caps: AddressCaps::new(config.limits.per_address),
            census: Arc::default(),
            ledger: Ledger::new(config.limits.buffers),
            shutdown: ShutdownHandle::new(),
            full_for: AtomicU32::new(0),
            directory: Mutex::new(Directory::new(directory, clock::now())),
            members: Mutex::default(),
            config,
        }
    }

    /// The directory of sessions. A session's own lock may be taken under this one, never the other way round.
    pub(crate) fn directory(&self) -> MutexGuard<'_, Directory<Arc<Member>>> {
        lock(&self.directory)
    }

    /// Watches over a new session until its end.
    pub(crate) fn adopt(self: &Arc<Self>, member: Arc<Member>, guard: SessionGuard) {
        self.metrics.sessions.increment();
        lock(&self.members).insert(member.id, Arc::clone(&member));
        if self.shutdown.phase() != Phase::Serving {
            // It slipped in while the others were told.
            member.handle.go_away(self.config.drain_timeout);
        }
        if self.ledger.is_restrained() {
            let (window, send) = self.buffers(true);
            member
                .handle
                .with_session(|session, _| session.set_buffer_limits(window, send));
        }
        let gate = Arc::clone(self);
        tokio::spawn(async move {
            member.handle.closed().await;
            gate.bury(&member);
            drop(guard);
        });
    }

    fn bury(&self, member: &Member) {
        lock(&self.members).remove(&member.id);
        member.publish(&self.metrics);
        member.release_slot();
        let end = member.how_it_ended();
        self.metrics.session_ends.increment(end);
        // Only a session that ended well can say so to a late join; any other is unknown from here on.
        let tombstone =
            member.look(|session, _| session.result()?.ok().and_then(|()| session.tombstone()));
        self.directory().remove(member.id, tombstone, clock::now());
        log::debug!("session {:?} ended: {end:?}", member.id);
    }

    /// The sessions that live at this moment.
    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        lock(&self.members).values().cloned().collect()
    }

    /// Tells every client that the gateway is going away.
    pub(crate) fn go_away(&self, deadline: Duration) {
        for member in self.members() {
            member.handle.go_away(deadline);
        }
    }

    /// Resets every session.
    pub(crate) fn cut_off(&self) {
        for member in self.members() {
            member.reset(ResetCode::GoingAway, SessionEnd::GoingAway);
        }
    }
}

fn directory_config(config: &ListenerConfig) -> DirectoryConfig {
    DirectoryConfig {
        max_sessions: config.limits.sessions,
        // A client may try to join for as long as its session would have lived.
        tombstone_ttl: config.ttl_max,
        alone: config.join_addresses.is_empty(),
    }
}

impl Source for Gate {
    fn metrics(&self) -> String {
        let mut legs_open = [0; 2];
        for member in self.members() {
            let stats = member.publish(&self.metrics);
            for (open, role) in legs_open.iter_mut().zip(Role::ALL) {
                *open += usize::from(stats.path(role).up);
            }
        }
        self.metrics.render(&Levels {
            phase: self.shutdown.phase(),
            sessions_open: self.census.sessions(),
            raw_open: self.census.raw(),
            legs_open,
            buffered: self.ledger.held(),
            buffers_limit: self.ledger.limit(),
        })
    }

    fn healthy(&self) -> bool {
        self.shutdown.phase() == Phase::Serving
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole between any two statements; a panic elsewhere must not take the gateway down.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_is_remembered_for_as_long_as_it_could_have_lived() {
        for ttl_max in [Duration::from_secs(5), Duration::from_secs(3600)] {
            let config = ListenerConfig {
                ttl_max,
                ..ListenerConfig::default()
            };
            assert_eq!(directory_config(&config).tombstone_ttl, ttl_max);
        }
    }
}
