//! What can go wrong, as it crosses the language.

use std::io;

#[cfg(feature = "http")]
use twinpath::http::Error as HttpError;
use twinpath::{BuildError, ConnectError, ErrorKind, Interrupted};

use crate::names::Role;

/// The coarse kind of an error: what a caller might act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Kind {
    /// The call itself was wrong.
    InvalidInput,
    /// A named interface does not exist, or none is usable.
    NoInterface,
    /// The name has no address, or could not be looked up.
    NameNotFound,
    /// Nobody listens at the target.
    Refused,
    /// No route leads to the target.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The system does not allow it.
    NotPermitted,
    /// The peer was said to be a gateway, and is none.
    NotAGateway,
    /// The gateway refused the session, or speaks another version.
    GatewayRefused,
    /// The gateway does not hold the pinned key.
    PinMismatch,
    /// The connection broke, and what had arrived is told as far as it is known.
    Interrupted,
    /// The connection was reset by one of its ends.
    Reset,
    /// The peer broke the protocol.
    Protocol,
    /// The connection is closed.
    Closed,
    /// This platform cannot do it.
    Unsupported,
    /// The call was given up by the caller.
    Cancelled,
    /// Anything else; the message says what.
    Other,
}

impl From<ErrorKind> for Kind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::InvalidInput,
            ErrorKind::NoInterface => Self::NoInterface,
            ErrorKind::NameNotFound => Self::NameNotFound,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::Unreachable => Self::Unreachable,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::NotPermitted => Self::NotPermitted,
            ErrorKind::NotAGateway => Self::NotAGateway,
            ErrorKind::GatewayRefused => Self::GatewayRefused,
            ErrorKind::PinMismatch => Self::PinMismatch,
            ErrorKind::Interrupted => Self::Interrupted,
            ErrorKind::Reset => Self::Reset,
            ErrorKind::Protocol => Self::Protocol,
            ErrorKind::Closed => Self::Closed,
            ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Other,
        }
    }
}

/// What is known when a connection to any server has lost its path.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Interruption {
    /// The path that was lost.
    pub role: Role,
    /// Bytes that were written since the connection was made.
    pub written: u64,
    /// Of these, bytes that the server's kernel is known to have.
    pub acknowledged: Option<u64>,
    /// Bytes that were read, or can be before this error is given.
    pub read: u64,
}

/// What every call may fail with.
#[derive(Debug, Clone, thiserror::Error, uniffi::Error)]
pub enum Failure {
    /// The only one.
    #[error("{reason}")]
    Failed {
        /// What a caller might act on.
        kind: Kind,
        /// What happened, and what to do about it.
        reason: String,
        /// The operating system's error number, where there is one.
        os_code: Option<i32>,
        /// With [`Kind::Interrupted`], towards servers that are no gateways.
        interruption: Option<Interruption>,
    },
}

impl Failure {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self::Failed {
            kind,
            reason: reason.into(),
            os_code: None,
            interruption: None,
        }
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Kind::Cancelled, "the call was given up")
    }

    pub(crate) fn closed() -> Self {
        Self::new(Kind::Closed, "the connection is closed")
    }

    /// Of a task of ours that has ended without a result.
    pub(crate) fn of_task(error: &tokio::task::JoinError) -> Self {
        Self::new(Kind::Other, format!("the library failed: {error}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let interruption = Interrupted::of(&error).map(|it| Interruption {
            role: it.role.into(),
            written: it.written,
            acknowledged: it.acknowledged,
            read: it.read,
        });
        Self::Failed {
            kind: ErrorKind::of_io(&error).into(),
            reason: error.to_string(),
            os_code: error.raw_os_error(),
            interruption,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Failed {
            kind: error.kind().into(),
            reason: error.to_string(),
            os_code: error.raw_os_error(),
            interruption: None,
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::new(error.kind().into(), error.to_string())
    }
}

#[cfg(feature = "http")]
impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::new(error.kind().into(), error.to_string())
    }
}
