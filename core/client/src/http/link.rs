//! A connection that speaks HTTP.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use twinpath_proto::Role;

use super::attention::{Attention, Awaiting};
use super::body::SentBody;
use super::dial::ProxyAuthorization;
use crate::mode::PathInfo;
use crate::stats::ConnectionStats;

/// One connection to an origin, and who carries it.
#[derive(Debug)]
pub(super) struct Link {
    sender: Sender,
    carrier: Arc<Carrier>,
    /// It has served a request before.
    pub(super) used: bool,
    /// It leads to a proxy, which is asked for the whole URL.
    pub(super) proxy: Option<ProxyAuthorization>,
}

#[derive(Debug)]
enum Sender {
    H1(http1::SendRequest<SentBody>),
    H2(http2::SendRequest<SentBody>),
}

/// What lives as long as anybody uses the connection.
#[derive(Debug)]
struct Carrier {
    attention: Attention,
    driver: JoinHandle<()>,
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A hold on a connection while an answer comes over it.
#[derive(Debug)]
pub(super) struct Hold {
    carrier: Arc<Carrier>,
    _awaiting: Awaiting,
}

/// A request that was not answered.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) error: hyper::Error,
    /// It never left.
    pub(super) unsent: bool,
}

impl Link {
    /// Speaks HTTP over `stream`: HTTP/2 if that was agreed on.
    pub(super) async fn over<S>(stream: S, h2: bool, attention: Attention) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        let (sender, driver) = if h2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .handshake(io)
                .await?;
            (Sender::H2(sender), drive(connection))
        } else {
            let (sender, connection) = http1::Builder::new().handshake(io).await?;
            (Sender::H1(sender), drive(connection))
        };
        Ok(Self {
            sender,
            carrier: Arc::new(Carrier { attention, driver }),
            used: false,
            proxy: None,
        })
    }

    pub(super) const fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::H2(_))
    }

    /// The path that carries it.
    pub(super) fn role(&self) -> Role {
        self.carrier.attention.role()
    }

    pub(super) fn hold(&self) -> Hold {
        Hold {
            _awaiting: self.carrier.attention.awaiting(),
            carrier: Arc::clone(&self.carrier),
        }
    }

    /// For another request at the same time; HTTP/2 alone can do that.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::H1(_) => None,
            Sender::H2(sender) => Some(Self {
                sender: Sender::H2(sender.clone()),
                carrier: Arc::clone(&self.carrier),
                used: true,
                proxy: None,
            }),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::H1(sender) => sender.is_closed(),
            Sender::H2(sender) => sender.is_closed(),
        }
    }

    /// Waits until it can take another request. False if it never will.
    pub(super) async fn ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::H1(sender) => sender.ready().await.is_ok(),
            Sender::H2(sender) => sender.ready().await.is_ok(),
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<SentBody>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let sent = match &mut self.sender {
            Sender::H1(sender) => sender.try_send_request(request).await,
            Sender::H2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| Unanswered {
            unsent: error.take_message().is_some(),
            error: error.into_error(),
        })
    }
}

impl Hold {
    pub(super) fn role(&self) -> Role {
        self.carrier.attention.role()
    }

    pub(super) fn path(&self) -> Option<PathInfo> {
        self.carrier.attention.path()
    }

    pub(super) fn attention(&self) -> &Attention {
        &self.carrier.attention
    }

    pub(super) fn stats(&self) -> ConnectionStats {
        self.carrier.attention.monitor().stats()
    }
}

fn drive<E: std::fmt::Display>(
    connection: impl Future<Output = Result<(), E>> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            log::debug!("an HTTP connection has ended: {error}");
        }
    })
}
