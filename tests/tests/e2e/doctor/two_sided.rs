//! Against `twinpath doctor --listen`: both directions are certain.

use twinpath_lab::{StripHow, StripMode};
use twinpath_tests::{Speaks, Ward};

use super::{ROUTERS, all, changed, only, pairs, path, verdict, way};

#[test]
fn who_takes_the_option_out_on_the_way_back_is_named_at_every_hop() {
    let hows = [StripHow::Overwrite, StripHow::Remove];
    let cables: Vec<_> = (0..=ROUTERS).collect();
    let cells = pairs(pairs([false, true], &hows), &cables);
    all(Speaks::Doctor, &cells, |ward, ((v6, how), cable)| {
        // Behind the last router before the client only the client sees it, and knows that it was sent.

        only(ward, cable, |faults| {
            faults.back.strip = StripMode::SynAck;
            faults.back.how = how;
        });
        let said = ward.ask(v6, &["--trace"]);
        assert_eq!(verdict(&said), "stripped_back", "{said:?}");
        assert_eq!(path(&said)["certainty"], "proven");
        let from_there = u64::from(ROUTERS - cable);
        let between = changed(&path(&said)["trace_back"], "MPTCP");
        assert_eq!(between, Some((from_there, from_there + 1)), "{said:?}");
    });
}

#[test]
fn what_is_lost_behind_the_last_router_is_proven() {
    let cells = [(StripHow::Overwrite, "nops"), (StripHow::Remove, "removed")];
    all(Speaks::Doctor, &cells, |ward, (how, word)| {
        only(ward, ROUTERS, |faults| {
            faults.out.strip = StripMode::Syn;
            faults.out.how = how;
        });
        let said = ward.ask(false, &["--trace"]);
        let path = path(&said);
        assert_eq!(
            (verdict(&said), path["how"].as_str()),
            ("stripped_out", Some(word)),
            "{said:?}"
        );
        assert_eq!(path["certainty"], "proven");
        let between = changed(&path["trace"], "MPTCP");
        assert_eq!(between, Some((ROUTERS.into(), u64::from(ROUTERS) + 1)));
    });
}

#[test]
fn the_other_end_tells_the_options_in_their_order() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Doctor) else {
        return;
    };
    let said = ward.ask(true, &[]);
    assert_eq!(verdict(&said), "works", "{said:?}");
    let evidence = path(&said)["evidence"].to_string();
    let options = "mss 1440, sack-permitted, timestamp, nop, window-scale";
    assert!(
        evidence.contains(options) && evidence.contains("mp_capable v1"),
        "{evidence}"
    );
    assert!(
        evidence.contains("is MPTCP here and MPTCP there"),
        "{evidence}"
    );
}

#[test]
fn data_that_something_changes_is_found_in_each_direction() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Doctor) else {
        return;
    };
    for is_out in [true, false] {
        only(&ward, 2, |faults| {
            way(faults, is_out).alter = Some((b',', b';'));
        });
        let said = ward.ask(false, &[]);
        let findings = path(&said)["findings"].as_array().unwrap();
        let payload = findings.iter().find(|it| it["topic"] == "payload").unwrap();
        assert_eq!(
            (payload["state"].as_str(), said.code),
            (Some("changed"), 2),
            "{said:?}"
        );
        assert_eq!(verdict(&said), "data_changed", "{said:?}");
        let text = payload["text"].as_str().unwrap();
        let whole = if is_out {
            "back: unchanged"
        } else {
            "out: unchanged"
        };
        assert!(text.contains(whole), "{text}");
    }
}

#[test]
fn who_takes_the_option_out_after_the_handshake_is_named_in_each_direction() {
    let cells = pairs(pairs([true, false], &[true, false]), &[1, 3]);
    all(Speaks::Doctor, &cells, |ward, ((is_out, v6), cable)| {
        only(ward, cable, |faults| {
            way(faults, is_out).strip = StripMode::NonSyn;
        });
        let said = ward.ask(v6, &["--trace"]);
        assert_eq!(
            (verdict(&said), said.code),
            ("stripped_later", 1),
            "{said:?}"
        );
        let (trace, after) = match is_out {
            true => ("trace", u64::from(cable)),
            false => ("trace_back", u64::from(ROUTERS - cable)),
        };
        let between = changed(&path(&said)[trace], "MPTCP");
        assert_eq!(between, Some((after, after + 1)), "{said:?}");
    });
}
