//! Whom somebody else decides to trust.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use twinpath::http::{Client, Error};
use twinpath::tls::{Distrust, ServerTrust, TlsConfig};
use twinpath::{Connector, Mode};

use crate::identity::{Authority, serve};
use crate::soon;
use crate::trust::greet;

/// Remembers what it was asked, and answers always the same.
struct Oracle {
    answer: Result<(), Distrust>,
    asked: Mutex<Vec<(usize, String)>>,
}

impl Oracle {
    fn new(answer: Result<(), Distrust>) -> Arc<Self> {
        let asked = Mutex::default();
        Arc::new(Self { answer, asked })
    }

    fn times(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl ServerTrust for Oracle {
    fn check(&self, chain: &[CertificateDer<'_>], host: &str) -> Result<(), Distrust> {
        let mut asked = self.asked.lock().unwrap();
        asked.push((chain.len(), host.to_owned()));
        self.answer.clone()
    }
}

/// Answers what the closure says.
struct Told<F>(F);

impl<F: Fn() -> Result<(), Distrust> + Send + Sync> ServerTrust for Told<F> {
    fn check(&self, _: &[CertificateDer<'_>], _: &str) -> Result<(), Distrust> {
        self.0()
    }
}

fn client(tls: TlsConfig) -> Client {
    let connector = Connector::builder().mode(Mode::SinglePath).build().unwrap();
    Client::builder(connector).tls(tls).build()
}

#[tokio::test]
async fn who_is_asked_decides_and_a_pin_still_has_to_fit() {
    let identity = Authority::new().sign();
    let url = serve(identity.acceptor(&[&TLS13], &["http/1.1"], None), greet).await;
    let (yes, no) = (
        Oracle::new(Ok(())),
        Oracle::new(Err(Distrust::new("it is not on the list"))),
    );
    let tls = |trust: &Arc<Oracle>| TlsConfig::new().with_trust(Arc::<Oracle>::clone(trust));
    let response = soon(client(tls(&yes)).get(&url).send()).await.unwrap();
    assert_eq!(soon(response.bytes(10)).await.unwrap(), "hello");
    assert_eq!(
        *yes.asked.lock().unwrap(),
        [(1, "127.0.0.1".to_owned())],
        "the chain, and the host of the URL"
    );
    let fitting = client(tls(&yes).with_pin(identity.pin()));
    assert!(soon(fitting.get(&url).send()).await.is_ok());
    for wrong in [tls(&no), tls(&yes).with_pin([7; 32])] {
        let refused = soon(client(wrong).get(&url).send()).await.unwrap_err();
        assert!(matches!(refused, Error::Certificate { .. }), "{refused:?}");
    }
    let refused = soon(client(tls(&no)).get(&url).send()).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("is not trusted: it is not on the list;"),
        "{refused}"
    );
}

#[tokio::test]
async fn who_is_asked_may_wait_for_what_the_same_thread_does() {
    let url = serve(
        Authority::new()
            .sign()
            .acceptor(&[&TLS13], &["http/1.1"], None),
        greet,
    )
    .await;
    let (ask, asked) = sync_channel(1);
    let (tell, told) = sync_channel(1);
    let told = Mutex::new(told);
    let trust = Told(move || {
        ask.send(()).unwrap();
        let told = told.lock().unwrap();
        told.recv_timeout(Duration::from_secs(10))
            .map_err(|_| Distrust::new("nothing else went on"))
    });
    // On the thread of this test, which is the runtime's only one.
    tokio::spawn(async move {
        while asked.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        tell.send(()).unwrap();
    });
    let client = client(TlsConfig::new().with_trust(Arc::new(trust)));
    assert!(soon(client.get(&url).send()).await.is_ok());
}

#[tokio::test]
async fn who_takes_too_long_to_answer_is_not_waited_for() {
    let acceptor = Authority::new().sign().acceptor(&[&TLS13], &["h2"], None);
    let url = serve(acceptor, greet).await;
    let (release, released) = sync_channel::<()>(1);
    let released = Mutex::new(released);
    let trust = Told(move || {
        let _ = released.lock().unwrap().recv();
        Ok(())
    });
    let client = client(TlsConfig::new().with_trust(Arc::new(trust)));
    let request = client.get(&url).timeout(Duration::from_millis(200));
    let late = soon(request.send()).await.unwrap_err();
    assert!(matches!(late, Error::Timeout { .. }), "{late:?}");
    drop(release);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_asked_about() {
    let acceptor = Authority::new().sign().acceptor(&[&TLS13], &["h2"], None);
    let url = serve(acceptor, greet)
        .await
        .replace("127.0.0.1", "localhost");
    let yes = Oracle::new(Ok(()));
    let client = client(TlsConfig::new().with_trust(Arc::<Oracle>::clone(&yes)));
    let refused = soon(client.get(&url).send()).await.unwrap_err();
    assert!(matches!(refused, Error::Certificate { .. }), "{refused:?}");
    assert_eq!(yes.times(), 0);
}

#[tokio::test]
async fn a_trusted_certificate_without_its_key_is_worth_nothing() {
    let identity = Authority::new().sign();
    for version in [&TLS12, &TLS13] {
        let url = serve(identity.acceptor_of_impostor(version), greet).await;
        let yes = Oracle::new(Ok(()));
        let tls = TlsConfig::new().with_trust(Arc::<Oracle>::clone(&yes));
        let refused = soon(client(tls).get(&url).send()).await.unwrap_err();
        let wrong = matches!(refused, Error::Certificate { .. } | Error::Tls { .. });
        assert!(wrong, "{version:?}: {refused:?}");
    }
}

#[tokio::test]
async fn roots_that_are_named_are_not_asked_about() {
    let authority = Authority::new();
    let acceptor = authority.sign().acceptor(&[&TLS13], &["http/1.1"], None);
    let url = serve(acceptor, greet).await;
    let no = Oracle::new(Err(Distrust::new("nobody")));
    let pem = authority.pem();
    let stranger = Authority::new().pem();
    let tls = || TlsConfig::new().with_trust(Arc::<Oracle>::clone(&no));
    let known = client(tls().with_roots(pem.as_bytes()).unwrap());
    assert!(soon(known.get(&url).send()).await.is_ok());
    let only = client(tls().with_only_roots(stranger.as_bytes()).unwrap());
    assert!(soon(only.get(&url).send()).await.is_err());
    assert_eq!(no.times(), 0);
    let unknown = client(tls().with_roots(stranger.as_bytes()).unwrap());
    assert!(soon(unknown.get(&url).send()).await.is_err());
    assert_eq!(no.times(), 1);
}

#[tokio::test]
async fn who_panics_when_asked_trusts_nobody() {
    let acceptor = Authority::new().sign().acceptor(&[&TLS13], &["h2"], None);
    let url = serve(acceptor, greet).await;
    let trust = Told(|| panic!("it knows not what to say"));
    let client = client(TlsConfig::new().with_trust(Arc::new(trust)));
    let refused = soon(client.get(&url).send()).await.unwrap_err();
    assert!(matches!(refused, Error::Tls { .. }), "{refused:?}");
}
