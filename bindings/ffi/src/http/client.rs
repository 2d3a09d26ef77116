//! What makes requests.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use twinpath::Target;
use twinpath::http::Client;
use twinpath::tls::{TlsConfig, TlsError, TlsVersion};

use super::answer::Answer;
use super::request::Request;
use super::trust::{Asked, ServerTrust};
use crate::connector::{Connector, run};
use crate::error::{Failure, Kind};
use crate::options::key;
use crate::runtime;
use crate::wait::Cancellation;

/// How TLS is spoken. What is left out is as the platform has it.
#[derive(Debug, Clone, Default, uniffi::Record)]
pub struct TlsOptions {
    /// Roots to trust, in PEM.
    #[uniffi(default = None)]
    pub roots: Option<String>,
    /// Whether nobody else is trusted.
    #[uniffi(default = false)]
    pub only_these_roots: bool,
    /// SHA-256 of the SubjectPublicKeyInfo of servers' certificates, of which one must fit.
    #[uniffi(default = [])]
    pub pins: Vec<Vec<u8>>,
    /// The client's certificate, in PEM.
    #[uniffi(default = None)]
    pub certificate: Option<String>,
    /// The key of it, in PEM.
    #[uniffi(default = None)]
    pub key: Option<String>,
    /// Whether TLS 1.2 is not spoken.
    #[uniffi(default = false)]
    pub only_tls13: bool,
    /// The protocols to offer, the best first.
    #[uniffi(default = [])]
    pub protocols: Vec<String>,
}

impl TlsOptions {
    fn config(&self) -> Result<TlsConfig, Failure> {
        let wrong = |error: TlsError| Failure::new(Kind::InvalidInput, error.to_string());
        let mut tls = TlsConfig::new();
        if let Some(roots) = &self.roots {
            tls = match self.only_these_roots {
                true => tls.with_only_roots(roots.as_bytes()),
                false => tls.with_roots(roots.as_bytes()),
            }
            .map_err(wrong)?;
        }
        for pin in &self.pins {
            tls = tls.with_pin(key(pin, "the pin of a server's key")?);
        }
        tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => tls
                .with_identity(certificate.as_bytes(), key.as_bytes())
                .map_err(wrong)?,
            (None, None) => tls,
            _ => {
                return Err(Failure::new(
                    Kind::InvalidInput,
                    "a client's certificate needs its key, and a key its certificate",
                ));
            }
        };
        if self.only_tls13 {
            tls = tls.oldest(TlsVersion::Tls13);
        }
        if !self.protocols.is_empty() {
            let protocols: Vec<&str> = self.protocols.iter().map(String::as_str).collect();
            tls = tls.with_alpn(&protocols);
        }
        Ok(tls)
    }
}

/// The options of a client. What is left out is as [`Client::builder`] has it.
#[derive(Debug, Clone, Default, uniffi::Record)]
pub struct HttpOptions {
    /// How TLS is spoken.
    pub tls: TlsOptions,
    /// How long a request may take up to the head of its answer.
    #[uniffi(default = None)]
    pub timeout: Option<Duration>,
    /// Redirects that are followed at most. With 0, answers are handed over as they are: those that ask to come back later
    /// as well.
    #[uniffi(default = None)]
    pub redirects: Option<u32>,
    /// Whether to ask for compressed answers.
    #[uniffi(default = true)]
    pub gzip: bool,
    /// What to call itself.
    #[uniffi(default = None)]
    pub user_agent: Option<String>,
    /// Connects there, written as `host:port`, whatever host a URL names: to a gateway before a web server.
    #[uniffi(default = None)]
    pub connect_to: Option<String>,
    /// Goes through this proxy, written as `http://host:port`; through none if it is empty, and through the device's if it
    /// is left out.
    #[uniffi(default = None)]
    pub proxy: Option<String>,
    /// The time after which a slow request goes over the backup as well, with [`Service::Interactive`](crate::Service).
    #[uniffi(default = None)]
    pub hedge_after: Option<Duration>,
}

/// Makes requests over the connections of a connector.
#[derive(Debug, uniffi::Object)]
pub struct HttpClient {
    inner: Client,
}

impl HttpClient {
    fn built(
        connector: &Connector,
        options: HttpOptions,
        tls: TlsConfig,
    ) -> Result<Arc<Self>, Failure> {
        let runtime = runtime::handle()?;
        let _inside = runtime.enter();
        let mut builder = Client::builder(connector.inner().clone())
            .tls(tls)
            .gzip(options.gzip);
        if let Some(limit) = options.timeout {
            builder = builder.timeout(limit);
        }
        if let Some(most) = options.redirects {
            builder = builder.redirects(usize::try_from(most).unwrap_or(usize::MAX));
            if most == 0 {
                // Whoever asks decides what becomes of an answer.
                builder = builder.retry_after(Duration::ZERO);
            }
        }
        if let Some(name) = options.user_agent {
            let name = HeaderValue::try_from(&name).map_err(|_| {
                Failure::new(Kind::InvalidInput, format!("{name:?} cannot be a header"))
            })?;
            builder = builder.user_agent(name);
        }
        if let Some(target) = options.connect_to {
            builder = builder.connect_to(target.parse::<Target>()?);
        }
        builder = match options.proxy.as_deref() {
            None => builder,
            Some("") => builder.no_proxy(),
            Some(url) => builder.proxy(url)?,
        };
        if let Some(delay) = options.hedge_after {
            builder = builder.hedge_after(delay);
        }
        Ok(Arc::new(Self {
            inner: builder.build(),
        }))
    }
}

#[uniffi::export]
impl HttpClient {
    /// A client with these options.
    #[uniffi::constructor]
    pub fn new(connector: Arc<Connector>, options: HttpOptions) -> Result<Arc<Self>, Failure> {
        let tls = options.tls.config()?;
        Self::built(&connector, options, tls)
    }

    /// A client with these options, which asks `trust` instead of the library asking the platform; unless only the roots of
    /// the options are to be trusted.
    #[uniffi::constructor]
    pub fn with_trust(
        connector: Arc<Connector>,
        options: HttpOptions,
        trust: Arc<dyn ServerTrust>,
    ) -> Result<Arc<Self>, Failure> {
        let tls = options.tls.config()?.with_trust(Arc::new(Asked(trust)));
        Self::built(&connector, options, tls)
    }

    /// Sends a request and waits for the head of the answer, whatever its status. When it is given up, the server may have
    /// processed it.
    pub async fn send(
        &self,
        request: Request,
        cancellation: Option<Arc<Cancellation>>,
    ) -> Result<Arc<Answer>, Failure> {
        let request = request.over(&self.inner)?;
        run(cancellation, async move {
            let response = request.send().await?;
            Ok(Answer::of(response))
        })
        .await
    }
}
