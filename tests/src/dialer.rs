//! A dialer that tells the test of every leg and remembers what the client said first on it.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use twinpath::driver::{BoxFuture, ByteStream, LegStream};
use twinpath::{Dialer, Path, Role, SocketDialer, Target};

/// Of what a client says on a leg, so much is remembered.
const REMEMBERED: usize = 4096;

type Hook = Box<dyn Fn(Role, usize) + Send + Sync>;

/// Dials over sockets, and taps them.
pub struct Tap {
    hook: Hook,
    flights: Mutex<Vec<(Role, Flight)>>,
}

/// The first bytes of the client on a leg.
#[derive(Debug, Clone, Default)]
struct Flight(Arc<Mutex<Vec<u8>>>);

impl Tap {
    /// Calls `hook` after each handshake, before the leg is used: with the path, and how many legs it had before.
    #[must_use]
    pub fn new(hook: impl Fn(Role, usize) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            hook: Box::new(hook),
            flights: Mutex::default(),
        })
    }

    /// What the client has said first on its legs over that path.
    #[must_use]
    pub fn flights(&self, role: Role) -> Vec<Vec<u8>> {
        let flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let of_role = flights.iter().filter(|(of, _)| *of == role);
        of_role.map(|(_, flight)| flight.get()).collect()
    }

    fn dialled(&self, role: Role, stream: LegStream) -> LegStream {
        let flight = Flight::default();
        let before = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.push((role, flight.clone()));
            flights.iter().filter(|(of, _)| *of == role).count() - 1
        };
        (self.hook)(role, before);
        LegStream::other(Tapped {
            stream: Some(stream),
            flight,
        })
    }
}

impl Flight {
    fn get(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, bytes: &[u8]) {
        let mut flight = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REMEMBERED.saturating_sub(flight.len());
        flight.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

/// What a connector is given; it shares the tap with the test.
#[derive(Debug)]
pub struct Tapping(pub Arc<Tap>);

impl Dialer for Tapping {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let (tap, role) = (Arc::clone(&self.0), path.role());
        let dialling = SocketDialer::new().dial(path, target);
        Box::pin(async move { Ok(tap.dialled(role, dialling.await?)) })
    }
}

struct Tapped {
    // Taken only to be aborted.
    stream: Option<LegStream>,
    flight: Flight,
}

impl Tapped {
    fn stream(&mut self) -> Pin<&mut LegStream> {
        Pin::new(self.stream.as_mut().unwrap())
    }
}

impl ByteStream for Tapped {
    fn abort(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.abort();
        }
    }

    fn rtt(&self) -> Option<Duration> {
        self.stream.as_ref()?.rtt()
    }
}

impl AsyncRead for Tapped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = this.stream().poll_write(cx, data);
        if let Poll::Ready(Ok(size)) = &written {
            this.flight.add(&data[..*size]);
        }
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One piece is enough, and the simplest to remember.
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[][..], |buf| buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_shutdown(cx)
    }
}
