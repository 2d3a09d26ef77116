//! What needs no privilege works without any: the command in the hands of a user who has none.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath_lab::Direction;
use twinpath_tests::{CELLULAR, Scene, Service, Twinpath, ms, soon};

/// Waits until the events tell of such a claim.
async fn claims(twinpath: &Twinpath, what: &str, is: impl Fn(&Value) -> bool) {
    let told = async {
        while !twinpath.events().iter().any(&is) {
            tokio::time::sleep(ms(10)).await;
        }
    };
    soon(what, told).await;
}

async fn chat(twinpath: &mut Twinpath, words: &str) {
    let (input, output) = (
        twinpath.input.as_mut().unwrap(),
        twinpath.output.as_mut().unwrap(),
    );
    input.write_all(words.as_bytes()).await.unwrap();
    input.flush().await.unwrap();
    let mut back = vec![0; words.len()];
    soon("the echo", output.read_exact(&mut back))
        .await
        .unwrap();
    assert_eq!(back, words.as_bytes());
}

fn start(scene: &Scene, mode: &str) -> Option<Twinpath> {
    let target = scene.address().to_string();
    let arguments = ["connect", &target, "--mode", mode, "--events", "-"];
    Twinpath::start_as_nobody(scene.world.client(), &arguments)
}

async fn survives(scene: &Scene, mode: &str) {
    scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
    let is_lost = |it: &Value| {
        let reason = it["reason"].as_str().unwrap_or_default();
        it["protected"] == false && reason.contains("the primary path is gone")
    };
    let mut twinpath = loop {
        let Some(mut twinpath) = start(scene, mode) else {
            return;
        };
        chat(&mut twinpath, "hello").await;
        let told = |it: &Value| it["protected"] == true || is_lost(it);
        claims(&twinpath, "protected", told).await;
        // A busy machine may let cellular win the race.
        if !twinpath.events().iter().any(is_lost) {
            break twinpath;
        }
    };
    let status = twinpath.status();
    for line in [
        "Uid:\t65534\t",
        "CapEff:\t0000000000000000\n",
        "CapBnd:\t0000000000000000\n",
    ] {
        assert!(status.contains(line), "{status}");
    }
    let before = scene.wifi().counters();
    scene.wifi().blackhole(Direction::Both);
    let began = std::time::Instant::now();
    chat(&mut twinpath, "over cellular").await;
    assert!(began.elapsed() < ms(2500), "{:?}", began.elapsed());
    scene.wifi().assert_dropped_since(&before);
    claims(&twinpath, "the loss of Wi-Fi", is_lost).await;
    assert_eq!(twinpath.ends().await, 0, "{:#?}", twinpath.said());
    let events = twinpath.events();
    let summary = events.last().unwrap();
    assert_eq!(summary["mode"], "kernel-mptcp", "{events:#?}");
    assert!(
        summary["bytes"]["wwan0"][0].as_u64().unwrap() >= 13,
        "{summary}"
    );
}

#[test]
fn a_user_without_privileges_is_protected_when_asking_for_mptcp() {
    Scene::before(Service::Echo).play(async |scene| survives(scene, "kernel").await);
}

#[test]
fn a_user_without_privileges_is_protected_without_asking() {
    Scene::before(Service::Echo).play(async |scene| survives(scene, "auto").await);
}
