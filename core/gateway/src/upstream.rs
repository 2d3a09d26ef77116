//! The service behind the gateway, and how it is reached.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use twinpath_socket::{Binding, ConnectOptions, connect, resolve};

use crate::error::BuildError;
use crate::gate::PeerInfo;
use crate::metrics::{Metrics, UpstreamFailure};
use crate::proxy_protocol::ProxyProtocol;
use crate::seldom::Seldom;
use crate::splice::write_all;

/// Time to reach the service, over all of its addresses. A client gives up soon after.
const DIAL: Duration = Duration::from_secs(10);

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
        let mut failure = (
            UpstreamFailure::Unresolved,
            io::Error::other("the service's name has no address"),
        );
        for address in addresses {
            match self.open(address, peer).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = (kind_of(&error), error),
            }
        }
        Err(failure)
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        match self.host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![SocketAddr::new(address, self.port)]),
            Err(_) => resolve(&self.host, self.port, &Binding::Unbound).await,
        }
    }

    async fn open(&self, address: SocketAddr, peer: &PeerInfo) -> io::Result<TcpStream> {
        let stream = connect(address, &ConnectOptions::default()).await?;
        if let Some(proxy_protocol) = self.proxy_protocol {
            write_all(&stream, &proxy_protocol.header(peer.remote, peer.local)).await?;
        }
        Ok(stream)
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
    use super::*;

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
