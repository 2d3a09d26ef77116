//! `--trace` names the hop, and never a wrong one.

use twinpath_lab::{CableFaults, StripHow, StripMode};
use twinpath_tests::{Said, Speaks, Ward, ms};

use super::{ROUTERS, all, changed, ends, only, pairs, path, verdict};

const HOWS: [StripHow; 2] = [StripHow::Overwrite, StripHow::Remove];
const FAMILIES: [bool; 2] = [false, true];

fn word(how: StripHow) -> &'static str {
    match how {
        StripHow::Overwrite => "nops",
        StripHow::Remove => "removed",
    }
}

fn assert_stripped(said: &Said, how: StripHow, between: (u64, u64)) {
    assert_eq!(verdict(said), "stripped_out", "{said:?}");
    let path = path(said);
    assert_eq!(
        (path["how"].as_str(), path["certainty"].as_str()),
        (Some(word(how)), Some("proven"))
    );
    assert_eq!(changed(&path["trace"], "MPTCP"), Some(between), "{said:?}");
    assert_eq!(said.code, 1);
}

#[test]
fn who_takes_the_option_out_is_named_at_every_hop() {
    let cables: Vec<_> = (0..ROUTERS).collect();
    let cells = pairs(pairs(FAMILIES, &HOWS), &cables);
    all(Speaks::Mptcp, &cells, |ward, ((v6, how), cable)| {
        // Behind the last router only the server itself could tell.

        only(ward, cable, |faults| {
            faults.out.strip = StripMode::Syn;
            faults.out.how = how;
        });
        let said = ward.ask(v6, &["--trace"]);
        assert_stripped(&said, how, (cable.into(), u64::from(cable) + 1));
        assert!(ward.chain.cable(cable).meddled() > 0);
    });
}

#[test]
fn rules_of_nftables_and_iptables_are_found_at_every_router() {
    let rules = [
        "table inet t { chain c { type filter hook prerouting priority raw; tcp flags syn reset tcp option mptcp; }; }",
        "table inet t { chain c { type filter hook postrouting priority raw; tcp flags syn reset tcp option mptcp; }; }",
        "iptables",
    ];
    all(
        Speaks::Mptcp,
        &pairs(rules, &[1, 2, 3]),
        |ward, (rule, router)| {
            let number = u64::from(router);
            let host = ward.chain.router(router);
            let between = match rule {
                "iptables" => {
                    let line = "-t mangle -A FORWARD -p tcp -j TCPOPTSTRIP --strip-options 30";
                    let output = host
                        .command("iptables")
                        .args(line.split(' '))
                        .output()
                        .unwrap();
                    assert!(output.status.success(), "{output:?}");
                    (number, number + 1)
                }
                rule => {
                    ward.nft(router, rule);
                    // What comes in is changed before the router looks at its TTL, what goes out after that.
                    if rule.contains("prerouting") {
                        (number - 1, number)
                    } else {
                        (number, number + 1)
                    }
                }
            };
            let said = ward.ask(false, &["--trace"]);
            assert_stripped(&said, StripHow::Overwrite, between);
        },
    );
}

#[test]
fn who_drops_syns_is_named_at_every_hop_and_for_dropped_answers_no_hop_of_the_way_out_is() {
    let ways = pairs([true, false], &FAMILIES);
    let cables: Vec<_> = (0..=ROUTERS).collect();
    all(
        Speaks::Doctor,
        &pairs(ways, &cables),
        |ward, ((is_out, v6), cable)| {
            only(ward, cable, |faults| match is_out {
                true => faults.out.drop = StripMode::Syn,
                false => faults.back.drop = StripMode::SynAck,
            });
            let said = ward.ask(v6, &["--trace"]);
            assert_eq!((verdict(&said), said.code), ("syn_dropped", 2), "{said:?}");
            let path = path(&said);
            assert_eq!(path["fallback_ms"], 3000);
            let dropped = &path["trace"]["dropped"];
            // Behind the last router it may as well be the answer that is dropped.
            let told = (is_out && cable < ROUTERS).then_some((cable.into(), u64::from(cable) + 1));
            assert_eq!(dropped.as_object().map(|_| ends(dropped)), told, "{said:?}");
            let word = if is_out {
                "behind hop"
            } else {
                "so SYNs with the option arrive"
            };
            assert_eq!(path.to_string().contains(word), told.is_none(), "{said:?}");
            let harmed = ward.chain.client().mptcp_mib("MPCapableSYNTXDrop").unwrap();
            assert_eq!(harmed, 0, "the kernel was let drop the option");
        },
    );
}

#[test]
fn routers_that_quote_little_or_nothing_widen_the_interval_and_never_shift_it() {
    // What routers 1 to 4 do, and the cable that strips, and what is to be said.
    let cells = [
        ("w8ww", 0, (0, 1)),
        ("w8ww", 1, (1, 3)),
        ("8www", 0, (0, 2)),
        ("w88w", 2, (1, 4)),
        ("ws8w", 3, (1, 4)),
        ("sw8w", 1, (0, 2)),
        ("www8", 2, (2, 3)),
    ];
    all(Speaks::Mptcp, &cells, |ward, (routers, cable, between)| {
        for v6 in FAMILIES {
            only(ward, cable, |faults| faults.out.strip = StripMode::Syn);
            for (number, does) in (0..).zip(routers.chars()) {
                ward.chain.cable(number).set(|faults| quote(faults, does));
            }
            let said = ward.ask(v6, &["--trace"]);
            assert_stripped(&said, StripHow::Overwrite, between);
        }
    });
}

fn quote(faults: &mut CableFaults, does: char) {
    match does {
        's' => faults.is_silent = true,
        '8' => faults.quote = Some(8),
        _ => {}
    }
}

#[test]
fn where_no_router_quotes_the_option_nobody_is_blamed() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    for number in 0..ROUTERS {
        ward.chain
            .cable(number)
            .set(|faults| faults.quote = Some(8));
    }
    ward.chain
        .cable(2)
        .set(|faults| faults.out.strip = StripMode::Syn);
    let said = ward.ask(false, &["--trace"]);
    assert_eq!(verdict(&said), "not_negotiated", "{said:?}");
    assert_eq!(changed(&path(&said)["trace"], ""), None);
    assert!(!path(&said)["needs"].as_array().unwrap().is_empty());
}

#[test]
fn nat_and_a_rewritten_mss_are_found_beside_the_option() {
    let rules = "table ip t {
        chain n { type nat hook postrouting priority srcnat; oifname \"east\" masquerade; };
        chain m { type filter hook forward priority mangle; tcp flags syn tcp option maxseg size set 1300; }; }";
    let cells = [1, 2, 3];
    all(Speaks::Mptcp, &cells, |ward, router| {
        ward.nft(router, rules);
        only(ward, 3, |faults| faults.out.strip = StripMode::Syn);
        let said = ward.ask(false, &["--trace"]);
        // Another device, behind the NAT or the same.
        assert_stripped(&said, StripHow::Overwrite, (3, 4));
        let number = u64::from(router);
        let trace = &path(&said)["trace"];
        assert_eq!(
            changed(trace, "MSS changed to 1300"),
            Some((number, number + 1)),
            "{said:?}"
        );
        let findings = path(&said)["findings"].as_array().unwrap();
        assert!(
            findings
                .iter()
                .any(|it| it["topic"] == "mss" && it["state"] == "rewritten")
        );
    });
}

#[test]
fn ten_hops_are_traced_within_fifteen_seconds_and_asked_once_a_second() {
    let Some(ward) = Ward::new(9, Speaks::Mptcp) else {
        return;
    };
    ward.chain
        .cable(7)
        .set(|faults| faults.out.strip = StripMode::Syn);
    let said = ward.ask(false, &["--trace"]);
    assert_stripped(&said, StripHow::Overwrite, (7, 8));
    assert!(said.took < ms(15_000), "{:?}", said.took);
    let seconds = said.took.as_secs() + 1;
    for number in 0..9 {
        let errors = ward.chain.cable(number).errors();
        assert!(
            (1..=seconds).contains(&errors),
            "router {}: {errors} in {seconds} s",
            number + 1
        );
    }
    log::info!("ten hops took {:?}", said.took);
}

#[test]
fn where_packets_take_turns_between_paths_the_interval_holds_the_truth() {
    let cells: Vec<_> = (0..ROUTERS).collect();
    all(Speaks::Mptcp, &cells, |ward, cable| {
        only(ward, cable, |faults| {
            faults.out.strip = StripMode::Syn;
            faults.out.takes_turns = true;
        });
        for v6 in FAMILIES {
            let said = ward.ask(v6, &["--trace"]);
            let Some((after, by)) = changed(&path(&said)["trace"], "MPTCP") else {
                continue;
            };
            let cable = u64::from(cable);
            assert!(after <= cable && by > cable, "cable {cable}: {said:?}");
        }
    });
}
