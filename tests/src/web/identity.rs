//! A certificate, and the root that it is from.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server's.
#[derive(Debug)]
pub struct Identity {
    root: String,
    certificate: String,
    der: Vec<u8>,
    key: KeyPair,
}

impl Identity {
    /// For a server at these addresses, that also calls itself `web.example`.
    #[must_use]
    pub fn of(addresses: &[IpAddr]) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::new([]).unwrap();
        // By a name of its own: some take what is issued by its own name for a root.
        root.distinguished_name.push(DnType::CommonName, "the lab");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = root.self_signed(&root_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["web.example".to_owned()]).unwrap();
        let names = addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(names);
        let certificate = params.signed_by(&key, &root, &root_key).unwrap();
        Self {
            root: root.pem(),
            certificate: certificate.pem(),
            der: certificate.der().to_vec(),
            key,
        }
    }

    /// The root, in PEM.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Certificate and key, in PEM.
    #[must_use]
    pub fn pem(&self) -> (String, String) {
        (self.certificate.clone(), self.key.serialize_pem())
    }

    /// For a server that speaks HTTP/2 and HTTP/1.1.
    #[must_use]
    pub fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = vec![CertificateDer::from(self.der.clone())];
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
