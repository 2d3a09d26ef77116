//! What is known when a connection to any server has lost its path.

use std::fmt;
use std::io;

use twinpath_proto::{FailoverReason, LegDownReason, Role};

/// A connection to a server that is no gateway has lost its path, and could not be mended.
///
/// Reads and writes give it inside of an [`io::Error`] of the kind [`ConnectionAborted`](io::ErrorKind::ConnectionAborted);
/// [`Interrupted::of`] finds it there. A fresh leg to go on with is had from
/// [`Connection::fresh_leg`](crate::Connection::fresh_leg).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interrupted {
    /// The path that was lost.
    pub role: Role,
    /// Bytes that were written since the connection was made.
    pub written: u64,
    /// Of these, bytes that the server's kernel is known to have. The rest may have arrived as well. `None` where the
    /// system does not tell.
    pub acknowledged: Option<u64>,
    /// Bytes that were read, or can be before this error is given.
    pub read: u64,
    /// What happened to the path.
    pub cause: InterruptedCause,
}

/// Why a connection to any server lost its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InterruptedCause {
    /// The server does not answer on it, while it answers on the other path.
    Silent,
    /// The interface, or its address, is gone.
    PathGone,
    /// What was sent was not answered, though the path lives: something on the way has forgotten the connection.
    TimedOut,
    /// Something has reset it.
    Reset,
    /// Nothing more may be spent on it.
    BudgetExhausted,
}

impl fmt::Display for InterruptedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "the server does not answer there, but on the other path",
            Self::PathGone => "its interface or address is gone",
            Self::TimedOut => "what was sent is not answered, though the path lives",
            Self::Reset => "it was reset",
            Self::BudgetExhausted => "the budget is spent",
        })
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            role,
            written,
            read,
            cause,
            ..
        } = self;
        write!(
            f,
            "the connection has lost the {role} path ({cause}) after {written} bytes written"
        )?;
        if let Some(acknowledged) = self.acknowledged {
            write!(f, ", {acknowledged} of them acknowledged,")?;
        }
        write!(
            f,
            " and {read} bytes read; go on over a fresh leg where that is safe"
        )
    }
}

impl std::error::Error for Interrupted {}

impl Interrupted {
    /// The one inside of an error that a read or a write gave, or inside of what wraps that.
    #[must_use]
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            // An I/O error gives the source of what it holds, not what it holds.
            next = match error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

impl From<Interrupted> for io::Error {
    fn from(error: Interrupted) -> Self {
        Self::new(io::ErrorKind::ConnectionAborted, error)
    }
}

impl From<InterruptedCause> for LegDownReason {
    fn from(cause: InterruptedCause) -> Self {
        match cause {
            InterruptedCause::Silent | InterruptedCause::TimedOut => Self::Silent,
            InterruptedCause::PathGone => Self::PathGone,
            InterruptedCause::Reset => Self::Reset,
            InterruptedCause::BudgetExhausted => Self::Budget,
        }
    }
}

impl From<InterruptedCause> for FailoverReason {
    fn from(cause: InterruptedCause) -> Self {
        match cause {
            InterruptedCause::Silent => Self::Silent,
            InterruptedCause::PathGone => Self::PathGone,
            _ => Self::LegLost,
        }
    }
}
