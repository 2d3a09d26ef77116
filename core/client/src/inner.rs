//! What can be asked of a connection whatever it runs over.

use std::io;
use std::sync::Arc;
use std::task::Poll;

use twinpath_proto::{Session, SessionError};

use crate::connection::Inner;
use crate::error::session_to_io;
use crate::monitor::Monitor;

impl Inner {
    pub(crate) fn monitor(&self) -> Monitor {
        match self {
            Self::Session { shared, .. } => Monitor::of_session(Arc::clone(shared)),
            Self::Plain(shared) => Monitor::of_plain(Arc::clone(shared)),
        }
    }

    pub(crate) fn unacknowledged(&self) -> u64 {
        match self {
            Self::Session { shared, .. } => shared.lock().session.unacked_bytes(),
            Self::Plain(_) => 0,
        }
    }

    pub(crate) async fn established(&self) -> io::Result<()> {
        self.session_is(Session::is_established).await
    }

    pub(crate) async fn acknowledged(&self) -> io::Result<()> {
        self.session_is(|session| session.unacked_bytes() == 0)
            .await
    }

    /// Waits until the session is so, or has ended.
    async fn session_is(&self, is_so: impl Fn(&Session) -> bool) -> io::Result<()> {
        let Self::Session { shared, .. } = self else {
            return Ok(());
        };
        std::future::poll_fn(|cx| {
            shared.poll_watch(cx, |state| {
                if is_so(&state.session) {
                    Some(Ok(()))
                } else if state.session.is_closed() || state.is_finished() {
                    Some(Err(end_of(&state.session)))
                } else {
                    None
                }
            })
        })
        .await
        .map_err(session_to_io)
    }

    /// Ready when nothing of this end is left to be acknowledged, or when the peer has to be read first.
    pub(crate) fn poll_shutdown(&self, cx: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        let Self::Session { shared, .. } = self else {
            return Poll::Ready(Ok(()));
        };
        shared
            .poll_watch(cx, |state| {
                if state.session.is_drained() || state.session.is_readable() {
                    Some(Ok(()))
                } else if state.session.is_closed() || state.is_finished() {
                    Some(Err(end_of(&state.session)))
                } else {
                    None
                }
            })
            .map_err(session_to_io)
    }
}

/// What a session that has ended, or has lost its driver, ended with.
fn end_of(session: &Session) -> SessionError {
    match session.result() {
        Some(Err(error)) => error,
        Some(Ok(())) | None => SessionError::Finished,
    }
}
