//! Accepting sessions and raw connections alike, for servers written in Rust.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use twinpath::Connection;
use twinpath_socket::{ListenOptions, listen};

use crate::accept;
use crate::config::ListenerConfig;
use crate::door::Arrival;
use crate::drain::{ExitReport, Phase, ShutdownHandle};
use crate::error::BuildError;
use crate::gate::{Gate, PeerInfo};
use crate::ledger::Pressure;
use crate::metrics::Source;
use crate::raw::RawStream;

/// Connections that wait to be accepted by the server.
const BACKLOG: usize = 64;
/// Time for the resets of a stopped gateway to leave.
const CUT_OFF: Duration = Duration::from_secs(1);
/// How often the sessions are looked after, at rest and while memory is short.
const SWEEP: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(100)];

/// Listens on one port for sessions and for everything else.
///
/// ```no_run
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use twinpath_gateway::{Listener, ListenerConfig};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let mut listener = Listener::bind("[::]:7000".parse()?, ListenerConfig::default())?;
/// loop {
///     let (mut connection, peer) = listener.accept().await?;
///     tokio::spawn(async move {
///         let mut buffer = [0; 1024];
///         while let Ok(n @ 1..) = connection.read(&mut buffer).await {
///             if connection.write_all(&buffer[..n]).await.is_err() {
///                 break;
///             }
///         }
///         println!("{} has left", peer.remote);
///     });
/// }
/// # }
/// ```
///
/// Dropping the listener ends the acceptance of joins as well: sessions that were accepted live on over the legs they
/// have. To end in order, use the [`shutdown_handle`](Self::shutdown_handle).
#[derive(Debug)]
pub struct Listener {
    reception: Reception,
}

impl Listener {
    /// Listens on `address`; port 0 takes a free one. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`BuildError::Listen`] when the system refuses the address, [`BuildError::Setting`] when `config` is not sound.
    pub fn bind(address: SocketAddr, config: ListenerConfig) -> Result<Self, BuildError> {
        Ok(Self {
            reception: Reception::open(address, config)?,
        })
    }

    /// The address that is listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.reception.local_addr
    }

    /// Waits for the next connection. Joins to sessions are dealt with inside and never show here.
    ///
    /// # Errors
    ///
    /// Only when the listener has been stopped and everything accepted before has been handed out; errors of single
    /// connections, and of the machine, are counted, waited out and not returned.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost.
    pub async fn accept(&mut self) -> io::Result<(Accepted, PeerInfo)> {
        match self.reception.next().await {
            Some(Arrival::Session(connection, _, peer)) => {
                Ok((Accepted::Session(connection), peer))
            }
            Some(Arrival::Raw(stream, peer)) => Ok((Accepted::Raw(stream), peer)),
            None => Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "the listener has been stopped",
            )),
        }
    }

    /// Ends this listener, gently or at once.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.reception.gate.shutdown.clone()
    }

    /// Waits until a drain or stop that was asked for has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn ended(&self) -> ExitReport {
        self.reception.ended().await
    }

    /// The counters, in the Prometheus text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.reception.gate.metrics()
    }
}

/// A connection that a [`Listener`] accepted: read and write it like a socket, whichever it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Accepted {
    /// A session, which outlives its legs.
    Session(Connection),
    /// A plain connection of a client that knows nothing of sessions.
    Raw(RawStream),
}

impl Accepted {
    /// Whether the connection survives the loss of the client's network.
    #[must_use]
    pub const fn is_protected(&self) -> bool {
        matches!(self, Self::Session(_))
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Session(connection) => Pin::new(connection).poll_read(cx, buf),
            Self::Raw(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Session(connection) => Pin::new(connection).poll_write(cx, data),
            Self::Raw(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Session(connection) => Pin::new(connection).poll_flush(cx),
            Self::Raw(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Session(connection) => Pin::new(connection).poll_shutdown(cx),
            Self::Raw(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Session(connection) => Pin::new(connection).poll_write_vectored(cx, bufs),
            Self::Raw(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Session(connection) => connection.is_write_vectored(),
            Self::Raw(stream) => stream.is_write_vectored(),
        }
    }
}

/// The acceptance that listener and forwarder share: the tasks in the background and what comes out of them.
pub(crate) struct Reception {
    pub(crate) gate: Arc<Gate>,
    pub(crate) local_addr: SocketAddr,
    arrivals: mpsc::Receiver<Arrival>,
    report: watch::Receiver<Option<ExitReport>>,
    // Aborted when the reception is dropped.
    _tasks: JoinSet<()>,
}

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reception")
            .field("local_addr", &self.local_addr)
            .finish_non_exhaustive()
    }
}

impl Reception {
    pub(crate) fn open(address: SocketAddr, config: ListenerConfig) -> Result<Self, BuildError> {
        config.check()?;
        let failed = |source| BuildError::Listen { address, source };
        let mut options = ListenOptions::default();
        options.mptcp = true;
        let listener = listen(address, &options).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let gate = Arc::new(Gate::new(config));
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        let (told, report) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept::run(listener, Arc::clone(&gate), sender));
        tasks.spawn(sweep(Arc::clone(&gate)));
        tasks.spawn({
            let gate = Arc::clone(&gate);
            async move {
                let _ = told.send(Some(end(&gate).await));
            }
        });
        Ok(Self {
            gate,
            local_addr,
            arrivals,
            report,
            _tasks: tasks,
        })
    }

    /// The next connection; none once the gate is stopped.
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    pub(crate) async fn ended(&self) -> ExitReport {
        let mut report = self.report.clone();
        let ended = report
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|report| *report);
        // The sender lives as long as the tasks, which live as long as `self`.
        ended.unwrap_or_default()
    }
}

async fn sweep(gate: Arc<Gate>) {
    loop {
        let short = gate.ledger.pressure() != Pressure::Low;
        tokio::time::sleep(SWEEP[usize::from(short)]).await;
        gate.sweep().await;
    }
}

/// Waits to be drained or stopped, and sees to it.
async fn end(gate: &Gate) -> ExitReport {
    gate.shutdown.reached(Phase::Draining).await;
    let began = Instant::now();
    let wait = gate.config.drain_timeout;
    log::info!(
        "draining: {} sessions and {} raw connections have {} s to end",
        gate.census.sessions(),
        gate.census.raw(),
        wait.as_secs()
    );
    gate.go_away(wait);
    tokio::select! {
        biased;
        () = gate.shutdown.reached(Phase::Stopped) => {}
        _ = timeout(wait, gate.census.empty()) => {}
    }
    let (sessions, raw) = (gate.census.sessions(), gate.census.raw());
    gate.shutdown.stop();
    gate.cut_off();
    let _ = timeout(CUT_OFF, gate.census.empty()).await;
    log::info!("stopped: {sessions} sessions and {raw} raw connections were cut off");
    ExitReport {
        clean: sessions == 0 && raw == 0,
        sessions_cut: sessions as u64,
        raw_cut: raw as u64,
        drained_for: began.elapsed(),
    }
}
