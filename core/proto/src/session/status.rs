//! What a session is like at this moment.

use super::Session;
use crate::error::SessionError;
use crate::event::Protection;
use crate::stats::Stats;
use crate::time::Time;
use crate::types::{Role, ServiceType, SessionId, Side};

impl Session {
    /// Bytes can be read, or the end, or an error.
    pub fn is_readable(&self) -> bool {
        self.recv.is_readable() || self.recv.is_exhausted() || self.closed.is_some()
    }

    /// A write would accept a fair amount of bytes, or fail. A writer that waits for this is not
    /// woken for every acknowledgement.
    pub fn is_writable(&self) -> bool {
        self.send.has_fair_room() || self.closed.is_some() || self.send.is_finished()
    }

    /// The last calls left something for the driver: bytes to pull, an action, an event.
    pub fn wants_driver(&self) -> bool {
        let limit = self.send.end().min(self.peer_limit);
        !self.actions.is_empty()
            || !self.events.is_empty()
            || self.legs.iter().any(|leg| {
                leg.ack_due
                    || leg.window_due
                    || !leg.control.is_empty()
                    || (leg.cursor < limit && self.may_send_data(leg.id))
                    || (self.send.is_finished() && !leg.fin_sent && self.may_send_data(leg.id))
            })
    }

    /// Bytes held: unacknowledged ones of this end, and unread ones of the peer.
    pub const fn buffered_bytes(&self) -> u64 {
        self.unacked_bytes() + self.recv.held()
    }

    /// Bytes that the peer was promised room for: what it may still send, and what is unread.
    pub const fn promised_bytes(&self) -> u64 {
        self.recv.limit().saturating_sub(self.recv.read_offset())
    }

    /// Bytes of the peer that wait for others before them.
    pub const fn apart_bytes(&self) -> u64 {
        self.recv.apart()
    }

    /// Bounds further growth of the buffers, under memory pressure; what the peer was promised
    /// stays promised.
    pub fn set_buffer_limits(&mut self, window_max: u64, send_buffer: usize) {
        self.recv.set_max_window(window_max);
        self.send.set_capacity(send_buffer as u64);
    }

    /// When the peer was last heard on any leg.
    pub const fn last_authentic(&self) -> Time {
        self.last_authentic
    }

    /// Gateway: the client has shown that it got WELCOME, so it is where it says.
    pub const fn is_proven(&self) -> bool {
        self.established && self.opening.is_none()
    }

    /// Bytes sent and received on the legs of that path, frames and all.
    pub const fn path_bytes(&self, role: Role) -> (u64, u64) {
        let path = self.stats.path(role);
        (path.sent, path.received)
    }

    /// WELCOME was verified (client) or sent (gateway).
    pub const fn is_established(&self) -> bool {
        self.established
    }

    /// The session has ended.
    pub const fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// How it ended, if it has.
    pub fn result(&self) -> Option<Result<(), SessionError>> {
        self.closed.clone()
    }

    /// Everything accepted, and the end if there is one, is acknowledged by the peer.
    pub const fn is_drained(&self) -> bool {
        self.send.acked() == self.send.end() && (!self.send.is_finished() || self.fin_acked)
    }

    /// Bytes accepted and not yet acknowledged.
    pub const fn unacked_bytes(&self) -> u64 {
        self.send.end() - self.send.acked()
    }

    /// Bytes of the peer that the application has read.
    pub const fn read_bytes(&self) -> u64 {
        self.recv.read_offset()
    }

    /// The name of the session, once there is one.
    pub const fn session_id(&self) -> Option<SessionId> {
        self.id
    }

    /// Which end this is.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// What the client asked of the two paths.
    pub const fn service(&self) -> ServiceType {
        self.service
    }

    /// The path that carries the bytes.
    pub const fn active_role(&self) -> Role {
        self.active
    }

    /// What the connection can claim.
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    /// Counters; `now` for how long ago something was heard.
    pub fn stats(&self, now: Time) -> Stats {
        let mut stats = self.stats;
        stats.acknowledged = self.send.acked();
        for leg in self.legs.iter().filter(|leg| leg.is_up()) {
            let path = stats.path_mut(leg.role);
            path.srtt = leg.rtt.measured();
            path.up = true;
            path.last_heard = Some(now.saturating_since(leg.last_received));
        }
        stats
    }
}
