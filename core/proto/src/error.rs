//! What can end a session, and what can refuse one.

use std::time::Duration;

use crate::types::ResetCode;

/// Why a session ended; the same error is returned by every later call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer does not speak the session protocol, or did not answer in time.
    #[error(
        "the peer is not a twinpath gateway ({0}); check the address, or connect without a gateway"
    )]
    NotAGateway(&'static str),
    /// The gateway refused the session.
    #[error("the gateway refused the session: {0}")]
    Refused(Refusal),
    /// The gateway speaks other versions of the protocol.
    #[error("the gateway speaks protocol versions {min} to {max}, this end speaks {ours}; update the older one", ours = crate::VERSION)]
    VersionMismatch {
        /// Lowest version that the gateway speaks.
        min: u8,
        /// Highest version that the gateway speaks.
        max: u8,
    },
    /// The gateway did not prove that it holds the pinned key.
    #[error("the gateway does not hold the pinned key; check the pin, somebody may be in the way")]
    PinMismatch,
    /// The gateway no longer knows the session (it was restarted, or the time to live ran out).
    #[error(
        "the gateway no longer knows this session; {acknowledged} of {sent} bytes sent were acknowledged"
    )]
    SessionLost {
        /// Bytes that were accepted from the application.
        sent: u64,
        /// Bytes that the gateway acknowledged.
        acknowledged: u64,
    },
    /// The first leg died before the gateway answered, and it cannot be known what arrived.
    #[error(
        "the connection was interrupted before the gateway answered; whether the {sent} bytes sent were delivered is unknown"
    )]
    Interrupted {
        /// Bytes that left this end.
        sent: u64,
    },
    /// The session was reset by one of the ends.
    #[error("connection reset ({code}): {delivered} bytes had reached the peer's application, {received} ours", delivered = delivered.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string()))]
    Reset {
        /// Why.
        code: ResetCode,
        /// Bytes of this end that the peer had handed on, if it said so.
        delivered: Option<u64>,
        /// Bytes of the peer that the application at this end had read.
        received: u64,
    },
    /// No path carried anything for the whole time to live.
    #[error("no path answered for {}; {acknowledged} of {sent} bytes sent were acknowledged", seconds(*.after))]
    TimedOut {
        /// The time to live.
        after: Duration,
        /// Bytes that were accepted from the application.
        sent: u64,
        /// Bytes that the peer acknowledged.
        acknowledged: u64,
    },
    /// The peer broke the protocol.
    #[error("protocol violation by the peer: {0}")]
    Protocol(&'static str),
    /// The direction was closed by this end.
    #[error("this end has already closed the connection for writing")]
    Finished,
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// Why a gateway did not take a HELLO or a JOIN; on the wire in REFUSED.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It speaks other versions.
    #[error("unsupported version")]
    Version,
    /// It does not know the session.
    #[error("unknown session")]
    UnknownSession,
    /// The session has ended in good order.
    #[error("the session has ended")]
    Closed,
    /// The counter of the JOIN was used before.
    #[error("join counter used before")]
    Counter,
    /// A pin was asked for, but the gateway has no key; start it with `--key`.
    #[error("the gateway has no key, but one is pinned; start it with --key")]
    NoStaticKey,
    /// It is full.
    #[error("the gateway is full; try later")]
    Busy,
    /// It is being stopped.
    #[error("the gateway is going away")]
    GoingAway,
    /// A repeated HELLO that may not be attached.
    #[error("the repeated first flight cannot be attached")]
    Retry,
    /// A code that this version does not know.
    #[error("code {0}")]
    Other(u8),
}

impl Refusal {
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::UnknownSession => 2,
            Self::Closed => 3,
            Self::Counter => 4,
            Self::NoStaticKey => 5,
            Self::Busy => 6,
            Self::GoingAway => 7,
            Self::Retry => 8,
            Self::Other(code) => code,
        }
    }

    pub(crate) const fn from_wire(code: u8) -> Self {
        match code {
            1 => Self::Version,
            2 => Self::UnknownSession,
            3 => Self::Closed,
            4 => Self::Counter,
            5 => Self::NoStaticKey,
            6 => Self::Busy,
            7 => Self::GoingAway,
            8 => Self::Retry,
            other => Self::Other(other),
        }
    }
}

/// Bytes that are no frame of this protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct WireError(pub &'static str);
