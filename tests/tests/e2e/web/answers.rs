//! Answers of servers that do not do what one would like.

use std::time::Instant;

use twinpath::Standby;
use twinpath::http::{Error, StatusCode, Version};
use twinpath_tests::{Hash, content, ms, soon};

use super::scene::Came;
use super::{WebScene, play};

const SIZE: usize = 400_000;

/// Everything that comes of a GET.
async fn get(
    scene: &WebScene<'_>,
    https: bool,
    rest: &str,
) -> (Came, Result<(), Error>, twinpath::http::RequestSummary) {
    let client = scene.client(Standby::Cold);
    let url = scene.url(https, rest);
    let mut response = soon("the head", client.get(&url).send()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut came = Came::default();
    let result = came.read_all(&mut response).await;
    (came, result, response.report().summary())
}

#[test]
fn what_breaks_off_goes_on_whatever_the_server_does_for_it() {
    play(async |scene| {
        for https in [false, true] {
            for (how, restarts) in [
                ("etag=strong", 0),
                ("etag=strong&length=0", 0),
                // Without a part of the same, it is compared from its start.
                ("etag=strong&ranges=0", 1),
                ("etag=weak", 1),
                ("etag=none", 1),
                ("etag=none&length=0", 1),
            ] {
                let rest = format!("file?id={https}&size={SIZE}&seed=5&cut=100000&{how}");
                let (came, result, account) = get(scene, https, &rest).await;
                result.unwrap();
                assert_eq!(came.hash(), Hash::of(&content(5, SIZE)), "{rest}");
                // A stream that is reset may never have shown its head.
                if account.replays == 0 {
                    let done = (account.resumes, account.restarts);
                    assert_eq!(done, (1 - restarts, restarts), "{rest}");
                    assert_eq!(
                        account.fetched_again > 0,
                        restarts > 0,
                        "{rest}: {account:?}"
                    );
                }
                assert_eq!(account.failovers, 0, "{rest}");
                // Nothing that had come, and was known to be right, came again.
                assert_eq!(
                    account.fetched_again > 0,
                    restarts > 0,
                    "{rest}: {account:?}"
                );
                assert!(account.fetched_again <= 100_000, "{rest}: {account:?}");
            }
        }
        assert_eq!(scene.cellular().counters().bytes_offered(), 0);
    });
}

#[test]
fn what_has_changed_meanwhile_is_never_put_together_from_two() {
    play(async |scene| {
        for how in [
            "etag=strong",
            "etag=weak",
            "etag=none",
            "etag=strong&ranges=0",
        ] {
            let rest = format!("file?size={SIZE}&seed=5&cut=100000&change=1&{how}");
            let (came, result, _) = get(scene, false, &rest).await;
            let received = came.bytes.len() as u64;
            assert!(
                matches!(result, Err(Error::ResourceChanged { received: told }) if told == received),
                "{how}: {result:?} after {received}"
            );
            assert_eq!(came.bytes, content(5, SIZE)[..came.bytes.len()], "{how}");
        }
        let rest = format!("file?size={SIZE}&seed=5&cut=100000&lie=1");
        let (came, result, _) = get(scene, true, &rest).await;
        assert!(
            matches!(result, Err(Error::ResourceChanged { .. })),
            "{result:?}"
        );
        assert_eq!(came.bytes, content(5, SIZE)[..came.bytes.len()]);
    });
}

#[test]
fn a_server_that_always_breaks_off_is_gone_on_with_as_long_as_something_comes() {
    play(async |scene| {
        // A part begins behind the byte at which the connection ends: nothing ever comes of it.
        for how in ["etag=strong", "etag=none"] {
            let rest = format!("file?size={SIZE}&seed=5&cut=100000&cuts=100&{how}");
            let began = Instant::now();
            let (came, result, _) = get(scene, false, &rest).await;
            assert!(matches!(result, Err(Error::Truncated { .. })), "{result:?}");
            // What was under way when the connection ended may be lost.
            assert!((50_000..=100_000).contains(&came.bytes.len()));
            assert_eq!(came.bytes, content(5, SIZE)[..came.bytes.len()]);
            assert!(began.elapsed() < ms(5000), "{:?}", began.elapsed());
        }
    });
}

#[test]
fn a_server_that_takes_its_time_causes_no_failover() {
    play(async |scene| {
        let rest = format!("file?size={SIZE}&seed=5&pause=100000&for=5000");
        let slow = get(scene, true, &rest);
        let late = get(scene, false, "file?size=1000&seed=6&head=5000");
        let trickle = get(scene, false, "file?size=3000&seed=7&trickle=100");
        for (seed, size, (came, result, account)) in [
            (5, SIZE, slow.await),
            (6, 1000, late.await),
            (7, 3000, trickle.await),
        ] {
            result.unwrap();
            assert_eq!(came.hash(), Hash::of(&content(seed, size)));
            assert_eq!(
                (account.failovers, account.replays, account.resumes),
                (0, 0, 0)
            );
        }
        assert_eq!(scene.cellular().counters().bytes_offered(), 0);
        assert_eq!(scene.server.book.entries().len(), 3);
    });
}

#[test]
fn compression_is_taken_off_and_goes_on_where_it_broke() {
    play(async |scene| {
        for (how, restarts) in [("etag=strong", 0), ("etag=weak", 1)] {
            let rest = format!("file?size={SIZE}&seed=5&gzip=1&cut=50000&{how}");
            let (came, result, account) = get(scene, true, &rest).await;
            result.unwrap();
            assert_eq!(came.hash(), Hash::of(&content(5, SIZE)), "{how}");
            assert_eq!(
                (account.restarts, account.resumes),
                (restarts, 1 - restarts),
                "{account:?}"
            );
        }
    });
}

#[test]
fn a_part_that_the_caller_asked_for_goes_on_within_it() {
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let url = scene.url(true, &format!("file?size={SIZE}&seed=5&cut=150000"));
        let asked = client
            .get(&url)
            .header("range", "bytes=100000-199999")
            .send();
        let mut response = soon("the head", asked).await.unwrap();
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        let mut came = Came::default();
        came.read_all(&mut response).await.unwrap();
        assert_eq!(came.bytes, content(5, SIZE)[100_000..200_000]);
        let ranges: Vec<_> = scene
            .server
            .book
            .entries()
            .into_iter()
            .map(|it| it.range.unwrap())
            .collect();
        assert_eq!(ranges, ["bytes=100000-199999", "bytes=150000-199999"]);
    });
}

#[test]
fn redirects_and_requests_to_come_back_later_are_followed() {
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let url = scene.url(false, "redirect?to=/redirect%3Fto%3D/file%3Fsize%3D10");
        let response = soon("the answer", client.get(&url).send()).await.unwrap();
        assert_eq!(response.url(), scene.url(false, "file?size=10"));
        assert_eq!(response.report().summary().redirects, 2);
        assert_eq!(response.bytes(100).await.unwrap(), content(1, 10));
        let circle = scene.url(false, "redirect?to=redirect");
        let circle = soon("the error", client.get(&circle).send()).await;
        assert!(
            matches!(circle, Err(Error::TooManyRedirects(10))),
            "{circle:?}"
        );
        // Of one that is not followed it does not matter where it leads.
        let unmoved = scene.builder(scene.connector(Standby::Cold)).redirects(0);
        let open = scene.url(true, &format!("redirect?to={}", scene.url(false, "file")));
        let response = soon("the redirect", unmoved.build().get(&open).send()).await;
        assert_eq!(response.unwrap().status(), 302);

        let began = Instant::now();
        let url = scene.url(true, "status?code=503&after=1");
        let response = soon("the answer", client.get(&url).send()).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.text().await.unwrap(), "at last");
        assert!(began.elapsed() >= ms(1000));
        for (rest, status) in [
            ("status?code=425", 200),
            ("status?code=503&after=100000", 503),
            ("status?code=503", 503),
            ("status?code=429&after=0&times=9", 429),
        ] {
            let response = soon("the answer", client.get(scene.url(false, rest)).send())
                .await
                .unwrap();
            assert_eq!(response.status(), status, "{rest}");
        }
    });
}

#[test]
fn who_is_not_trusted_is_told_and_not_talked_to() {
    play(async |scene| {
        let connector = scene.connector(Standby::Cold).build().unwrap();
        let client = twinpath::http::Client::new(connector);
        let refused = client.get(scene.url(true, "file?size=10")).send();
        let refused = soon("the error", refused).await;
        assert!(
            matches!(&refused, Err(Error::Certificate { .. })),
            "{refused:?}"
        );
        assert_eq!(scene.server.book.entries().len(), 0);
        let nobody = scene.url(false, "x").replace(":8080", ":1");
        let nothing = client.get(nobody).send();
        let nothing = soon("the error", nothing).await;
        assert!(matches!(nothing, Err(Error::Connect(_))), "{nothing:?}");
    });
}
