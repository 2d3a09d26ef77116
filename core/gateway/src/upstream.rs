//! The service behind the gateway, and how it is reached.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use twinpath_socket::{Binding, ConnectOptions, connect, resolve};

use crate::error::BuildError;
use crate::gate::PeerInfo;
use crate::metrics::{Metrics, UpstreamFailure};
use crate::proxy_protocol::ProxyProtocol;
use crate::seldom::Seldom;
use crate::splice::write_all;

/// Time to reach the service, over all of its addresses. A client gives up soon after.
const DIAL: Duration = Duration::from_secs(10);

/// Silence of an address after which the next one is tried as well.
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses of the service that are tried.
const MOST_ADDRESSES: usize = 16;

/// Where connections are forwarded to.
#[derive(Debug)]
pub(crate) struct Upstream {
    host: String,
    port: u16,
    proxy_protocol: Option<ProxyProtocol>,
    complaints: Seldom,
}

impl Upstream {
    /// `to` is `HOST:PORT`, the host a name or an address, an IPv6 one in brackets.
    pub(crate) fn new(to: &str, proxy_protocol: Option<ProxyProtocol>) -> Result<Self, BuildError> {
        let malformed = || BuildError::Setting {
            setting: "to",
            problem: "is not HOST:PORT",
        };
        let (host, port) = to.rsplit_once(':').ok_or_else(malformed)?;
        let port = port
            .parse()
            .ok()
            .filter(|&port| port != 0)
            .ok_or_else(malformed)?;
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(inner) => inner,
            None if host.contains(':') => return Err(malformed()),
            None => host,
        };
        if host.is_empty() {
            return Err(malformed());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            proxy_protocol,
            complaints: Seldom::default(),
        })
    }

    /// Connects to the service on behalf of `peer`; the PROXY header, if one is asked for, has been written then.
    ///
    /// A failure has been counted, and logged once in a while.
    pub(crate) async fn dial(&self, peer: &PeerInfo, metrics: &Metrics) -> io::Result<TcpStream> {
        let result = match timeout(DIAL, self.try_dial(peer)).await {
            Ok(result) => result,
            Err(_) => Err((UpstreamFailure::TimedOut, io::ErrorKind::TimedOut.into())),
        };
        result.map_err(|(failure, error)| {
            metrics.upstream_failures.increment(failure);
            if let Some(held_back) = self.complaints.due() {
                log::warn!("the service cannot be reached: {error} ({held_back} earlier failures not shown)");
            }
            error
        })
    }

    async fn try_dial(&self, peer: &PeerInfo) -> Result<TcpStream, (UpstreamFailure, io::Error)> {
        let addresses = self
            .addresses()
            .await
            .map_err(|error| (UpstreamFailure::Unresolved, error))?;
        let dial = |address| async move { connect(address, &ConnectOptions::default()).await };
        let stream = race(addresses, dial).await?;
        if let Some(proxy_protocol) = self.proxy_protocol {
            let header = proxy_protocol.header(peer.remote, peer.local);
            write_all(&stream, &header)
                .await
                .map_err(|error| (kind_of(&error), error))?;
        }
        Ok(stream)
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        match self.host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![SocketAddr::new(address, self.port)]),
            Err(_) => resolve(&self.host, self.port, &Binding::Unbound).await,
        }
    }
}

/// Dials the addresses in their order, each next one when the last has failed or has been silent for a while, and
/// gives the first connection, as RFC 8305 has it.
async fn race<T: Send + 'static, F>(
    addresses: Vec<SocketAddr>,
    dial: impl Fn(SocketAddr) -> F,
) -> Result<T, (UpstreamFailure, io::Error)>
where
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter().take(MOST_ADDRESSES);
    let mut dials = JoinSet::new();
    let mut failure = (
        UpstreamFailure::Unresolved,
        io::Error::other("the service's name has no address"),
    );
    loop {
        let more = waiting.next();
        if let Some(address) = more {
            dials.spawn(dial(address));
        }
        let stagger = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => sleep(STAGGER).await,
            }
        };
        tokio::select! {
            biased;
            ended = dials.join_next() => match ended {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failure = (kind_of(&error), error),
                Some(Err(error)) => failure = (UpstreamFailure::Other, io::Error::other(error)),
                None => return Err(failure),
            },
            () = stagger => {}
        }
    }
}

fn kind_of(error: &io::Error) -> UpstreamFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            UpstreamFailure::Refused
        }
        io::ErrorKind::TimedOut => UpstreamFailure::TimedOut,
        _ => UpstreamFailure::Other,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let addresses: Vec<SocketAddr> =
            (1..=4).map(|port| ([192, 0, 2, 1], port).into()).collect();
        let began = Instant::now();
        let dial = |address: SocketAddr| async move {
            match address.port() {
                1 => std::future::pending().await,
                2 => Err(io::ErrorKind::ConnectionRefused.into()),
                port => {
                    sleep(STAGGER / 5).await;
                    Ok(port)
                }
            }
        };
        assert_eq!(race(addresses.clone(), dial).await.unwrap(), 3);
        assert_eq!(began.elapsed(), STAGGER + STAGGER / 5);
        let refused = |_| async { Err::<(), _>(io::ErrorKind::ConnectionRefused.into()) };
        let (failure, _) = race(addresses, refused).await.unwrap_err();
        assert_eq!(failure, UpstreamFailure::Refused);
        assert!(race(Vec::new(), refused).await.is_err());
    }

    fn parts(to: &str) -> Option<(String, u16)> {
        Upstream::new(to, None)
            .ok()
            .map(|upstream| (upstream.host, upstream.port))
    }

    #[test]
    fn host_and_port_are_told_apart() {
        assert_eq!(parts("localhost:80"), Some(("localhost".to_owned(), 80)));
        assert_eq!(
            parts("127.0.0.1:8080"),
            Some(("127.0.0.1".to_owned(), 8080))
        );
        assert_eq!(parts("[::1]:443"), Some(("::1".to_owned(), 443)));
        for wrong in [
            "",
            "localhost",
            ":80",
            "localhost:0",
            "localhost:99999",
            "::1:80",
            "[::1]",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
