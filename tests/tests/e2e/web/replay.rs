//! Requests whose path dies before they are answered.

use std::time::{Duration, Instant};

use twinpath::Standby;
use twinpath::http::{Body, Client, Error, Method, Response};
use twinpath_tests::{Hash, content, ms, soon};

use super::{WebScene, play};

/// Half a second to find out, and a normal request on cellular: TCP, TLS and the request.
const LIMIT: Duration = ms(500 + 4 * 60);

/// Sends a request that the server has read and answers late, and has Wi-Fi die meanwhile.
async fn cut_off(
    scene: &WebScene<'_>,
    client: &Client,
    method: Method,
    url: &str,
    key: Option<&str>,
) -> (Result<Response, Error>, Duration) {
    let before = scene.server.book.entries().len();
    let mut request = client.request(method.clone(), url);
    if method != Method::GET {
        request = request.body("amount=1");
    }
    if let Some(key) = key {
        request = request.idempotency_key(key);
    }
    let request = request.send();
    let strike = async {
        let read = |entries: &[twinpath_tests::Entry]| {
            entries.len() > before && entries[before..].iter().all(|it| it.body.is_some())
        };
        scene.server.book.until("the request was read", read).await;
        (Instant::now(), scene.blackhole())
    };
    let both = async { tokio::join!(request, strike) };
    let (result, (struck, dropped)) = soon("the request", both).await;
    let took = struck.elapsed();
    scene.wifi().assert_dropped_since(&dropped);
    (result, took)
}

#[test]
fn a_get_is_sent_again_over_cellular() {
    for https in [false, true] {
        play(async |scene| {
            let client = scene.client(Standby::Cold);
            let url = scene.url(https, "file?size=1000&seed=2&head=700");
            let (result, took) = cut_off(scene, &client, Method::GET, &url, None).await;
            let response = result.unwrap();
            let report = response.report();
            assert_eq!(response.bytes(10_000).await.unwrap(), content(2, 1000));
            let account = report.summary();
            assert_eq!((account.replays, account.failovers), (1, 1));
            assert!(took < LIMIT + ms(700), "{took:?}: {account:?}");
            assert!(account.on_backup() > 1000, "{account:?}");
        });
    }
}

#[test]
fn a_post_is_not_applied_twice() {
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let url = scene.url(true, "apply?id=1&head=700");
        let (result, took) = cut_off(scene, &client, Method::POST, &url, None).await;
        assert!(
            matches!(&result, Err(Error::NotReplayable { .. })),
            "{result:?}"
        );
        assert!(took < LIMIT, "{took:?}");
        assert_eq!(scene.server.book.applied("id=1"), 1);
        // The next one takes cellular at once.
        let began = Instant::now();
        let next = client.post(scene.url(true, "apply?id=2")).body("x").send();
        assert!(
            soon("the next one", next)
                .await
                .unwrap()
                .status()
                .is_success()
        );
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
        assert_eq!(scene.server.book.applied("id=2"), 1);
    });
}

#[test]
fn a_post_with_a_key_is_sent_again_and_applied_once() {
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let url = scene.url(false, "apply?id=1&head=700");
        let (result, _) = cut_off(scene, &client, Method::POST, &url, Some("k1")).await;
        assert!(result.unwrap().status().is_success());
        let book = scene.server.book.entries();
        assert_eq!(book.len(), 2);
        assert_eq!(book[1].body, Some(Hash::of(b"amount=1")));
        assert_eq!(scene.server.book.applied("id=1"), 1);
    });
}

#[test]
fn a_put_is_sent_again_but_not_behind_a_newer_one() {
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let url = scene.url(true, "apply?id=1&head=700");
        let (result, _) = cut_off(scene, &client, Method::PUT, &url, None).await;
        assert!(result.unwrap().status().is_success());
        scene.wifi().heal();
    });
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let url = scene.url(true, "apply?id=1&head=1500");
        let newer = client.put(&url).body("newer").send();
        let both = async {
            let second = async {
                let first = |entries: &[twinpath_tests::Entry]| !entries.is_empty();
                scene.server.book.until("the first one", first).await;
                newer.await
            };
            let strike = async {
                let both = |entries: &[twinpath_tests::Entry]| {
                    entries.len() == 2 && entries.iter().all(|it| it.body.is_some())
                };
                scene.server.book.until("both", both).await;
                scene.blackhole()
            };
            tokio::join!(client.put(&url).body("older").send(), second, strike)
        };
        let (first, second, dropped) = soon("both requests", both).await;
        scene.wifi().assert_dropped_since(&dropped);
        assert!(matches!(first, Err(Error::Superseded { .. })), "{first:?}");
        assert!(second.unwrap().status().is_success());
        let last = scene.server.book.entries().pop().unwrap();
        assert_eq!(last.body, Some(Hash::of(b"newer")));
    });
}

#[test]
fn an_upload_that_can_be_made_again_goes_over_cellular() {
    const SIZE: usize = 2_000_000;
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, content(8, SIZE)).unwrap();
        let url = scene.url(true, "apply?id=1");
        let request = client.put(&url).body(Body::file(&file).unwrap()).send();
        let strike = async {
            let wifi = scene.wifi();
            while wifi.counters().up.delivered.tcp_payload < (SIZE / 4) as u64 {
                tokio::time::sleep(ms(5)).await;
            }
            (Instant::now(), scene.blackhole())
        };
        let both = async { tokio::join!(request, strike) };
        let (result, (struck, dropped)) = soon("the upload", both).await;
        scene.wifi().assert_dropped_since(&dropped);
        let response = result.unwrap();
        assert!(response.status().is_success());
        let account = response.report().summary();
        assert_eq!((account.replays, account.failovers), (1, 1), "{account:?}");
        let last = scene.server.book.entries().pop().unwrap();
        assert_eq!(last.body, Some(Hash::of(&content(8, SIZE))));
        assert!(struck.elapsed() < ms(4000), "{:?}", struck.elapsed());
    });
}

#[test]
fn what_can_be_read_but_once_is_not_sent_twice() {
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let url = scene.url(false, "apply?id=1&head=700");
        let body = Body::once(Some(5), &b"12345"[..]);
        let request = client.put(&url).body(body).send();
        let strike = async {
            let read =
                |entries: &[twinpath_tests::Entry]| entries.iter().any(|it| it.body.is_some());
            scene.server.book.until("the request was read", read).await;
            scene.blackhole()
        };
        let both = async { tokio::join!(request, strike) };
        let (result, _) = soon("the request", both).await;
        assert!(
            matches!(&result, Err(Error::NotReplayable { .. })),
            "{result:?}"
        );
        assert_eq!(scene.server.book.entries().len(), 1);
    });
}

#[test]
fn a_connect_and_a_handshake_into_a_dead_wifi_end_on_cellular() {
    play(async |scene| {
        let before = scene.blackhole();
        let client = scene.client(Standby::Cold);
        let began = Instant::now();
        let response = client.post(scene.url(true, "apply?id=1")).body("x").send();
        assert!(
            soon("the answer", response)
                .await
                .unwrap()
                .status()
                .is_success()
        );
        scene.wifi().assert_dropped_since(&before);
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    });
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let connections = scene.server.book.connections();
        let request = client.post(scene.url(true, "apply?id=1")).body("x").send();
        let strike = async {
            // TCP is up, and TLS is not.
            scene.server.book.until_connected(connections).await;
            (Instant::now(), scene.blackhole())
        };
        let both = async { tokio::join!(request, strike) };
        let (result, (struck, before)) = soon("the answer", both).await;
        assert!(result.unwrap().status().is_success());
        scene.wifi().assert_dropped_since(&before);
        assert!(struck.elapsed() < LIMIT, "{:?}", struck.elapsed());
        assert_eq!(scene.server.book.applied("id=1"), 1);
    });
}
