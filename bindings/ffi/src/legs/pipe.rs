//! What both sides know of one leg.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::LegFacts;
use crate::error::{Failure, Kind};

/// What the platform has not taken yet. It is sent again over another path if this one dies, so that much of it would only
/// keep the platform busy.
pub(super) const UNSENT: usize = 128 * 1024;
/// What is asked for at once.
pub(super) const PIECE: usize = 64 * 1024;
/// What waits to be read: the rest of a piece, and the next one.
const UNREAD: usize = 2 * PIECE;

/// By which the platform tells what becomes of one leg: from any thread, inside of the calls that ask for it as well. What
/// is told after the leg was closed is ignored.
#[derive(Debug, Default, uniffi::Object)]
pub struct LegPipe {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) facts: Option<LegFacts>,
    pub(super) unread: BytesMut,
    /// The platform is to receive, and has not yet answered.
    pub(super) is_asked: bool,
    pub(super) is_ended: bool,
    pub(super) unsent: usize,
    failure: Option<(Kind, String, Option<i32>)>,
    pub(super) is_closed: bool,
    dialing: Option<Waker>,
    reading: Option<Waker>,
    writing: Option<Waker>,
}

#[uniffi::export]
impl LegPipe {
    /// The leg is open.
    pub fn connected(&self, facts: LegFacts) -> Result<(), Failure> {
        let mut state = self.lock();
        state.facts.get_or_insert(facts);
        wake(&mut state.dialing);
        Ok(())
    }

    /// The platform has taken so many more bytes.
    pub fn sent(&self, bytes: u32) -> Result<(), Failure> {
        let mut state = self.lock();
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        state.unsent = state.unsent.saturating_sub(bytes);
        wake(&mut state.writing);
        Ok(())
    }

    /// The next bytes have come: one at least.
    pub fn received(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut state = self.lock();
        if state.is_closed || state.is_ended {
            return Ok(());
        }
        if bytes.is_empty() {
            // It would be asked again at once, and again.
            let none = "a leg of the platform gave no bytes; an end is told as one";
            state.fail(Kind::Protocol, none.to_owned(), None);
            return Err(Failure::new(Kind::InvalidInput, none));
        }
        state.is_asked = false;
        if state.unread.len() + bytes.len() > UNREAD {
            let more = format!(
                "a leg of the platform gave {} bytes, and was asked for less",
                bytes.len()
            );
            state.fail(Kind::Protocol, more.clone(), None);
            return Err(Failure::new(Kind::InvalidInput, more));
        }
        state.unread.extend_from_slice(bytes);
        wake(&mut state.reading);
        Ok(())
    }

    /// The peer has ended its direction.
    pub fn received_end(&self) -> Result<(), Failure> {
        let mut state = self.lock();
        state.is_ended = true;
        wake(&mut state.reading);
        Ok(())
    }

    /// The leg could not be opened, or is lost. A number of the operating system's says more than a kind.
    pub fn failed(&self, kind: Kind, reason: String, os_code: Option<i32>) -> Result<(), Failure> {
        self.lock().fail(kind, reason, os_code);
        Ok(())
    }
}

impl LegPipe {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poll_connected(&self, cx: &Context<'_>) -> Poll<io::Result<LegFacts>> {
        let mut state = self.lock();
        if let Some(error) = state.error() {
            return Poll::Ready(Err(error));
        }
        match &state.facts {
            Some(facts) => Poll::Ready(Ok(facts.clone())),
            None => wait(&mut state.dialing, cx),
        }
    }
}

impl State {
    fn fail(&mut self, kind: Kind, reason: String, os_code: Option<i32>) {
        self.failure.get_or_insert((kind, reason, os_code));
        wake(&mut self.dialing);
        wake(&mut self.reading);
        wake(&mut self.writing);
    }

    /// What the platform said went wrong.
    pub(super) fn error(&self) -> Option<io::Error> {
        let (kind, reason, os_code) = self.failure.as_ref()?;
        Some(match os_code {
            Some(code) => io::Error::from_raw_os_error(*code),
            None => io::Error::new(io_kind(*kind), reason.clone()),
        })
    }

    pub(super) fn wait_to_read<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        wait(&mut self.reading, cx)
    }

    pub(super) fn wait_to_write<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        wait(&mut self.writing, cx)
    }
}

fn wait<T>(place: &mut Option<Waker>, cx: &Context<'_>) -> Poll<T> {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
    Poll::Pending
}

fn wake(place: &mut Option<Waker>) {
    if let Some(waker) = place.take() {
        waker.wake();
    }
}

/// What sockets say where the platform has said that.
pub(super) fn io_kind(kind: Kind) -> io::ErrorKind {
    match kind {
        Kind::InvalidInput => io::ErrorKind::InvalidInput,
        Kind::NameNotFound => io::ErrorKind::NotFound,
        Kind::Refused => io::ErrorKind::ConnectionRefused,
        Kind::NoInterface | Kind::Unreachable => io::ErrorKind::NetworkUnreachable,
        Kind::TimedOut => io::ErrorKind::TimedOut,
        Kind::NotPermitted => io::ErrorKind::PermissionDenied,
        Kind::Interrupted => io::ErrorKind::ConnectionAborted,
        Kind::Reset => io::ErrorKind::ConnectionReset,
        Kind::Closed => io::ErrorKind::NotConnected,
        Kind::Unsupported => io::ErrorKind::Unsupported,
        Kind::Protocol | Kind::NotAGateway | Kind::GatewayRefused | Kind::PinMismatch => {
            io::ErrorKind::InvalidData
        }
        Kind::Cancelled | Kind::Other => io::ErrorKind::Other,
    }
}
