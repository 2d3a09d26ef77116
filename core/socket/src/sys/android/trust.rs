//! Android tells nobody but an app's Java code whom it trusts, and its verifier would panic where that was not set up.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

pub(crate) fn platform_verifier(
    _roots: Vec<CertificateDer<'static>>,
    _provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    Err(rustls::Error::General(
        "whom Android trusts only its Java code is told: hand over a `ServerTrust`, as `TwinpathAndroid.connector` does, or \
         name the roots to trust, and that only these are"
            .to_owned(),
    ))
}
