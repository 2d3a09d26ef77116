//! What can go wrong, typed, and one coarse kind for all of it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use twinpath_proto::{Role, SessionError};
use twinpath_socket::InterfaceError;

use crate::pair::Interrupted;

/// The coarse kind of an error: what a caller might act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call itself was wrong: an address that cannot be parsed, options that contradict each other.
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
    /// Anything else; the message says what.
    Other,
}

impl ErrorKind {
    /// The kind of an error of a session.
    #[must_use]
    pub const fn of_session(error: &SessionError) -> Self {
        match error {
            SessionError::NotAGateway(_) => Self::NotAGateway,
            SessionError::Refused(_) | SessionError::VersionMismatch { .. } => Self::GatewayRefused,
            SessionError::PinMismatch => Self::PinMismatch,
            SessionError::SessionLost { .. } | SessionError::Interrupted { .. } => {
                Self::Interrupted
            }
            SessionError::Reset { .. } => Self::Reset,
            SessionError::TimedOut { .. } => Self::TimedOut,
            SessionError::Protocol(_) => Self::Protocol,
            SessionError::Finished => Self::Closed,
            _ => Self::Other,
        }
    }

    /// The kind of an error that a read or a write gave, or a connect by the operating system.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        if let Some(inner) = error.get_ref() {
            if let Some(session) = inner.downcast_ref::<SessionError>() {
                return Self::of_session(session);
            }
            if inner.is::<Interrupted>() {
                return Self::Interrupted;
            }
            if inner.is::<InterfaceError>() {
                return Self::NoInterface;
            }
        }
        match error.kind() {
            io::ErrorKind::InvalidInput => Self::InvalidInput,
            io::ErrorKind::NotFound => Self::NameNotFound,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::PermissionDenied => Self::NotPermitted,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => Self::Closed,
            io::ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Other,
        }
    }

    /// A name that stays the same across versions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NoInterface => "no_interface",
            Self::NameNotFound => "name_not_found",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::NotPermitted => "not_permitted",
            Self::NotAGateway => "not_a_gateway",
            Self::GatewayRefused => "gateway_refused",
            Self::PinMismatch => "pin_mismatch",
            Self::Interrupted => "interrupted",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Closed => "closed",
            Self::Unsupported => "unsupported",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of a session as reads and writes give it; the typed error stays inside, for `io::Error::get_ref`.
pub(crate) fn session_to_io(error: SessionError) -> io::Error {
    let kind = match ErrorKind::of_session(&error) {
        ErrorKind::NotAGateway | ErrorKind::Protocol => io::ErrorKind::InvalidData,
        ErrorKind::GatewayRefused => io::ErrorKind::ConnectionRefused,
        ErrorKind::PinMismatch => io::ErrorKind::PermissionDenied,
        ErrorKind::Interrupted => io::ErrorKind::ConnectionAborted,
        ErrorKind::Reset => io::ErrorKind::ConnectionReset,
        ErrorKind::TimedOut => io::ErrorKind::TimedOut,
        ErrorKind::Closed => io::ErrorKind::BrokenPipe,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Why a connector could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The same interface was named for both paths.
    #[error(
        "{0} is named as primary and as backup; name two different interfaces, or leave one out"
    )]
    SameInterface(String),
    /// A pin is given for servers that are no gateways.
    #[error("a pin needs a gateway: set `peer(Peer::Gateway)`, or leave the pin out")]
    PinWithoutGateway,
    /// The mode that was asked for does not exist towards that peer.
    #[error("the mode {mode} cannot be used towards {peer}")]
    ModeNotPossible {
        /// The mode.
        mode: crate::Mode,
        /// What the peer is.
        peer: &'static str,
    },
}

impl BuildError {
    /// The coarse kind.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::ModeNotPossible { .. } => ErrorKind::Unsupported,
            Self::SameInterface(_) | Self::PinWithoutGateway => ErrorKind::InvalidInput,
        }
    }
}

/// One attempt of a connect that failed.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The path it was made on.
    pub role: Role,
    /// The interface it would have left by.
    pub interface: Arc<str>,
    /// What the system said.
    pub error: Arc<io::Error>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "over {}: {}", self.interface, self.error)
    }
}

/// Why a connect failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The target is not `host:port`.
    #[error(
        "cannot connect to {0:?}: write it as host:port, as in example.com:443 or [2001:db8::1]:443"
    )]
    InvalidTarget(String),
    /// The defaults could not be built into a connector.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The interfaces could not be listed, or a named one does not exist.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// Every path was tried, and none led there.
    #[error("cannot reach {target}: {}; {advice}", list(attempts))]
    Failed {
        /// The target.
        target: String,
        /// What was tried, in the order in which it failed.
        attempts: Vec<Attempt>,
        /// What to do about it.
        advice: &'static str,
    },
    /// No path answered within the limit.
    #[error("no answer from {target} within {} s{}; check the address, and the firewalls in between", after.as_secs_f32(), and(attempts))]
    TimedOut {
        /// The target.
        target: String,
        /// The limit.
        after: Duration,
        /// What had failed by then.
        attempts: Vec<Attempt>,
    },
    /// The mode that was asked for is not there.
    #[error("{what} is not supported here")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// MPTCP was asked for, and this machine cannot do it.
    #[error("no MPTCP here: {0}; see `twinpath mptcp status`, or leave the mode to the connector")]
    NoMptcp(Arc<str>),
    /// There was no randomness for keys.
    #[error("the system has no random numbers: {0}")]
    Random(String),
}

impl ConnectError {
    /// The coarse kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidTarget(_) => ErrorKind::InvalidInput,
            Self::Build(error) => error.kind(),
            Self::Interface(_) => ErrorKind::NoInterface,
            // The last failure is the one of the attempt that held out longest.
            Self::Failed { attempts, .. } => attempts
                .last()
                .map_or(ErrorKind::Other, |attempt| ErrorKind::of_io(&attempt.error)),
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::NoMptcp(_) => ErrorKind::Unsupported,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Random(_) => ErrorKind::Other,
        }
    }

    /// The operating system's error number, where there is one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Failed { attempts, .. } => attempts
                .last()
                .and_then(|attempt| attempt.error.raw_os_error()),
            Self::Interface(error) => error.raw_os_error(),
            _ => None,
        }
    }
}

impl From<ConnectError> for io::Error {
    /// Keeps the typed error inside, for `io::Error::get_ref`.
    fn from(error: ConnectError) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::NoInterface | ErrorKind::NameNotFound => io::ErrorKind::NotFound,
            ErrorKind::Refused => io::ErrorKind::ConnectionRefused,
            ErrorKind::Unreachable => io::ErrorKind::NetworkUnreachable,
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::NotPermitted => io::ErrorKind::PermissionDenied,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

fn list(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "nothing could be tried".to_owned();
    }
    attempts
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn and(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        String::new()
    } else {
        format!(" ({})", list(attempts))
    }
}
