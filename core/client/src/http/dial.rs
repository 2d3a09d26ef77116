//! Connections to origins: over the paths, through a proxy where one is mandated, with TLS.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use twinpath_proto::Role;

use super::Error;
use super::body::nothing;
use super::client::Inner;
use super::failure::{Failure, Loss};
use super::link::Link;
use super::origin::Origin;
use super::pool::Way;
use super::proxy::Proxy;
use crate::connection::Connection;
use crate::mode::Mode;
use crate::target::Target;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Inner {
    /// Where connections that serve `origin` go.
    pub(super) fn target(&self, origin: &Origin) -> Target {
        let via = self.options.connect_to.clone();
        via.unwrap_or_else(|| origin.target())
    }

    /// A connection to `origin` that is free, or a new one: over whichever path leads there, or over that one.
    pub(super) async fn link(
        &self,
        origin: &Origin,
        over: Option<Role>,
    ) -> Result<(Link, Way), Failure> {
        let proxy = self.proxies.of(origin, &self.connector);
        let target = match &proxy {
            Some(proxy) => proxy.target.clone(),
            None => self.target(origin),
        };
        let preferred = over.unwrap_or_else(|| self.connector.preferred(&target));
        for way in [Way::Whole, Way::Path(preferred)] {
            if over.is_some() && way == Way::Whole {
                continue;
            }
            if let Some(mut link) = self.pool.take(origin, way) {
                if link.ready().await {
                    return Ok((link, way));
                }
            }
        }
        self.connect(origin, &target, over, proxy.as_ref()).await
    }

    /// A new connection.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        target: &Target,
        over: Option<Role>,
        proxy: Option<&Proxy>,
    ) -> Result<(Link, Way), Failure> {
        // Before the connect, which is raced: the roots take a while to be read.
        let tls = match origin.https {
            true => Some(self.tls().await.map_err(Failure::fatal)?),
            false => None,
        };
        let connection = match over {
            Some(role) => self.connector.connect_over(target, role).await,
            None => self.connector.connect_to(target).await,
        };
        let connection = connection.map_err(Failure::not_connected)?;
        let attention = connection.attention();
        let handshake = self.speak(origin, connection, tls, proxy);
        let awaiting = attention.awaiting();
        let limit = self.options.handshake;
        let link = timeout(limit, handshake)
            .await
            .unwrap_or_else(|_| Err(Failure::silence("the TLS handshake", limit)));
        drop(awaiting);
        let mut failure = match link {
            Ok(link) => {
                let way = match attention.mode() {
                    Mode::PlainPair => Way::Path(link.role()),
                    _ => Way::Whole,
                };
                if let Some(shared) = link.share() {
                    self.pool.put(origin, way, shared);
                }
                return Ok((link, way));
            }
            Err(failure) => failure,
        };
        // Nothing of a request has left.
        failure.unprocessed = true;
        Err(failure)
    }

    async fn speak(
        &self,
        origin: &Origin,
        connection: Connection,
        tls: Option<Arc<ClientConfig>>,
        proxy: Option<&Proxy>,
    ) -> Result<Link, Failure> {
        let attention = connection.attention();
        let mut stream: Box<dyn Stream> = Box::new(connection);
        let mut h2 = false;
        if let Some(tls) = tls {
            if let Some(proxy) = proxy {
                stream = tunnel(origin, stream, proxy).await?;
            }
            let name = ServerName::try_from(origin.host.clone()).map_err(|error| {
                let url = origin.authority();
                let why = error.to_string();
                Failure::fatal(Error::InvalidUrl { url, why })
            })?;
            let handshake = TlsConnector::from(tls).connect(name, stream);
            let made = match self.options.tls.asks() {
                true => aside(handshake).await,
                false => handshake.await,
            };
            let stream_over_tls = made.map_err(|error| Failure::of_tls(&origin.host, error))?;
            h2 = stream_over_tls.get_ref().1.alpn_protocol() == Some(b"h2");
            stream = Box::new(stream_over_tls);
        }
        let link = Link::over(stream, h2, attention).await;
        let mut link = link.map_err(|error| Failure::of_hyper(&origin.host, &error))?;
        if !origin.https {
            link.proxy = proxy.map(|proxy| proxy.authorization.clone());
        }
        Ok(link)
    }
}

/// Drives a handshake where whoever is asked for trust may take a while to answer: on a thread that nothing else needs, for
/// as long as this is waited for. rustls asks in the middle of its work, and can not be told to come back.
async fn aside<T: Send + 'static>(
    handshake: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<T> {
    let runtime = Handle::current();
    let (_wanted, unwanted) = oneshot::channel::<Infallible>();
    let driving = spawn_blocking(move || {
        runtime.block_on(async {
            tokio::select! {
                made = handshake => made,
                _ = unwanted => Err(io::ErrorKind::ConnectionAborted.into()),
            }
        })
    });
    driving.await.unwrap_or_else(|error| {
        // Another attempt would end in the same way.
        let error = rustls::Error::General(format!("whom to trust was not told: {error}"));
        Err(io::Error::other(error))
    })
}

/// Has the proxy lead to the origin (RFC 9110 §9.3.6).
async fn tunnel(
    origin: &Origin,
    stream: Box<dyn Stream>,
    proxy: &Proxy,
) -> Result<Box<dyn Stream>, Failure> {
    let lost = |error: hyper::Error| {
        let mut failure = Failure::of_hyper(proxy.target.host(), &error);
        if failure.loss != Loss::Nothing {
            failure.error = Error::Proxy(failure.why.to_string());
        }
        failure
    };
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(lost)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            log::debug!("the connection to a proxy has ended: {error}");
        }
    });
    let wrong = |error: http::Error| Failure::fatal(Error::Proxy(error.to_string()));
    let to = origin.host_and_port();
    let mut request = Request::builder().method(Method::CONNECT).uri(&to);
    request = request.header(HOST, &to);
    if let Some(authorization) = &proxy.authorization {
        request = request.header(PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(nothing()).map_err(wrong)?;
    let answer = sender.send_request(request).await.map_err(lost)?;
    if !answer.status().is_success() {
        let text = format!("it answers {} to CONNECT", answer.status());
        return Err(Failure::fatal(Error::Proxy(text)));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(lost)?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

/// What a proxy for plain http is asked with.
pub(super) type ProxyAuthorization = Option<HeaderValue>;
