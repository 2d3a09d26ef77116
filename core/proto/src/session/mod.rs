//! The session: one byte stream over the legs of two paths, the same machine at both ends.
//!
//! Each concern has a file: [`open`] the first flight, [`accept`] the gateway's half of it, [`join`] later legs,
//! [`stream`] what the application does, [`status`] what it may ask, [`receive`] what comes in on a leg, [`transmit`] what
//! goes out, [`detect`] silence, [`switch`] failing over, [`failback`] going back, [`dial`] which paths are wanted,
//! [`timers`] what is due when, [`close`] the end.
//!
//! Sending works by *pulling*: every leg has a cursor into the send buffer, and the driver asks a
//! leg for bytes only when its socket takes some. The active leg carries everything; while it is
//! suspected, or missing, every other leg starts at the oldest unacknowledged byte and carries
//! everything as well. The receiver puts all of it in order by offset and drops what it has.

mod accept;
pub(crate) mod close;
mod detect;
mod dial;
mod failback;
mod join;
mod open;
mod receive;
mod refused;
mod replay;
mod status;
mod stream;
mod switch;
mod timers;
mod transmit;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::allowance::{Allowance, Budget};
use crate::buffer::{ReceiveBuffer, SendBuffer};
use crate::config::{ClientConfig, EARLY_LIMIT, GatewayConfig};
use crate::crypto::Keys;
use crate::entropy::Entropy;
use crate::error::SessionError;
use crate::event::{Action, Event, LegEnd, PathChange, Protection, UnprotectedReason};
use crate::leg::{Leg, Phase};
use crate::stats::Stats;
use crate::time::Time;
use crate::types::{JoinAddress, LegId, Role, ServiceType, SessionId, Side, Standby};

use dial::PathDial;
use failback::Failback;
use open::Opening;
use replay::ReplayWindow;

pub use accept::AcceptError;
pub use join::JoinError;

/// A session at one of its ends.
pub struct Session {
    side: Side,
    service: ServiceType,
    standby: Standby,
    ttl: Duration,
    strict_join: bool,
    pin: Option<[u8; 32]>,
    early_data: bool,
    join_addresses: Vec<JoinAddress>,
    entropy: Entropy,

    id: Option<SessionId>,
    keys: Option<Keys>,
    opening: Option<Opening>,
    established: bool,
    closed: Option<Result<(), SessionError>>,

    legs: Vec<Leg>,
    next_leg: u32,
    paths: [PathDial; 2],
    epoch: u32,
    active: Role,
    /// Since when the active path has had no leg.
    active_missing: Option<Time>,
    join_counter: u64,
    replay: ReplayWindow,
    newest_join: [Option<u64>; 2],
    unknown_from: [bool; 2],

    send: SendBuffer,
    recv: ReceiveBuffer,
    peer_limit: u64,
    handed_on: Option<u64>,
    fin_acked: bool,
    /// Nothing can be sent because the peer's window is closed: when to ask next, and how often.
    window_probe: Option<(Time, u32)>,
    window_read_at: Time,

    allowance: Allowance,
    budget: Budget,
    /// Gateway: bytes that it may send on backup legs, and has sent.
    credit: u64,
    credit_used: u64,
    budget_told: bool,

    failback: Failback,
    slow_since: Option<Time>,
    switched_at: Option<Time>,
    mirrored_at: Option<Time>,
    warm_until: Option<Time>,
    due_from: Option<Time>,
    hedge_stall: Duration,
    /// The active path was switched, and nothing has moved since.
    stall_untold: bool,
    /// The backup was left while there was no primary.
    failback_untold: bool,
    last_progress: Time,
    last_authentic: Time,
    /// When a leg was there last that was not given up: it may have had nothing to answer since.
    last_answering: Time,
    last_now: Time,
    protection: Protection,
    stats: Stats,
    events: VecDeque<Event>,
    actions: VecDeque<Action>,
}

impl fmt::Debug for Session {
    /// Neither secrets nor the application's bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("side", &self.side)
            .field("id", &self.id)
            .field("active", &self.active)
            .field("epoch", &self.epoch)
            .field("legs", &self.legs.len())
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// Events that nobody collects are dropped beyond this, the oldest first.
const MAX_EVENTS: usize = 256;

impl Session {
    /// A client's session; it begins with its first leg. `seed` is secret, random and used once.
    pub fn client(config: ClientConfig, seed: [u8; 32], now: Time) -> Self {
        let mut session = Self::new(Side::Client, config.window, config.send_buffer, seed, now);
        session.service = config.service;
        session.standby = config.standby;
        session.ttl = config.ttl;
        session.pin = config.pin;
        session.early_data = config.pin.is_none() || config.early_data;
        session.budget = Budget::new(config.budget);
        session.credit = u64::MAX;
        session.peer_limit = EARLY_LIMIT;
        session
    }

    fn gateway_side(config: &GatewayConfig, seed: [u8; 32], now: Time) -> Self {
        let mut session = Self::new(Side::Gateway, config.window, config.send_buffer, seed, now);
        session.ttl = config.ttl_max;
        session.strict_join = config.strict_join;
        session.join_addresses = config.join_addresses.clone();
        session
    }

    fn new(
        side: Side,
        window: crate::config::WindowConfig,
        send_buffer: usize,
        seed: [u8; 32],
        now: Time,
    ) -> Self {
        Self {
            side,
            service: ServiceType::Handover,
            standby: Standby::Cold,
            ttl: crate::config::DEFAULT_TTL,
            strict_join: false,
            pin: None,
            early_data: true,
            join_addresses: Vec::new(),
            entropy: Entropy::new(seed),
            id: None,
            keys: None,
            opening: None,
            established: false,
            closed: None,
            legs: Vec::new(),
            next_leg: 0,
            paths: [PathDial::new(now), PathDial::new(now)],
            epoch: 0,
            active: Role::Primary,
            active_missing: None,
            join_counter: 0,
            replay: ReplayWindow::default(),
            newest_join: [None; 2],
            unknown_from: [false; 2],
            send: SendBuffer::new(send_buffer),
            recv: ReceiveBuffer::new(window),
            peer_limit: 0,
            handed_on: None,
            fin_acked: false,
            window_probe: None,
            window_read_at: now,
            allowance: Allowance::new(now),
            budget: Budget::new(None),
            credit: 0,
            credit_used: 0,
            budget_told: false,
            failback: Failback::new(),
            slow_since: None,
            switched_at: None,
            mirrored_at: None,
            warm_until: None,
            due_from: None,
            hedge_stall: Duration::ZERO,
            stall_untold: false,
            failback_untold: false,
            last_progress: now,
            last_authentic: now,
            last_answering: now,
            last_now: now,
            protection: Protection::Unprotected {
                reason: UnprotectedReason::Connecting,
            },
            stats: Stats::default(),
            events: VecDeque::new(),
            actions: VecDeque::new(),
        }
    }

    /// Sets the bytes that may be spent on the backup, counted since the start of the session.
    pub fn set_budget(&mut self, limit: Option<u64>, now: Time) {
        self.budget.set_limit(limit);
        if !self.budget.is_exhausted() {
            self.budget_told = false;
        }
        self.renew_credit();
        self.settle(now);
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    // ---- inner ----

    fn emit(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn position(&self, leg: LegId) -> Option<usize> {
        self.legs.iter().position(|candidate| candidate.id == leg)
    }

    fn leg_on(&self, role: Role) -> Option<&Leg> {
        self.legs
            .iter()
            .find(|leg| leg.role == role && leg.phase == Phase::Up)
    }

    fn add_leg(&mut self, role: Role, phase: Phase, rtt: Option<Duration>, now: Time) -> LegId {
        let id = LegId(self.next_leg);
        self.next_leg = self.next_leg.wrapping_add(1);
        let mut leg = Leg::new(id, role, phase, rtt, now);
        leg.cursor = self.send.acked();
        leg.covers = leg.cursor;
        self.legs.push(leg);
        id
    }

    /// The operating system says something of a path.
    pub fn path_changed(&mut self, role: Role, change: PathChange, now: Time) {
        self.observe(now);
        match change {
            PathChange::Gone => {
                self.paths[role.index()].gone = true;
                self.drop_legs(role, LegEnd::PathGone, now);
            }
            PathChange::Back | PathChange::Changed => {
                self.paths[role.index()].gone = false;
                self.paths[role.index()].renewed(now);
                if self.paths[role.index()].dialling {
                    // It may have left without a route, or by an old one, and not hear of the new one.
                    self.cancel_dial(role);
                }
                if change == PathChange::Changed {
                    self.probe_legs(Some(role), now);
                }
            }
        }
        self.settle(now);
    }

    /// Brings everything that follows from a change up to date.
    fn settle(&mut self, now: Time) {
        if self.closed.is_some() {
            return;
        }
        self.check_window(now);
        self.check_switch(now);
        self.check_budget(now);
        self.plan_dials(now);
        self.update_protection();
        self.check_finished(now);
    }

    fn update_protection(&mut self) {
        let current = self.current_protection();
        if current != self.protection {
            self.protection = current;
            self.emit(Event::Protection(current));
        }
    }

    fn current_protection(&self) -> Protection {
        let reason = if self.closed.is_some() {
            UnprotectedReason::Ended
        } else if !self.established {
            UnprotectedReason::Connecting
        } else if self.side == Side::Gateway {
            // The gateway cannot dial: it is protected while both legs are there, and cannot know
            // more of a cold client.
            if Role::ALL.iter().all(|role| self.leg_on(*role).is_some()) {
                return Protection::Protected;
            }
            UnprotectedReason::NoSecondPath
        } else if self.budget.is_exhausted() {
            UnprotectedReason::BudgetExhausted
        } else if self.active == Role::Backup {
            if self.leg_on(Role::Primary).is_some_and(Leg::is_healthy) {
                return Protection::Protected;
            }
            UnprotectedReason::PrimaryDown
        } else {
            let backup = &self.paths[Role::Backup.index()];
            if !backup.usable() {
                UnprotectedReason::NoSecondPath
            } else if backup.failed && self.leg_on(Role::Backup).is_none() {
                UnprotectedReason::BackupUnreachable
            } else {
                return Protection::Protected;
            }
        };
        Protection::Unprotected { reason }
    }
}
