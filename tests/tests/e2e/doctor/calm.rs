//! Loss is not mistaken for a middlebox.

use std::time::Instant;

use serde_json::Value;
use twinpath_lab::{Direction, LinkSpec, StripMode, World, or_skip};
use twinpath_tests::{Speaks, Ward, ms};

use super::{all, path, state, verdict};

/// In how many chains at once.
const CHAINS: u32 = 5;

/// How many runs, in all.
fn runs() -> u32 {
    let named = std::env::var("TWINPATH_CALM_RUNS").ok();
    named.and_then(|runs| runs.parse().ok()).unwrap_or(50)
}

#[test]
fn a_clean_path_that_loses_two_in_a_hundred_is_never_called_stripped() {
    let cells: Vec<_> = (0..CHAINS).collect();
    let begin = Instant::now();
    all(Speaks::Mptcp, &cells, |ward, number| {
        ward.chain.cable(2).set(|faults| {
            faults.out.loss = 0.02;
            faults.back.loss = 0.02;
        });
        for run in 0..runs() / CHAINS {
            let v6 = run % 2 == 1;
            // With a trace it takes longer, and without privilege the kernel's retransmissions decide.
            let said = match run % 10 {
                0 => ward.ask(v6, &["--trace"]),
                1..=4 => ward.ask(v6, &[]),
                _ => ward.ask_unprivileged(v6, &[]),
            };
            assert_eq!(
                verdict(&said),
                "works",
                "chain {number}, run {run}: {said:?}"
            );
            // Nor for a box that changes data.
            let findings = path(&said)["findings"].as_array().unwrap();
            let is_blamed = |it: &Value| it["topic"] == "payload" && it["state"] != "unchanged";
            assert!(!findings.iter().any(is_blamed), "{said:?}");
            if let Some(changes) = path(&said)["trace"]["changes"].as_array() {
                assert!(changes.is_empty(), "{said:?}");
            }
            let blamed = ["join", "flows"].map(|it| state(&said, it));
            assert_eq!(blamed, [None, None], "{said:?}");
        }
    });
    log::info!("{} runs took {:?}", runs(), begin.elapsed());
}

#[test]
fn two_paths_are_judged_within_three_seconds_and_the_second_may_join() {
    if Ward::new(1, Speaks::Nothing).is_none() {
        return;
    }
    let links = World::builder()
        .link("wlan0", LinkSpec::wifi())
        .link("wwan0", LinkSpec::cellular());
    let Some(world) = or_skip(links.build()) else {
        return;
    };
    twinpath_tests::serve_mptcp(world.server(), 443);
    let server = world.server_socket(443).to_string();
    let ask_with = |more: &[&str]| {
        let line = [&["doctor", server.as_str(), "--json"], more].concat();
        twinpath_tests::ask_doctor(world.client(), &line)
    };
    let ask = || ask_with(&[]);
    let join = |said: &twinpath_tests::Said| {
        let all = said.json["paths"].as_array().unwrap();
        assert_eq!(all.len(), 2, "{said:?}");
        assert_eq!(all[0]["verdict"], "works", "{said:?}");
        let findings = all[1]["findings"].as_array().unwrap();
        let join = findings.iter().find(|it| it["topic"] == "join");
        join.unwrap_or_else(|| panic!("{said:?}"))["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let said = ask();
    assert_eq!((join(&said).as_str(), said.code), ("works", 0), "{said:?}");
    assert!(said.took < ms(3_000), "{:?}", said.took);
    assert!(said.text.contains("cellular half tested"), "{}", said.text);
    log::info!("two paths took {:?}", said.took);
    let cellular = world.link("wwan0");
    cellular.strip_mptcp(StripMode::SynAck, Direction::Down);
    let said = ask_with(&["--trace"]);
    assert_eq!(
        (join(&said).as_str(), said.code),
        ("stripped", 1),
        "{said:?}"
    );
    let evidence = said.json["paths"][1]["evidence"].to_string();
    assert!(
        evidence.contains("taken out of the answer on the way back"),
        "{said:?}"
    );
    cellular.strip_mptcp(StripMode::Off, Direction::Down);
    // As a load balancer that sends the second path to another server.
    twinpath_tests::serve_mptcp(world.server(), 444);
    let other = format!("{}:444", world.server_addr());
    let rules = format!(
        "table ip t {{ chain c {{ type nat hook prerouting priority dstnat; iifname \"wwan0\" tcp dport 443 dnat to {other}; }}; }}"
    );
    let balancing = world.server().command("nft").arg(&rules).output().unwrap();
    assert!(balancing.status.success(), "{balancing:?}");
    let said = ask();
    assert_eq!(
        (join(&said).as_str(), said.code),
        ("refused", 1),
        "{said:?}"
    );
    assert!(
        said.text.contains("allow_join_initial_addr_port"),
        "{}",
        said.text
    );
    world
        .server()
        .sysctl("mptcp/allow_join_initial_addr_port", "0")
        .unwrap();
    let said = ask();
    assert!(said.json.to_string().contains("flag C"), "{said:?}");
}
