//! What can go wrong with a request, typed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::error::{ConnectError, ErrorKind};
use crate::tls::TlsError;

/// Why a request has no answer, or not the whole of it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be understood.
    #[error("cannot understand the URL {url:?}: {why}; write it as https://example.com/path")]
    InvalidUrl {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A header, a method or a body is not what HTTP allows.
    #[error("the request is not one of HTTP: {0}")]
    InvalidRequest(String),
    /// TLS could not be set up with these roots, pins or keys.
    #[error(transparent)]
    TlsSetup(TlsError),
    /// The runtime ends, and TLS was not set up any more.
    #[error("TLS was not set up: {0}")]
    TlsTask(String),
    /// No connection to the server, or to the proxy.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// The TLS handshake failed.
    #[error("no TLS with {host}: {source}")]
    Tls {
        /// The server.
        host: String,
        /// What failed.
        source: Arc<io::Error>,
    },
    /// The server has not shown a certificate that is trusted.
    #[error(
        "{host} is not trusted: {why}; check the clock and the name, or add the root that it needs"
    )]
    Certificate {
        /// The server.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// The proxy does not lead to the server.
    #[error("the proxy does not lead there: {0}")]
    Proxy(String),
    /// It took longer than it may.
    #[error("{what} took longer than {} s", limit.as_secs_f32())]
    Timeout {
        /// What did.
        what: &'static str,
        /// How long it might have taken.
        limit: Duration,
    },
    /// The server redirects in circles, or for very long.
    #[error("redirected more than {0} times")]
    TooManyRedirects(usize),
    /// A redirect from https to http was not followed.
    #[error(
        "the server redirects from https to {0}, which would be readable on the way; ask there yourself if you want to"
    )]
    InsecureRedirect(String),
    /// The path or the connection died when the request may have been processed, and doing it twice may do harm.
    #[error(
        "the connection was lost ({why}) after the {method} request was sent, and the server may have processed it; \
         give it an Idempotency-Key, or say that it may be repeated"
    )]
    NotReplayable {
        /// The method.
        method: Method,
        /// What happened.
        why: Arc<str>,
    },
    /// The connection died, and in the meantime a newer request has changed the same resource.
    #[error(
        "the {method} request was lost, and a newer one to the same resource was made meanwhile: it is not repeated"
    )]
    Superseded {
        /// The method.
        method: Method,
    },
    /// The resource is not what it was when the first bytes of the answer came.
    #[error("the resource has changed after {received} bytes of it were received: begin anew")]
    ResourceChanged {
        /// Bytes of the old one that were handed over.
        received: u64,
    },
    /// The answer broke off, and could not be gone on with.
    #[error("the answer broke off after {received} bytes ({why})")]
    Truncated {
        /// Bytes that were handed over.
        received: u64,
        /// What happened.
        why: Arc<str>,
    },
    /// The connection ended without an answer.
    #[error("{host} ended the connection without an answer ({why})")]
    NoAnswer {
        /// The server.
        host: String,
        /// What happened.
        why: Arc<str>,
    },
    /// What came is not HTTP.
    #[error("{host} does not answer in HTTP: {why}")]
    Protocol {
        /// The server.
        host: String,
        /// What is wrong.
        why: Arc<str>,
    },
    /// The status says that the request failed; see [`Response::error_for_status`](super::Response::error_for_status).
    #[error("the server answers {0}")]
    Status(StatusCode),
    /// The body of the request could not be read.
    #[error("the body of the request cannot be read: {0}")]
    Body(Arc<io::Error>),
    /// The answer is compressed, and what came cannot be decompressed.
    #[error("the answer cannot be decompressed: {0}")]
    Decompression(Arc<io::Error>),
    /// The answer is larger than the caller wants.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
}

impl Error {
    /// The coarse kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidUrl { .. } | Self::InvalidRequest(_) | Self::TlsSetup(_) => {
                ErrorKind::InvalidInput
            }
            Self::Connect(error) => error.kind(),
            Self::Timeout { .. } => ErrorKind::TimedOut,
            Self::NotReplayable { .. }
            | Self::Superseded { .. }
            | Self::ResourceChanged { .. }
            | Self::Truncated { .. } => ErrorKind::Interrupted,
            Self::NoAnswer { .. } => ErrorKind::Reset,
            Self::Protocol { .. } | Self::Decompression(_) | Self::TooManyRedirects(_) => {
                ErrorKind::Protocol
            }
            Self::Certificate { .. } | Self::InsecureRedirect(_) => ErrorKind::NotPermitted,
            _ => ErrorKind::Other,
        }
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Arc::new(error))
    }
}
