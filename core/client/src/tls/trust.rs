//! Whom somebody else decides to trust: a platform that tells nobody but its own code.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

/// Decides whether a server is who it says it is.
pub trait ServerTrust: Send + Sync {
    /// Whether this chain is trusted for `host`, a name or an address; the server's own certificate comes first, and those
    /// after it are what the server has sent, in its order.
    ///
    /// That the certificate is for `host` was found out before, and that the server has its key is found out beside it.
    /// What is left is who has signed it, when it ends, and whether it was revoked.
    ///
    /// It may wait: the HTTP client asks on a thread that nothing else needs, and what takes longer than a handshake may is
    /// not waited for. Whoever uses [`TlsConfig::build`](super::TlsConfig::build) is asked on the thread that drives the
    /// handshake. A session of TLS that is resumed is not asked about again.
    ///
    /// # Errors
    ///
    /// [`Distrust`], which says why not.
    fn check(&self, chain: &[CertificateDer<'_>], host: &str) -> Result<(), Distrust>;
}

/// A server is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Distrust {
    /// Why not, in words.
    pub why: String,
}

impl Distrust {
    /// For this reason.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// Asks, and checks itself what it can: the name, and the handshake.
pub(super) struct Asking {
    trust: Arc<dyn ServerTrust>,
    /// Roots that are trusted besides.
    named: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Asking {
    pub(super) fn new(
        trust: Arc<dyn ServerTrust>,
        named: Option<Arc<WebPkiServerVerifier>>,
        provider: &CryptoProvider,
    ) -> Self {
        Self {
            trust,
            named,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for Asking {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // Android's trust manager does not look at the name.
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        if let Some(named) = &self.named {
            let known = named.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
            if let Ok(known) = known {
                return Ok(known);
            }
        }
        let chain: Vec<CertificateDer<'_>> = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|certificate| CertificateDer::from(certificate.as_ref()))
            .collect();
        match self.trust.check(&chain, &server_name.to_str()) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(distrust) => Err(CertificateError::Other(OtherError(Arc::new(distrust))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}
