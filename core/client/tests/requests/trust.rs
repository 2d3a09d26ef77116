//! Whom a client trusts, and how it shows itself.

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath::http::Error;
use twinpath::tls::{TlsConfig, TlsVersion};

use crate::identity::{Authority, Stream, serve};
use crate::soon;

/// Answers one request, of HTTP/1.1.
pub async fn greet(_: u32, mut stream: Stream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        seen.push(byte);
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn who_is_not_trusted_or_has_not_the_pinned_key_is_not_talked_to() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (identity, other) = (authority.sign(), authority.sign());
    let (right, wrong) = (identity.pin(), other.pin());
    let url = serve(identity.acceptor(&[&TLS13], &["http/1.1"], None), greet).await;
    let cases = [
        (authority.client(|tls| tls), true),
        (authority.client(|tls| tls.with_pin(right)), true),
        (
            authority.client(|tls| tls.with_pin(wrong).with_pin(right)),
            true,
        ),
        (authority.client(|tls| tls.with_pin(wrong)), false),
        (stranger.client(|tls| tls), false),
        // A pin does not make trusted what is not.
        (stranger.client(|tls| tls.with_pin(right)), false),
    ];
    for (number, (client, is_trusted)) in cases.into_iter().enumerate() {
        match soon(client.get(&url).send()).await {
            Ok(response) => {
                assert!(is_trusted, "{number}");
                assert_eq!(soon(response.bytes(10)).await.unwrap(), "hello");
            }
            Err(error) => assert!(
                !is_trusted && matches!(error, Error::Certificate { .. }),
                "{number}: {error:?}"
            ),
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_the_clients() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = authority.sign();
    for versions in [&[&TLS12][..], &[&TLS13][..]] {
        let acceptor = server.acceptor(versions, &["http/1.1"], Some(&authority));
        let url = serve(acceptor, greet).await;
        let shows = |identity: crate::identity::Identity| {
            let (certificate, key) = identity.pem();
            authority.client(|tls| {
                tls.with_identity(certificate.as_bytes(), key.as_bytes())
                    .unwrap()
            })
        };
        let response = soon(shows(authority.sign()).get(&url).send()).await;
        assert_eq!(
            soon(response.unwrap().bytes(10)).await.unwrap(),
            "hello",
            "{versions:?}"
        );
        for client in [authority.client(|tls| tls), shows(stranger.sign())] {
            let refused = soon(client.get(&url).send()).await.unwrap_err();
            assert!(matches!(refused, Error::Tls { .. }), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn old_versions_are_not_spoken_where_that_is_ruled_out() {
    let authority = Authority::new();
    let acceptor = authority.sign().acceptor(&[&TLS12], &["http/1.1"], None);
    let url = serve(acceptor, greet).await;
    let client = authority.client(|tls| tls);
    assert!(soon(client.get(&url).send()).await.is_ok());
    let client = authority.client(|tls| tls.oldest(TlsVersion::Tls13));
    let refused = soon(client.get(&url).send()).await.unwrap_err();
    assert!(matches!(refused, Error::Tls { .. }), "{refused:?}");
}

#[test]
fn what_is_no_certificate_or_key_is_refused_at_once() {
    let (certificate, key) = Authority::new().sign().pem();
    let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
    let tls = TlsConfig::new;
    assert!(tls().with_only_roots(key).is_err());
    assert!(tls().with_roots(b"nothing").is_err());
    assert!(tls().with_identity(key, key).is_err());
    assert!(tls().with_identity(certificate, certificate).is_err());
    assert!(tls().with_identity(certificate, key).is_ok());
}
