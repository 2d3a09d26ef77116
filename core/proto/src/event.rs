//! What a session tells, and what it asks for.

use std::fmt;
use std::time::Duration;

use crate::error::SessionError;
use crate::types::{JoinAddress, LegId, Role};

/// Something that the application or an operator may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// WELCOME was verified (client), or sent (gateway).
    Established,
    /// A leg carries frames.
    LegUp {
        /// Its path.
        role: Role,
    },
    /// A leg is gone.
    LegDown {
        /// Its path.
        role: Role,
        /// Why.
        reason: LegDownReason,
    },
    /// `from` is suspected; what is unacknowledged goes on `to` as well.
    Hedge {
        /// The suspected path.
        from: Role,
        /// The path that carries the copies, or is dialled for them.
        to: Role,
    },
    /// A suspected path answered after all, or something moved again after a failover.
    Recovered {
        /// The path that carries the bytes.
        role: Role,
        /// The longest time without progress in it.
        stall: Duration,
    },
    /// The backup became active.
    Failover {
        /// The path that was left.
        from: Role,
        /// The path that carries the bytes.
        to: Role,
        /// Why.
        reason: FailoverReason,
        /// Time without progress so far.
        stall: Duration,
    },
    /// The primary became active again.
    Failback {
        /// The path that was left.
        from: Role,
        /// The path that carries the bytes.
        to: Role,
    },
    /// What the connection can claim has changed.
    Protection(Protection),
    /// The budget is spent; the backup is closed.
    BudgetExhausted,
    /// The gateway will end within that time.
    GoingAway {
        /// From the moment of the event.
        within: Duration,
    },
    /// The session has ended.
    Closed(Result<(), SessionError>),
}

/// Why a leg is gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum LegDownReason {
    /// Its peer closed it.
    Ended,
    /// It was reset.
    Reset,
    /// Its path is gone, says the operating system.
    PathGone,
    /// It did not answer in time.
    Silent,
    /// Another leg took its place.
    Replaced,
    /// It is not needed.
    NotNeeded,
    /// It was refused, or failed its proof.
    Refused,
    /// The budget is spent.
    Budget,
    /// The session ended.
    SessionEnded,
}

/// Why the backup became active.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum FailoverReason {
    /// The primary did not answer in time.
    Silent,
    /// The primary's interface or address is gone.
    PathGone,
    /// The primary's leg was reset and did not come back.
    LegLost,
    /// The primary has become slow (interactive service).
    Slow,
    /// The other end said so.
    Peer,
}

macro_rules! display_words {
    ($type:ty { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

display_words!(LegDownReason {
    Ended => "closed by the peer",
    Reset => "reset",
    PathGone => "path gone",
    Silent => "silent",
    Replaced => "replaced",
    NotNeeded => "not needed",
    Refused => "refused",
    Budget => "budget exhausted",
    SessionEnded => "session ended",
});

display_words!(FailoverReason {
    Silent => "silent",
    PathGone => "path gone",
    LegLost => "leg lost",
    Slow => "slow",
    Peer => "peer switched",
});

/// What a connection can claim.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protection {
    /// Losing the active path is survived.
    Protected,
    /// Losing the active path is not survived.
    Unprotected {
        /// Why.
        reason: UnprotectedReason,
    },
}

/// Why a connection is not protected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum UnprotectedReason {
    /// The gateway has not answered yet.
    Connecting,
    /// There is no usable second path.
    NoSecondPath,
    /// The backup could not be reached when it was last tried.
    BackupUnreachable,
    /// The primary is down; the backup carries the bytes alone.
    PrimaryDown,
    /// The budget for the backup is spent.
    BudgetExhausted,
    /// The session has ended.
    Ended,
}

display_words!(UnprotectedReason {
    Connecting => "the gateway has not answered yet",
    NoSecondPath => "there is no usable second path",
    BackupUnreachable => "the backup could not be reached when last tried",
    PrimaryDown => "the primary is down and the backup carries the bytes alone",
    BudgetExhausted => "the budget for the backup is spent",
    Ended => "the session has ended",
});

/// What the driver must do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Dial that path, then call `leg_opened` or `dial_failed`. One at a time per role.
    Dial {
        /// The path.
        role: Role,
        /// Where to.
        target: DialTarget,
    },
    /// Give up the dial that is under way.
    CancelDial {
        /// The path.
        role: Role,
    },
    /// Close a leg, of which nothing more is to be told.
    Close {
        /// The leg.
        leg: LegId,
        /// True: at once, with a reset. False: write out what was pulled and what `poll_transmit`
        /// still gives, close for writing, read to the end for at most 2 s.
        abort: bool,
    },
}

/// Where a leg is dialled to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DialTarget {
    /// The address of the first leg.
    Original,
    /// The addresses that the gateway announced, in its order.
    Announced(Vec<JoinAddress>),
}

/// How a leg ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LegEnd {
    /// The peer closed it for writing.
    Eof,
    /// The peer, or something in between, reset it.
    Reset,
    /// It timed out, or failed in another way.
    Error,
    /// Its interface, address or route is gone.
    PathGone,
}

/// Why a dial failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DialError {
    /// Nobody listens there.
    Refused,
    /// No answer.
    TimedOut,
    /// No route, or no such name on this path.
    Unreachable,
    /// There is no interface for that role.
    NoPath,
    /// The system does not let this path be used.
    NotPermitted,
}

/// What the operating system says of a path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PathChange {
    /// Its interface or address is gone.
    Gone,
    /// It is there again.
    Back,
    /// It is there, but its address or network is another.
    Changed,
}

/// What a read gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadOutcome {
    /// That many bytes.
    Data(usize),
    /// Nothing yet.
    Blocked,
    /// The end of the stream.
    End,
}

/// What a read without a copy gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChunkOutcome {
    /// Bytes, never empty.
    Data(bytes::Bytes),
    /// Nothing yet.
    Blocked,
    /// The end of the stream.
    End,
}
