//! The forwarding gateway: sessions and raw connections on one port, an unchanged TCP service behind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use twinpath::mptcp::Relief;
use twinpath_proto::{JoinAddress, StaticKey};
use twinpath_socket::{ListenOptions, listen};

use crate::carry::carry;
use crate::config::{Limits, ListenerConfig};
use crate::door::Arrival;
use crate::drain::{ExitReport, Phase, ShutdownHandle};
use crate::error::BuildError;
use crate::gate::{Gate, PeerInfo};
use crate::listener::Reception;
use crate::metrics::{Direction, PageServer, RawEnd};
use crate::proxy_protocol::ProxyProtocol;
use crate::raw::RawStream;
use crate::splice::{Side, failure, reset_on_drop, splice, write_all};
use crate::upstream::Upstream;

/// A gateway that stands before a TCP service.
///
/// ```no_run
/// use twinpath_gateway::{Forwarder, ProxyProtocol};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let gateway = Forwarder::builder("[::]:443".parse()?, "127.0.0.1:8443")
///     .metrics("127.0.0.1:9090".parse()?)
///     .proxy_protocol(ProxyProtocol::V2)
///     .build()?;
/// let shutdown = gateway.shutdown_handle();
/// tokio::spawn(async move {
///     while tokio::signal::ctrl_c().await.is_ok() {
///         shutdown.advance();
///     }
/// });
/// let report = gateway.run().await;
/// println!("{} sessions were cut off", report.sessions_cut);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a gateway forwards nothing until it is run"]
pub struct Forwarder {
    reception: Reception,
    upstream: Arc<Upstream>,
    page: Option<(TcpListener, SocketAddr)>,
}

impl Forwarder {
    /// Begins a gateway that listens on `listen` and forwards to the service at `to`, as `HOST:PORT`.
    ///
    /// A name is resolved anew for each connection, so that the service may move.
    pub fn builder(listen: SocketAddr, to: impl Into<String>) -> ForwarderBuilder {
        ForwarderBuilder {
            listen,
            to: to.into(),
            metrics: None,
            proxy_protocol: None,
            config: ListenerConfig::default(),
        }
    }

    /// The address that clients connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.reception.local_addr
    }

    /// The address of the metrics page, if there is one.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.page.as_ref().map(|(_, address)| *address)
    }

    /// Ends this gateway, gently or at once.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.reception.gate.shutdown.clone()
    }

    /// Serves until the [`shutdown_handle`](Self::shutdown_handle) ends it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops accepting and cuts off every connection without a word.
    pub async fn run(mut self) -> ExitReport {
        let gate = Arc::clone(&self.reception.gate);
        let mut page = JoinSet::new();
        if let Some((listener, _)) = self.page.take() {
            page.spawn(PageServer::new(listener).run(Arc::clone(&gate)));
        }
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                arrival = self.reception.next() => match arrival {
                    Some(Arrival::Session(connection, member, peer)) => {
                        let (gate, upstream) = (Arc::clone(&gate), Arc::clone(&self.upstream));
                        connections.spawn(carry(gate, upstream, connection, member, peer));
                    }
                    Some(Arrival::Raw(stream, peer)) => {
                        let (gate, upstream) = (Arc::clone(&gate), Arc::clone(&self.upstream));
                        connections.spawn(carry_raw(gate, upstream, stream, peer));
                    }
                    None => break,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        self.reception.ended().await
    }

    /// Serves until `signal` resolves, then drains.
    ///
    /// # Cancel safety
    ///
    /// As for [`run`](Self::run).
    pub async fn run_until(self, signal: impl Future<Output = ()>) -> ExitReport {
        let shutdown = self.shutdown_handle();
        let run = self.run();
        tokio::pin!(run, signal);
        tokio::select! {
            report = &mut run => return report,
            () = signal => shutdown.drain(),
        }
        run.await
    }
}

/// Connects a raw connection to the service and copies until it ends.
async fn carry_raw(gate: Arc<Gate>, upstream: Arc<Upstream>, raw: RawStream, peer: PeerInfo) {
    let (client, prefix, guard) = raw.into_parts();
    let end = tokio::select! {
        biased;
        () = gate.shutdown.reached(Phase::Stopped) => RawEnd::GoingAway,
        end = forward_raw(&gate, &upstream, &client, &prefix, &peer) => end,
    };
    gate.metrics.raw_ends.increment(end);
    if end != RawEnd::Finished {
        reset_on_drop(&client);
    }
    drop((client, guard));
}

async fn forward_raw(
    gate: &Gate,
    upstream: &Upstream,
    client: &tokio::net::TcpStream,
    prefix: &[u8],
    peer: &PeerInfo,
) -> RawEnd {
    let dialled = tokio::select! {
        dialled = upstream.dial(peer, &gate.metrics) => dialled,
        _ = failure(client) => return RawEnd::ClientReset,
    };
    let Ok(service) = dialled else {
        return RawEnd::UpstreamUnreachable;
    };
    // However this ends before its time, the service must not take a part for the whole.
    reset_on_drop(&service);
    if write_all(&service, prefix).await.is_err() {
        return RawEnd::UpstreamReset;
    }
    let bytes = &gate.metrics.raw_bytes;
    bytes.of(Direction::FromClient).add(prefix.len() as u64);
    let relief = Relief::default();
    let counters = (
        bytes.of(Direction::FromClient),
        bytes.of(Direction::ToClient),
    );
    let spliced = tokio::select! {
        biased;
        spliced = splice(client, &service, &gate.ledger, counters, &relief) => spliced,
        never = relief.watch_forever(client, || {
            log::debug!("raw: a dead subflow was ended");
            gate.metrics.raw_subflows_ended.increment();
        }) => match never {},
    };
    match spliced {
        Ok(()) => RawEnd::Finished,
        Err(error) => match error.side {
            Side::Client => RawEnd::ClientReset,
            Side::Upstream => RawEnd::UpstreamReset,
        },
    }
}

/// Sets up a [`Forwarder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until built"]
pub struct ForwarderBuilder {
    listen: SocketAddr,
    to: String,
    metrics: Option<SocketAddr>,
    proxy_protocol: Option<ProxyProtocol>,
    config: ListenerConfig,
}

impl ForwarderBuilder {
    /// The key that clients may pin; see [`KeyFile`](crate::KeyFile).
    pub fn key(mut self, key: StaticKey) -> Self {
        self.config.key = Some(key);
        self
    }

    /// Adds an address to which clients shall join, if not where they connected first.
    ///
    /// Behind a load balancer each gateway announces an address of its own, so that joins reach the gateway that has
    /// the session. At most eight.
    pub fn join_address(mut self, host: impl Into<String>, port: u16) -> Self {
        self.config.join_addresses.push(JoinAddress {
            host: host.into(),
            port,
        });
        self
    }

    /// Serves `/metrics` and `/healthz` on an address of its own, which clients should not reach.
    pub fn metrics(mut self, address: SocketAddr) -> Self {
        self.metrics = Some(address);
        self
    }

    /// Tells the service who the client is, ahead of the client's bytes.
    pub fn proxy_protocol(mut self, version: ProxyProtocol) -> Self {
        self.proxy_protocol = Some(version);
        self
    }

    /// Takes a client that says nothing for this long for one of a protocol in which the server speaks first.
    pub fn raw_after(mut self, silence: impl Into<Option<Duration>>) -> Self {
        self.config.raw_after = silence.into();
        self
    }

    /// How long a drain waits for connections to end. Default 30 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.config.drain_timeout = timeout;
        self
    }

    /// Whether a new leg must prove that it hears the gateway before it gets data.
    pub fn strict_join(mut self, strict: bool) -> Self {
        self.config.strict_join = strict;
        self
    }

    /// The longest time for which a session outlives its last leg: clients ask for theirs, within it. Default 60 s.
    pub fn ttl_max(mut self, ttl: Duration) -> Self {
        self.config.ttl_max = ttl;
        self
    }

    /// How far the window of a session may grow, in bytes. Default 4 MiB.
    pub fn window(mut self, bytes: u32) -> Self {
        self.config.window = bytes;
        self
    }

    /// The bounds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Listens. Must be called inside a tokio runtime; connections are taken up once the gateway is
    /// [run](Forwarder::run).
    ///
    /// # Errors
    ///
    /// [`BuildError`], which says what cannot be listened on or which setting is not sound.
    pub fn build(self) -> Result<Forwarder, BuildError> {
        let upstream = Arc::new(Upstream::new(&self.to, self.proxy_protocol)?);
        let page = self.metrics.map(|address| {
            let failed = |source| BuildError::Metrics { address, source };
            let listener = listen(address, &ListenOptions::default()).map_err(failed)?;
            let local = listener.local_addr().map_err(failed)?;
            Ok((listener, local))
        });
        let page = page.transpose()?;
        Ok(Forwarder {
            reception: Reception::open(self.listen, self.config)?,
            upstream,
            page,
        })
    }
}
