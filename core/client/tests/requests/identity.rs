//! Certificates, and servers that show them.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use twinpath::http::Client;
use twinpath::tls::TlsConfig;
use twinpath::{Connector, Mode};

pub type Stream = TlsStream<TcpStream>;

/// A root, and what it has signed.
pub struct Authority {
    key: KeyPair,
    root: Certificate,
}

/// Somebody's certificate and key.
pub struct Identity {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        Self { key, root }
    }

    pub fn pem(&self) -> String {
        self.root.pem()
    }

    /// For somebody at this machine.
    pub fn sign(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params
            .subject_alt_names
            .push(SanType::IpAddress([127, 0, 0, 1].into()));
        let certificate = params.signed_by(&key, &self.root, &self.key).unwrap();
        Identity { certificate, key }
    }

    fn store(&self) -> Arc<RootCertStore> {
        let mut store = RootCertStore::empty();
        store.add(self.root.der().clone()).unwrap();
        Arc::new(store)
    }

    /// A client that trusts nobody else, as `more` has it.
    pub fn client(&self, more: impl FnOnce(TlsConfig) -> TlsConfig) -> Client {
        let connector = Connector::builder().mode(Mode::SinglePath).build().unwrap();
        let tls = TlsConfig::new().with_only_roots(self.pem().as_bytes());
        Client::builder(connector).tls(more(tls.unwrap())).build()
    }
}

impl Identity {
    /// Certificate and key.
    pub fn pem(&self) -> (String, String) {
        (self.certificate.pem(), self.key.serialize_pem())
    }

    pub fn pin(&self) -> [u8; 32] {
        Sha256::digest(self.key.public_key_der()).into()
    }

    /// What an impostor has: this certificate, and the key of another.
    pub fn acceptor_of_impostor(&self, version: &'static SupportedProtocolVersion) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(KeyPair::generate().unwrap().serialize_der()).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let shown = CertifiedKey::new(vec![self.certificate.der().clone()], key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        TlsAcceptor::from(Arc::new(config))
    }

    /// Speaks these versions and protocols; asks clients for certificates of that authority.
    pub fn acceptor(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
        clients: Option<&Authority>,
    ) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain: Vec<CertificateDer<'static>> = vec![self.certificate.der().clone()];
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            Some(authority) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(authority.store(), provider)
                    .build()
                    .unwrap(),
            ),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server whose connections are handled one after the other, by their number. Gives its URL.
pub async fn serve<F, G>(acceptor: TlsAcceptor, handle: F) -> String
where
    F: Fn(u32, Stream) -> G + Send + 'static,
    G: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                handle(number, stream).await;
            }
        }
    });
    format!("https://{address}/")
}
