//! Whom the platform trusts.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

use crate::sys;

/// Verifies servers' certificates as the platform does, by its own verifier or its own roots, and by `roots` besides.
///
/// # Errors
///
/// What the platform said; on Android always, which tells nobody but an app's Java code whom it trusts.
pub fn platform_verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    sys::platform_verifier(roots, provider)
}
