//! Where a driver gets new legs from.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use twinpath_proto::{DialError, DialTarget, Role};

use super::stream::LegStream;
use crate::mode::PathInfo;

/// A future on the heap, as object-safe traits need it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Opens legs for one session. Dropping the future cancels the dial.
pub trait LegDialer: fmt::Debug + Send + Sync {
    /// Opens a leg on the path of that role.
    fn dial(&self, role: Role, target: DialTarget) -> BoxFuture<Result<DialedLeg, DialFailure>>;
}

/// A leg whose TCP handshake is done.
#[derive(Debug)]
pub struct DialedLeg {
    /// The stream.
    pub stream: LegStream,
    /// The round-trip time of its handshake, where it is known.
    pub rtt: Option<Duration>,
    /// The interface it leaves by.
    pub interface: Option<Arc<PathInfo>>,
}

impl DialedLeg {
    /// A leg over `stream`, with the round-trip time that the stream knows.
    #[must_use]
    pub fn new(stream: LegStream, interface: Option<Arc<PathInfo>>) -> Self {
        let rtt = stream.rtt();
        Self {
            stream,
            rtt,
            interface,
        }
    }
}

/// Why a leg could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct DialFailure {
    /// What the session is told.
    pub kind: DialError,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl From<io::Error> for DialFailure {
    fn from(source: io::Error) -> Self {
        Self {
            kind: dial_error(&source),
            source,
        }
    }
}

/// What an error of a connect says about the path.
fn dial_error(error: &io::Error) -> DialError {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => DialError::Refused,
        ErrorKind::TimedOut => DialError::TimedOut,
        ErrorKind::PermissionDenied => DialError::NotPermitted,
        // An interface that is not there, by name or by index.
        ErrorKind::NotFound
            if error
                .get_ref()
                .is_some_and(|it| it.is::<twinpath_socket::InterfaceError>()) =>
        {
            DialError::NoPath
        }
        _ => DialError::Unreachable,
    }
}

/// A dial in flight, then its result.
pub(super) enum Pending {
    Running(BoxFuture<Result<DialedLeg, DialFailure>>),
    Finished(Option<Result<DialedLeg, DialFailure>>),
}

impl Pending {
    pub(super) fn new(future: BoxFuture<Result<DialedLeg, DialFailure>>) -> Self {
        Self::Running(future)
    }

    /// True when there is a result to take.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Running(future) = self {
            match future.as_mut().poll(cx) {
                Poll::Ready(result) => *self = Self::Finished(Some(result)),
                Poll::Pending => return false,
            }
        }
        true
    }

    pub(super) fn take_result(&mut self) -> Option<Result<DialedLeg, DialFailure>> {
        match self {
            Self::Finished(result) => result.take(),
            Self::Running(_) => None,
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running(_) => "Pending::Running",
            Self::Finished(_) => "Pending::Finished",
        })
    }
}
