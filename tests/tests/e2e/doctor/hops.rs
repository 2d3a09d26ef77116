//! `--trace` names the hop, and never a wrong one.

use twinpath_lab::{CableFaults, StripHow, StripMode};
use twinpath_tests::{Said, Speaks, Ward, ms};

use super::{ROUTERS, all, all_in, changed, needs, only, pairs, path, vanish, verdict};

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

/// Something that drops SYNs with the option, or the answers to them.
#[derive(Debug, Clone, Copy)]
struct Drops {
    speaks: Speaks,
    is_out: bool,
    v6: bool,
    cable: u8,
    /// What routers 1 to 4 do.
    routers: &'static str,
    /// What is to be said of the trace that it belongs to.
    told: Option<(u64, u64)>,
}

fn drops() -> Vec<Drops> {
    let mut all = Vec::new();
    for ((is_out, v6), cable) in pairs(pairs([true, false], &FAMILIES), &[0, 1, 2, 3, 4]) {
        let after = u64::from(if is_out { cable } else { ROUTERS - cable });
        all.push(Drops {
            speaks: Speaks::Doctor,
            is_out,
            v6,
            cable,
            routers: "wwww",
            told: Some((after, after + 1)),
        });
    }
    // Without the other end nothing is known of the way back but that it is there; and that nothing comes of a SYN behind
    // the last router has two explanations.
    for (is_out, cable) in [(false, 0), (false, 2), (false, 4), (true, 4)] {
        all.push(Drops {
            speaks: Speaks::Mptcp,
            is_out,
            v6: cable != 2,
            cable,
            routers: "wwww",
            told: None,
        });
    }
    all.push(Drops {
        speaks: Speaks::DoctorWithoutTrace,
        is_out: false,
        v6: true,
        cable: 1,
        routers: "wwww",
        told: None,
    });
    // For what vanishes a quote of 8 bytes is enough, and silent routers widen it. Hops are counted from the server.
    for (routers, cable, told) in [
        ("8888", 2, (2, 3)),
        ("ww8w", 3, (1, 2)),
        ("wwsw", 3, (1, 3)),
        ("wwws", 4, (0, 2)),
        ("swww", 0, (3, 4)),
    ] {
        all.push(Drops {
            speaks: Speaks::Doctor,
            is_out: false,
            v6: cable == 3,
            cable,
            routers,
            told: Some(told),
        });
    }
    all
}

#[test]
fn who_drops_syns_or_the_answers_to_them_is_named_at_every_hop_or_nobody_is() {
    let make = |cell: &Drops| Ward::new(ROUTERS, cell.speaks);
    all_in(make, &drops(), |ward, cell| {
        only(ward, cell.cable, |faults| match cell.is_out {
            true => faults.out.drop = StripMode::Syn,
            false => faults.back.drop = StripMode::SynAck,
        });
        for (number, does) in (1..).zip(cell.routers.chars()) {
            ward.chain.cable(number).set(|faults| quote(faults, does));
        }
        let said = ward.ask(cell.v6, &["--trace"]);
        assert_eq!((verdict(&said), said.code), ("syn_dropped", 2), "{said:?}");
        let path = path(&said);
        assert_eq!(path["fallback_ms"], 3000);
        // A server that has seen the option goes on granting it.
        let (is_accepted, is_given_up) =
            (&path["fallback_measured_ms"], &path["fallback_exceeds_ms"]);
        assert_eq!(
            (is_accepted.is_null(), is_given_up.is_null()),
            (!cell.is_out, cell.is_out),
            "{said:?}"
        );
        let on = match cell.is_out {
            true => cell.told.map(|_| "out"),
            false => Some("back"),
        };
        assert_eq!(path["dropped_on"].as_str(), on, "{said:?}");
        let told = ["trace", "trace_back"].map(|it| vanish(&path[it]));
        let expected = match cell.is_out {
            true => [cell.told, None],
            false => [None, cell.told],
        };
        assert_eq!(told, expected, "{said:?}");
        assert_eq!(needs(&said, "--listen"), cell.told.is_none(), "{said:?}");
        if cell.speaks == Speaks::DoctorWithoutTrace {
            let error = path["trace_back"]["error"].as_str().unwrap();
            assert!(error.contains("CAP_NET_RAW"), "{said:?}");
        }
        let harmed = ward.chain.client().mptcp_mib("MPCapableSYNTXDrop").unwrap();
        assert_eq!(harmed, 0, "the kernel was let drop the option");
        assert_eq!(ward.left_open(), 0, "what was opened is taken back");
        log::info!("took {:?}", said.took);
    });
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
    let cells = [
        (Speaks::Mptcp, "stripped_out"),
        (Speaks::Doctor, "syn_dropped"),
    ];
    let make = |cell: &(Speaks, &str)| Ward::new(9, cell.0);
    all_in(make, &cells, |ward, (_, word)| {
        ward.chain.cable(7).set(|faults| match word {
            "stripped_out" => faults.out.strip = StripMode::Syn,
            _ => faults.back.drop = StripMode::SynAck,
        });
        let said = ward.ask(false, &["--trace"]);
        assert_eq!(verdict(&said), word, "{said:?}");
        let path = path(&said);
        match word {
            "stripped_out" => assert_stripped(&said, StripHow::Overwrite, (7, 8)),
            _ => assert_eq!(vanish(&path["trace_back"]), Some((2, 3)), "{said:?}"),
        }
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
        log::info!("ten hops, {word}, took {:?}", said.took);
    });
}

#[test]
fn what_drops_syns_to_one_port_alone_is_not_taken_for_what_drops_answers() {
    let rules = "table inet t { chain f { type filter hook forward priority filter;
        tcp dport 443 tcp flags & (syn | ack) == syn tcp option mptcp exists drop; }; }";
    let cells: Vec<_> = (1..=ROUTERS).collect();
    all(Speaks::Doctor, &cells, |ward, router| {
        ward.nft(router, rules);
        let said = ward.ask(router % 2 == 0, &["--trace"]);
        assert_eq!((verdict(&said), said.code), ("syn_dropped", 2), "{said:?}");
        let path = path(&said);
        // Behind the last router it may as well be the answers: SYNs to the other end's plain port arrive.
        let is_told = router < ROUTERS;
        let on = is_told.then_some("out");
        assert_eq!(path["dropped_on"].as_str(), on, "{said:?}");
        let hops = is_told.then(|| (u64::from(router), u64::from(router) + 1));
        assert_eq!(vanish(&path["trace"]), hops, "{said:?}");
        assert_eq!(vanish(&path["trace_back"]), None, "{said:?}");
        assert_eq!(needs(&said, "the answers to them"), !is_told, "{said:?}");
    });
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
