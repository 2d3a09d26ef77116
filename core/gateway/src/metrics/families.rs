//! The families of the page.

use std::fmt::Display;
use std::time::Instant;

use twinpath_proto::{Role, Stats};

use super::{Counter, CounterSet, Kind, Label, TextPage, label};
use crate::drain::Phase;

label! {
    /// Which way bytes went, as the gateway sees it.
    Direction {
        FromClient = "from_client",
        ToClient = "to_client",
    }
}

label! {
    /// Which bound turned something away, or slowed it down.
    Cap {
        Address = "address",
        Sessions = "sessions",
        Raw = "raw",
        Buffers = "buffers",
        Handshakes = "handshakes",
    }
}

label! {
    /// Connections that ended before it was known what they are.
    HandshakeEnd {
        TimedOut = "timed_out",
        Closed = "closed",
        Invalid = "invalid",
    }
}

label! {
    HelloResult {
        Accepted = "accepted",
        Retried = "retried",
        Refused = "refused",
        Version = "version",
        Busy = "busy",
        GoingAway = "going_away",
    }
}

label! {
    JoinResult {
        Ok = "ok",
        UnknownSession = "unknown_session",
        Closed = "closed",
        Unauthentic = "unauthentic",
        Counter = "counter_used",
        Other = "other",
    }
}

label! {
    SessionEnd {
        Finished = "finished",
        ClientReset = "client_reset",
        ClientLost = "client_lost",
        UpstreamReset = "upstream_reset",
        UpstreamUnreachable = "upstream_unreachable",
        Limit = "limit",
        Unproven = "unproven",
        GoingAway = "going_away",
        Protocol = "protocol",
        Dropped = "dropped",
    }
}

label! {
    RawEnd {
        Finished = "finished",
        ClientReset = "client_reset",
        UpstreamReset = "upstream_reset",
        UpstreamUnreachable = "upstream_unreachable",
        Refused = "refused",
        GoingAway = "going_away",
    }
}

label! {
    /// What a connection is made of, as the kernel says.
    Transport {
        Tcp = "tcp",
        Mptcp = "mptcp",
    }
}

impl Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

label! {
    /// Why the service behind the gateway was not reached.
    UpstreamFailure {
        Refused = "refused",
        TimedOut = "timed_out",
        Unresolved = "unresolved",
        Other = "other",
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    started: Instant,
    pub(crate) sessions: Counter,
    pub(crate) session_ends: CounterSet<SessionEnd>,
    pub(crate) hellos: CounterSet<HelloResult>,
    pub(crate) joins: CounterSet<JoinResult>,
    pub(crate) legs_negotiated: CounterSet<Transport>,
    pub(crate) raw: Counter,
    pub(crate) raw_negotiated: CounterSet<Transport>,
    pub(crate) raw_fallbacks: Counter,
    pub(crate) raw_multipath: Counter,
    pub(crate) raw_subflows_ended: Counter,
    pub(crate) raw_ends: CounterSet<RawEnd>,
    pub(crate) raw_bytes: CounterSet<Direction>,
    pub(crate) stream_bytes: CounterSet<Direction>,
    pub(crate) handshake_ends: CounterSet<HandshakeEnd>,
    pub(crate) upstream_failures: CounterSet<UpstreamFailure>,
    pub(crate) caps_hit: CounterSet<Cap>,
    pub(crate) accept_errors: Counter,
    legs: [Counter; 2],
    leg_bytes: [CounterSet<Direction>; 2],
    hedges: Counter,
    needless_hedges: Counter,
    failovers: Counter,
    failbacks: Counter,
}

/// What is measured at the moment the page is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Levels {
    pub(crate) phase: Phase,
    pub(crate) sessions_open: usize,
    pub(crate) raw_open: usize,
    /// By role, the primary first.
    pub(crate) legs_open: [usize; 2],
    pub(crate) buffered: u64,
    pub(crate) buffers_limit: u64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            sessions: Counter::default(),
            session_ends: CounterSet::default(),
            hellos: CounterSet::default(),
            joins: CounterSet::default(),
            legs_negotiated: CounterSet::default(),
            raw: Counter::default(),
            raw_negotiated: CounterSet::default(),
            raw_fallbacks: Counter::default(),
            raw_multipath: Counter::default(),
            raw_subflows_ended: Counter::default(),
            raw_ends: CounterSet::default(),
            raw_bytes: CounterSet::default(),
            stream_bytes: CounterSet::default(),
            handshake_ends: CounterSet::default(),
            upstream_failures: CounterSet::default(),
            caps_hit: CounterSet::default(),
            accept_errors: Counter::default(),
            legs: Default::default(),
            leg_bytes: Default::default(),
            hedges: Counter::default(),
            needless_hedges: Counter::default(),
            failovers: Counter::default(),
            failbacks: Counter::default(),
        }
    }

    /// Adds what a session did since `before`, its counters at the last call.
    pub(crate) fn add_session(&self, before: &Stats, now: &Stats) {
        for (at, role) in Role::ALL.into_iter().enumerate() {
            let (old, new) = (before.path(role), now.path(role));
            self.legs[at].add(u64::from(new.legs.saturating_sub(old.legs)));
            self.leg_bytes[at]
                .of(Direction::FromClient)
                .add(new.received.saturating_sub(old.received));
            self.leg_bytes[at]
                .of(Direction::ToClient)
                .add(new.sent.saturating_sub(old.sent));
        }
        self.stream_bytes
            .of(Direction::FromClient)
            .add(now.read.saturating_sub(before.read));
        self.stream_bytes
            .of(Direction::ToClient)
            .add(now.written.saturating_sub(before.written));
        for (counter, old, new) in [
            (&self.hedges, before.hedges, now.hedges),
            (
                &self.needless_hedges,
                before.needless_hedges,
                now.needless_hedges,
            ),
            (&self.failovers, before.failovers, now.failovers),
            (&self.failbacks, before.failbacks, now.failbacks),
        ] {
            counter.add(u64::from(new.saturating_sub(old)));
        }
    }

    pub(crate) fn render(&self, levels: &Levels) -> String {
        use Kind::{Counter as C, Gauge as G};
        let mut page = TextPage::default();
        page.family(
            "twinpath_build_info",
            G,
            "Version of the gateway; always 1.",
        )
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        let uptime = self.started.elapsed().as_secs_f64();
        page.single(
            "twinpath_uptime_seconds",
            G,
            "Time since the gateway started.",
            format_args!("{uptime:.3}"),
        );
        let draining = u8::from(levels.phase != Phase::Serving);
        page.single(
            "twinpath_draining",
            G,
            "1 while no new sessions are taken.",
            draining,
        );

        page.single(
            "twinpath_sessions_open",
            G,
            "Sessions that live.",
            levels.sessions_open,
        );
        page.single(
            "twinpath_sessions_total",
            C,
            "Sessions that were accepted.",
            self.sessions.value(),
        );
        set(
            &mut page,
            "twinpath_sessions_ended_total",
            "Sessions that ended, by how.",
            "end",
            &self.session_ends,
        );
        set(
            &mut page,
            "twinpath_hellos_total",
            "First flights of sessions, by answer.",
            "result",
            &self.hellos,
        );
        set(
            &mut page,
            "twinpath_joins_total",
            "Legs that asked to join, by answer.",
            "result",
            &self.joins,
        );
        by_role(
            &mut page,
            "twinpath_legs_open",
            G,
            "Legs that are up.",
            levels.legs_open,
        );
        let legs = [self.legs[0].value(), self.legs[1].value()];
        by_role(
            &mut page,
            "twinpath_legs_total",
            C,
            "Legs that came up.",
            legs,
        );
        set(
            &mut page,
            "twinpath_legs_negotiated_total",
            "Connections that began as legs, by what the kernel made of them.",
            "transport",
            &self.legs_negotiated,
        );
        let mut bytes = page.family(
            "twinpath_leg_bytes_total",
            C,
            "Bytes on the legs of sessions, frames and all.",
        );
        for (role, set) in Role::ALL.into_iter().zip(&self.leg_bytes) {
            let role = role.to_string();
            for &direction in Direction::ALL {
                let labels = [("role", role.as_str()), ("direction", direction.as_str())];
                bytes.sample(&labels, set.of(direction).value());
            }
        }
        let help = "Bytes of the streams that sessions carry.";
        set(
            &mut page,
            "twinpath_stream_bytes_total",
            help,
            "direction",
            &self.stream_bytes,
        );
        let help = "Times a gateway suspected a path and sent copies over the other.";
        page.single("twinpath_hedges_total", C, help, self.hedges.value());
        let help = "Hedges after which the path answered.";
        page.single(
            "twinpath_needless_hedges_total",
            C,
            help,
            self.needless_hedges.value(),
        );
        page.single(
            "twinpath_failovers_total",
            C,
            "Times a backup became active.",
            self.failovers.value(),
        );
        page.single(
            "twinpath_failbacks_total",
            C,
            "Times a primary became active again.",
            self.failbacks.value(),
        );

        page.single(
            "twinpath_raw_open",
            G,
            "Raw connections that live.",
            levels.raw_open,
        );
        page.single(
            "twinpath_raw_total",
            C,
            "Raw connections that were accepted.",
            self.raw.value(),
        );
        set(
            &mut page,
            "twinpath_raw_negotiated_total",
            "Raw connections that were accepted, by what they were after their first bytes.",
            "transport",
            &self.raw_negotiated,
        );
        page.single(
            "twinpath_raw_fallbacks_total",
            C,
            "Raw connections that were MPTCP when they were accepted and plain TCP at their end.",
            self.raw_fallbacks.value(),
        );
        page.single(
            "twinpath_raw_multipath_total",
            C,
            "Raw MPTCP connections that had more than one subflow at their end.",
            self.raw_multipath.value(),
        );
        page.single(
            "twinpath_raw_subflows_ended_total",
            C,
            "Subflows of raw connections that were ended because their path was dead.",
            self.raw_subflows_ended.value(),
        );
        set(
            &mut page,
            "twinpath_raw_ended_total",
            "Raw connections that ended, by how.",
            "end",
            &self.raw_ends,
        );
        set(
            &mut page,
            "twinpath_raw_bytes_total",
            "Bytes of raw connections.",
            "direction",
            &self.raw_bytes,
        );

        let help = "Connections that ended before showing what they are.";
        set(
            &mut page,
            "twinpath_handshakes_failed_total",
            help,
            "reason",
            &self.handshake_ends,
        );
        let help = "Connections to the service that failed.";
        set(
            &mut page,
            "twinpath_upstream_failures_total",
            help,
            "reason",
            &self.upstream_failures,
        );
        set(
            &mut page,
            "twinpath_caps_hit_total",
            "Times a bound was reached.",
            "cap",
            &self.caps_hit,
        );
        let help = "Errors of the listening socket, as when file descriptors run out.";
        page.single(
            "twinpath_accept_errors_total",
            C,
            help,
            self.accept_errors.value(),
        );
        let help = "Bytes that wait in sessions to be read or acknowledged.";
        page.single("twinpath_buffered_bytes", G, help, levels.buffered);
        let help = "Buffered bytes past which sessions are refused.";
        page.single(
            "twinpath_buffered_limit_bytes",
            G,
            help,
            levels.buffers_limit,
        );
        page.into_text()
    }
}

fn set<L: Label>(
    page: &mut TextPage,
    name: &'static str,
    help: &str,
    label: &str,
    counters: &CounterSet<L>,
) {
    let mut family = page.family(name, Kind::Counter, help);
    for &value in L::ALL {
        family.sample(&[(label, value.as_str())], counters.of(value).value());
    }
}

fn by_role(
    page: &mut TextPage,
    name: &'static str,
    kind: Kind,
    help: &str,
    values: [impl Display; 2],
) {
    let mut family = page.family(name, kind, help);
    for (role, value) in Role::ALL.into_iter().zip(values) {
        family.sample(&[("role", &role.to_string())], value);
    }
}
