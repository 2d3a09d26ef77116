//! `twinpath fetch` from outside.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use twinpath_tests::{Entry, Hash, Pattern, Scene, Service, Twinpath, content, ms, soon};

use super::{WebScene, play};

const SIZE: usize = 6_000_000;

/// Starts `twinpath fetch` on the client's host.
fn fetch(scene: &WebScene<'_>, folder: &Path, url: &str, more: &[&str]) -> Twinpath {
    let root = folder.join("root.pem");
    std::fs::write(&root, &scene.server.root).unwrap();
    let mut arguments = vec!["fetch", url, "--cacert", root.to_str().unwrap()];
    arguments.extend(more);
    Twinpath::start(scene.scene.world.client(), &arguments)
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn a_download_survives_losing_wifi_and_says_where_its_bytes_came_from() {
    play(async |scene| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let url = scene.url(true, &format!("file?size={SIZE}&seed=3"));
        let sum = sum(&content(3, SIZE));
        let more = [
            "-o",
            file.to_str().unwrap(),
            "--sha256",
            &sum,
            "--events",
            "-",
        ];
        let mut fetching = fetch(scene, folder.path(), &url, &more);
        let some = |entries: &[Entry]| entries.iter().any(|it| it.served >= (SIZE / 3) as u64);
        scene.server.book.until("a third was served", some).await;
        let before = scene.blackhole();
        assert_eq!(fetching.ends().await, 0, "{:#?}", fetching.said());
        scene.wifi().assert_dropped_since(&before);
        assert_eq!(
            Hash::of(&std::fs::read(&file).unwrap()),
            Hash::of(&content(3, SIZE))
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            2,
            "a part is left"
        );
        let said = fetching.said();
        let line = said.iter().rfind(|line| !line.starts_with('{')).unwrap();
        for word in [
            "6.0 MB in",
            "over wlan0",
            "over wwan0",
            "1 failover",
            "1 resume",
        ] {
            assert!(line.contains(word), "no {word}: {line}");
        }
        let events = fetching.events();
        let last = events.last().unwrap();
        assert_eq!(last["event"], "summary");
        assert_eq!(
            (&last["reason"], &last["failovers"], &last["fetched_again"]),
            (&"closed".into(), &1.into(), &0.into())
        );
        assert!(last["stall_ms"].as_u64().unwrap() < 1000, "{last}");
        assert!(
            events.iter().any(|it| it["event"] == "resumed"),
            "{events:?}"
        );
    });
}

#[test]
fn another_run_goes_on_where_the_first_was_stopped() {
    play(async |scene| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        for (https, change) in [(false, ""), (true, ""), (false, "&change=1")] {
            let url = scene.url(
                https,
                &format!("file?size={SIZE}&seed=3&pause=2000000&for=3000{change}"),
            );
            let before = scene.server.book.entries().len();
            let more = ["-o", file.to_str().unwrap()];
            let mut first = fetch(scene, folder.path(), &url, &more);
            let part = folder.path().join("file.part");
            let written = async {
                while std::fs::metadata(&part).map_or(0, |it| it.len()) < 1_900_000 {
                    tokio::time::sleep(ms(10)).await;
                }
            };
            soon("a part", written).await;
            first.terminate().await;
            assert_eq!(first.ends().await, 128 + 15, "{:#?}", first.said());
            assert!(!file.exists());
            let kept = std::fs::metadata(&part).unwrap().len();
            let mut second = fetch(scene, folder.path(), &url, &more);
            assert_eq!(second.ends().await, 0, "{:#?}", second.said());
            let seed = if change.is_empty() { 3 } else { 4 };
            assert_eq!(
                Hash::of(&std::fs::read(&file).unwrap()),
                Hash::of(&content(seed, SIZE)),
                "{change}"
            );
            let entries = scene.server.book.entries();
            assert_eq!(entries[before + 1].range, Some(format!("bytes={kept}-")));
            std::fs::remove_file(&file).unwrap();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    });
}

#[test]
fn exit_codes_are_those_of_curl() {
    play(async |scene| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let file = file.to_str().unwrap();
        let url = |rest| scene.url(false, rest);
        let nobody = scene.url(false, "x").replace(":8080", ":1");
        let zeros = "0".repeat(64);
        for (url, more, code, word) in [
            (url("nothing"), &["-o", file][..], 22, "404"),
            (
                url("file?size=5000&cut=3000&cuts=99"),
                &["-o", file],
                18,
                "broke off",
            ),
            (url("redirect?to=redirect"), &[], 47, "redirected"),
            (url("file?size=10"), &["--sha256", &zeros], 1, "SHA-256"),
            (
                url("file?size=10"),
                &["--primary", "nosuch0"],
                45,
                "nosuch0",
            ),
            (
                url("file?size=10"),
                &["-o", "/nosuchfolder/file"],
                23,
                "cannot write",
            ),
            (nobody, &[], 7, "cannot reach"),
            ("gopher://x/".to_owned(), &[], 1, "neither http nor https"),
            ("http://".to_owned(), &[], 3, "URL"),
        ] {
            let mut fetching = fetch(scene, folder.path(), &url, more);
            let code_then = fetching.ends().await;
            let said = fetching.said().join("\n");
            assert_eq!(code_then, code, "{url}: {said}");
            assert!(said.contains(word), "{url}: {said}");
        }
        let untrusted = scene.url(true, "file?size=10");
        let mut fetching = Twinpath::start(scene.scene.world.client(), &["fetch", &untrusted]);
        assert_eq!(fetching.ends().await, 60, "{:#?}", fetching.said());
    });
}

#[test]
fn data_are_sent_and_the_answer_goes_to_standard_output() {
    play(async |scene| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::write(&data, b"12345").unwrap();
        let at = format!("@{}", data.display());
        let url = scene.url(true, "apply?id=1");
        let mut fetching = fetch(scene, folder.path(), &url, &["-d", &at, "-H", "X-A: b"]);
        let mut output = fetching.output.take().unwrap();
        let mut answer = String::new();
        soon("the answer", output.read_to_string(&mut answer))
            .await
            .unwrap();
        assert_eq!(fetching.ends().await, 0);
        assert_eq!(answer, "5 bytes");
        let entry = scene.server.book.entries().pop().unwrap();
        assert_eq!(
            (entry.method.as_str(), entry.body),
            ("POST", Some(Hash::of(b"12345")))
        );
    });
}

#[test]
fn over_a_gateway_the_connection_itself_survives() {
    Scene::before(Service::Http(SIZE as u64)).play(async |scene| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let gateway = scene.address().to_string();
        let arguments = [
            "fetch",
            "http://web.example/",
            "--gateway",
            &gateway,
            "-o",
            file.to_str().unwrap(),
            "--events",
            "-",
        ];
        let mut fetching = Twinpath::start(scene.world.client(), &arguments);
        let wifi = scene.wifi();
        let served = async {
            while wifi.counters().down.delivered.tcp_payload < (SIZE / 3) as u64 {
                tokio::time::sleep(ms(5)).await;
            }
        };
        soon("a third", served).await;
        let before = wifi.counters();
        wifi.blackhole(twinpath_lab::Direction::Both);
        assert_eq!(fetching.ends().await, 0, "{:#?}", fetching.said());
        wifi.assert_dropped_since(&before);
        let came = std::fs::read(&file).unwrap();
        assert_eq!(Hash::of(&came), Hash::of(&Pattern::new(1).take(SIZE)));
        let last = fetching.events().pop().unwrap();
        assert_eq!(
            (&last["resumes"], &last["replays"]),
            (&0.into(), &0.into()),
            "{last}"
        );
        for path in ["wlan0", "wwan0"] {
            assert!(last["bytes"][path][1].as_u64().unwrap() > 100_000, "{last}");
        }
    });
}
