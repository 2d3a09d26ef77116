//! The client and its options.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::HeaderValue;
use rustls::ClientConfig;
use tokio::sync::OnceCell;

use super::Error;
use super::hedge::{self, Hedges};
use super::pool::Pool;
use super::proxy::Proxies;
use super::replay::Writes;
use super::request::RequestBuilder;
use crate::connector::Connector;
use crate::target::Target;
use crate::tls::TlsConfig;

/// Makes HTTP requests with cellular backup. Cloning it is cheap, and the clones share connections.
///
/// What it can do depends on what the connector finds at the far end. Over a session with a gateway, or over kernel MPTCP,
/// the connection itself outlives its path, and a request is an ordinary one. Towards any other server each request runs
/// over one path, primary first, and when that path dies:
///
/// * **GET, HEAD, OPTIONS, TRACE, PUT, DELETE** are sent again over the other path; PUT and DELETE not behind a newer
///   request to the same resource.
/// * **POST, PATCH** are sent again if they were certainly not processed, or carry an `Idempotency-Key`; otherwise the
///   error says that nobody knows.
/// * **A download** goes on where it broke off, if the server gave it a strong validator (`ETag`, or a settled
///   `Last-Modified`) and takes `Range` requests with `If-Range`. Without, it is fetched again and its beginning compared
///   with what was handed over. If the resource has changed meanwhile, the error says so: no answer is ever put together
///   from two.
/// * **A download on the backup** goes back to the primary when that answers again.
///
/// A server that takes its time is not a dead path: while an answer is due, the server's kernel is asked for signs of life.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) connector: Connector,
    pub(super) options: Options,
    pub(super) pool: Arc<Pool>,
    pub(super) proxies: Proxies,
    pub(super) writes: Writes,
    pub(super) hedges: Hedges,
    tls: OnceCell<Result<Arc<ClientConfig>, Error>>,
}

#[derive(Debug)]
pub(super) struct Options {
    pub(super) tls: TlsConfig,
    pub(super) handshake: Duration,
    pub(super) silence: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) redirects: usize,
    pub(super) retry_after: Duration,
    pub(super) gzip: bool,
    pub(super) user_agent: HeaderValue,
    pub(super) connect_to: Option<Target>,
}

impl Client {
    /// A client with the usual options over the connections of `connector`.
    #[must_use]
    pub fn new(connector: Connector) -> Self {
        Self::builder(connector).build()
    }

    /// Options for a client.
    pub fn builder(connector: Connector) -> ClientBuilder {
        ClientBuilder {
            connector,
            hedge_after: hedge::DELAY,
            proxies: Proxies::of_device(),
            options: Options {
                tls: TlsConfig::default(),
                handshake: Duration::from_secs(30),
                silence: Duration::from_secs(60),
                timeout: None,
                redirects: 10,
                retry_after: Duration::from_secs(60),
                gzip: true,
                user_agent: HeaderValue::from_static(concat!(
                    "twinpath/",
                    env!("CARGO_PKG_VERSION")
                )),
                connect_to: None,
            },
        }
    }

    /// A GET request.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A HEAD request.
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// A POST request.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT request.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A request of that method. A URL that cannot be understood is told when it is sent.
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(Arc::clone(&self.inner), method, url.as_ref())
    }

    /// What its connections are made by.
    #[must_use]
    pub fn connector(&self) -> &Connector {
        &self.inner.connector
    }
}

impl Inner {
    /// TLS as the options want it, set up when it is first needed: the platform's roots take a while to be read.
    pub(super) async fn tls(&self) -> Result<Arc<ClientConfig>, Error> {
        let options = self.options.tls.clone();
        let made = self.tls.get_or_init(|| async move {
            match tokio::task::spawn_blocking(move || options.build()).await {
                Ok(made) => made.map_err(Error::TlsSetup),
                Err(error) => Err(Error::TlsTask(error.to_string())),
            }
        });
        made.await.clone()
    }
}

/// Collects the options of a [`Client`].
#[derive(Debug)]
#[must_use = "it does nothing until `build` is called"]
pub struct ClientBuilder {
    connector: Connector,
    options: Options,
    proxies: Proxies,
    hedge_after: Duration,
}

impl ClientBuilder {
    /// Whom to trust. Default: whom the platform trusts.
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.options.tls = tls;
        self
    }

    /// How long a whole request may take, up to the head of its answer, with everything that is done again. Default:
    /// without limit.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// How long nothing may come of an answer that is due, though the path lives; then a request that may be repeated is
    /// sent over the other path. Default: 60 s.
    pub const fn silence(mut self, limit: Duration) -> Self {
        self.options.silence = limit;
        self
    }

    /// How many redirects to follow; 0 hands them over as they are, and so are those to what is no URL of HTTP. Default: 10.
    pub const fn redirects(mut self, most: usize) -> Self {
        self.options.redirects = most;
        self
    }

    /// How long to wait at most when the server asks to come back later (429 and 503 with `Retry-After`). Default: 60 s.
    pub const fn retry_after(mut self, most: Duration) -> Self {
        self.options.retry_after = most;
        self
    }

    /// Whether to ask for compressed answers, which are decompressed here. Default: yes, where the request has no
    /// `Accept-Encoding` or `Range` of its own.
    pub const fn gzip(mut self, gzip: bool) -> Self {
        self.options.gzip = gzip;
        self
    }

    /// What to call itself.
    pub fn user_agent(mut self, name: HeaderValue) -> Self {
        self.options.user_agent = name;
        self
    }

    /// With [`ServiceType::Interactive`](crate::ServiceType::Interactive): the time after which a request that changes
    /// nothing, or has an Idempotency-Key, and has no answer goes over the backup as well. Default: 400 ms.
    pub const fn hedge_after(mut self, delay: Duration) -> Self {
        self.hedge_after = delay;
        self
    }

    /// Connects there, whatever host the URL names: to a gateway before a web server.
    pub fn connect_to(mut self, target: Target) -> Self {
        self.options.connect_to = Some(target);
        self
    }

    /// Goes through this proxy, written as `http://host:port`. Default: the one that the device mandates (on most systems
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`), unless the connector does not respect mandates.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`].
    pub fn proxy(mut self, url: &str) -> Result<Self, Error> {
        self.proxies = Proxies::named(url)?;
        Ok(self)
    }

    /// Goes through no proxy, whatever the device says.
    pub fn no_proxy(mut self) -> Self {
        self.proxies = Proxies::none();
        self
    }

    /// Makes the client.
    #[must_use]
    pub fn build(self) -> Client {
        Client {
            inner: Arc::new(Inner {
                connector: self.connector,
                options: self.options,
                pool: Arc::default(),
                proxies: self.proxies,
                writes: Writes::default(),
                hedges: Hedges::new(self.hedge_after),
                tls: OnceCell::new(),
            }),
        }
    }
}
