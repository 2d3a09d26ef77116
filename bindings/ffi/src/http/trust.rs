//! Whom the platform trusts, where it tells nobody but its own code.

use std::sync::Arc;

use twinpath::tls::{CertificateDer, Distrust};

use crate::block::Block;
use crate::error::Failure;

/// Decides whether a server is who it says it is. It is called on a thread that nothing else needs, and may wait.
#[uniffi::export(foreign)]
pub trait ServerTrust: Send + Sync {
    /// Whether this chain, in DER and the server's own certificate first, is trusted for `host`: that it is for `host`, and
    /// that the server has its key, is found out elsewhere. What says nothing, whatever became of it, does not trust.
    fn is_trusted(&self, chain: Vec<Block>, host: String) -> Result<bool, Failure>;
}

/// As TLS asks it.
pub(super) struct Asked(pub(super) Arc<dyn ServerTrust>);

impl twinpath::tls::ServerTrust for Asked {
    fn check(&self, chain: &[CertificateDer<'_>], host: &str) -> Result<(), Distrust> {
        let chain = chain.iter().map(|it| Block::from(it.as_ref())).collect();
        match self.0.is_trusted(chain, host.to_owned()) {
            Ok(true) => Ok(()),
            // A call that ends in what its language does not let anybody catch comes back as that.
            Ok(false) => Err(Distrust::new("whoever was asked for trust said nothing")),
            Err(failure) => Err(Distrust::new(failure.to_string())),
        }
    }
}
