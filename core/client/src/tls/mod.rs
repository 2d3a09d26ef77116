//! TLS over connections: whom to trust, and how to show oneself.
//!
//! It is rustls with ring, and the trust of the platform unless told otherwise.

mod pins;
mod trust;

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
/// A certificate as it is sent.
pub use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use pins::Pinned;
use trust::Asking;
pub use trust::{Distrust, ServerTrust};

/// TLS could not be set up with these roots, pins or keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TlsError(String);

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// How a client speaks TLS. The default trusts whom the platform trusts, and speaks HTTP/2 and HTTP/1.1.
#[derive(Clone, Default)]
#[must_use = "it does nothing until a client has it"]
pub struct TlsConfig {
    roots: Vec<CertificateDer<'static>>,
    only_roots: bool,
    trust: Option<Arc<dyn ServerTrust>>,
    pins: Vec<[u8; 32]>,
    identity: Option<Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>>,
    oldest: TlsVersion,
    alpn: Option<Vec<Vec<u8>>>,
}

impl TlsConfig {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these roots (PEM) as well as the platform's.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if there is no certificate in it.
    pub fn with_roots(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.roots.extend(certificates(pem)?);
        Ok(self)
    }

    /// Trusts these roots (PEM) and no others: nobody else is asked.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if there is no certificate in it.
    pub fn with_only_roots(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.roots = certificates(pem)?;
        self.only_roots = true;
        Ok(self)
    }

    /// Asks `trust` instead of the platform's verifier, unless only named roots are trusted. What chains up to one of the
    /// roots that are trusted besides is not asked about.
    pub fn with_trust(mut self, trust: Arc<dyn ServerTrust>) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Accepts a server only if the key of its own certificate has this SHA-256 of its SubjectPublicKeyInfo (RFC 7469
    /// §2.4); beside everything else that is checked. May be called several times: one of the pins has to fit. Keys of
    /// certificates above it cannot be pinned: a server may show any that it does not need.
    pub fn with_pin(mut self, spki_sha256: [u8; 32]) -> Self {
        self.pins.push(spki_sha256);
        self
    }

    /// Shows this certificate, with those above it, to servers that ask for one; both in PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if there is no certificate, or no key.
    pub fn with_identity(
        mut self,
        certificates_pem: &[u8],
        key_pem: &[u8],
    ) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|error| TlsError(format!("no private key in the PEM: {error}")))?;
        self.identity = Some(Arc::new((certificates(certificates_pem)?, key)));
        Ok(self)
    }

    /// Speaks no version older than this.
    pub const fn oldest(mut self, oldest: TlsVersion) -> Self {
        self.oldest = oldest;
        self
    }

    /// The protocols to offer, the best first. Default: `h2`, `http/1.1`; the HTTP client speaks no others.
    pub fn with_alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = Some(protocols.iter().map(|it| it.as_bytes().to_vec()).collect());
        self
    }

    /// As rustls takes it, for TLS over a [`Connection`](crate::Connection) with tokio-rustls.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the platform's trust cannot be had, or the identity's key does not fit.
    pub fn build(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let failed = |error: rustls::Error| TlsError(error.to_string());
        let provider = Arc::new(ring::default_provider());
        let versions: &[&rustls::SupportedProtocolVersion] = match self.oldest {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let verifier = self.verifier(&provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.identity.as_deref() {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(failed)?,
            None => builder.with_no_client_auth(),
        };
        let usual = || vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.alpn_protocols = self.alpn.clone().unwrap_or_else(usual);
        Ok(Arc::new(config))
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        let inner: Arc<dyn ServerCertVerifier> = match &self.trust {
            _ if self.only_roots => self.named(provider)?,
            Some(trust) => {
                let named = match self.roots.is_empty() {
                    true => None,
                    false => Some(self.named(provider)?),
                };
                Arc::new(Asking::new(Arc::clone(trust), named, provider))
            }
            None => twinpath_socket::platform_verifier(self.roots.clone(), Arc::clone(provider))
                .map_err(|error| TlsError(error.to_string()))?,
        };
        if self.pins.is_empty() {
            return Ok(inner);
        }
        let pins = self.pins.clone();
        Ok(Arc::new(Pinned { inner, pins }))
    }

    /// Trusts the named roots.
    fn named(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            let added = store.add(root.clone());
            added.map_err(|error| TlsError(error.to_string()))?;
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
            .build()
            .map_err(|error| TlsError(error.to_string()))
    }

    /// Whether somebody is asked who may take a while to answer.
    #[cfg(feature = "http")]
    pub(crate) const fn asks(&self) -> bool {
        self.trust.is_some() && !self.only_roots
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("roots", &self.roots.len())
            .field("only_roots", &self.only_roots)
            .field("trust", &self.trust.is_some())
            .field("pins", &self.pins.len())
            .field("identity", &self.identity.is_some())
            .field("oldest", &self.oldest)
            .finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(TlsError("there is no certificate in the PEM".to_owned())),
        Err(error) => Err(TlsError(format!("the PEM cannot be read: {error}"))),
    }
}
