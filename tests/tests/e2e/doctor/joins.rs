//! Devices that let MP_CAPABLE through and not MP_JOIN: connections work, and never get a second path.

use twinpath_lab::{Meddling, StripMode};
use twinpath_tests::{Speaks, Ward};

use super::{ROUTERS, all_in, changed, needs, only, pairs, path, state, vanish, verdict};

/// What is done to joins, or to the answers to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Strip,
    Drop,
}

impl Does {
    const fn word(self) -> &'static str {
        match self {
            Self::Strip => "stripped",
            Self::Drop => "dropped",
        }
    }

    fn do_to(self, ward: &Ward, is_out: bool, cable: u8) {
        only(ward, cable, |faults| {
            let (does, mode): (&mut Meddling, _) = match is_out {
                true => (&mut faults.out, StripMode::Syn),
                false => (&mut faults.back, StripMode::SynAck),
            };
            does.joins_only = true;
            match self {
                Self::Strip => does.strip = mode,
                Self::Drop => does.drop = mode,
            }
        });
    }

    /// Between which hops it is said to be done, of a trace; `None` if not of this one.
    fn between(self, trace: &serde_json::Value) -> Option<(u64, u64)> {
        match self {
            _ if trace.is_null() => None,
            Self::Strip => changed(trace, "MPTCP"),
            Self::Drop => vanish(trace),
        }
    }
}

/// Something that hinders joins.
#[derive(Debug, Clone, Copy)]
struct Hinders {
    speaks: Speaks,
    does: Does,
    is_out: bool,
    v6: bool,
    cable: u8,
    /// What routers 1 to 4 do.
    routers: &'static str,
    /// What is to be said of the trace that it belongs to.
    told: Option<(u64, u64)>,
}

fn hinders() -> Vec<Hinders> {
    use Does::{Drop, Strip};
    let mut all = Vec::new();
    for ((is_out, does), cable) in pairs(pairs([true, false], &[Strip, Drop]), &[0, 1, 2, 3, 4]) {
        let after = u64::from(if is_out { cable } else { ROUTERS - cable });
        all.push(Hinders {
            speaks: Speaks::Doctor,
            does,
            is_out,
            v6: (cable % 2 == 0) == is_out,
            cable,
            routers: "wwww",
            told: Some((after, after + 1)),
        });
    }
    for (does, is_out, cable, routers, told) in [
        // A join of nothing is accepted as a plain SYN: it is known to be on the way out.
        (Strip, true, 4, "wwww", Some((4, 5))),
        // It may as well be the answer.
        (Drop, true, 4, "wwww", None),
        (Strip, false, 2, "wwww", None),
        (Drop, false, 4, "wwww", None),
        (Strip, true, 1, "w8ww", Some((1, 3))),
        (Strip, true, 2, "ws8w", Some((1, 4))),
        // For what vanishes a quote of 8 bytes is enough.
        (Drop, true, 1, "8888", Some((1, 2))),
        (Drop, true, 1, "wsww", Some((1, 3))),
    ] {
        all.push(Hinders {
            speaks: Speaks::Mptcp,
            does,
            is_out,
            v6: cable % 2 == 0,
            cable,
            routers,
            told,
        });
    }
    all
}

#[test]
fn who_hinders_joins_alone_is_named_at_every_hop_and_in_each_direction_or_nobody_is() {
    let make = |cell: &Hinders| Ward::new(ROUTERS, cell.speaks);
    all_in(make, &hinders(), |ward, cell| {
        cell.does.do_to(ward, cell.is_out, cell.cable);
        for (number, router) in (0..).zip(cell.routers.chars()) {
            ward.chain.cable(number).set(|faults| match router {
                's' => faults.is_silent = true,
                '8' => faults.quote = Some(8),
                _ => {}
            });
        }
        let said = ward.ask(cell.v6, &["--trace"]);
        assert_eq!((verdict(&said), said.code), ("works", 1), "{said:?}");
        assert_eq!(state(&said, "join"), Some(cell.does.word()), "{said:?}");
        let path = path(&said);
        let told = ["trace_join", "trace_join_back"].map(|it| cell.does.between(&path[it]));
        let expected = match cell.is_out {
            true => [cell.told, None],
            false => [None, cell.told],
        };
        assert_eq!(told, expected, "{said:?}");
        assert_eq!(changed(&path["trace"], "MPTCP"), None, "{said:?}");
        assert_eq!(needs(&said, "--listen"), cell.told.is_none(), "{said:?}");
        let evidence = path["evidence"].to_string();
        let is_back = evidence.contains("on the way back");
        assert_eq!(is_back, !cell.is_out, "{said:?}");
        assert_eq!(ward.left_open(), 0, "what was opened is taken back");
        log::info!("took {:?}", said.took);
    });
}

#[test]
fn joins_that_get_through_are_said_to_and_are_no_finding() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    let said = ward.ask(true, &["--trace"]);
    assert_eq!((verdict(&said), said.code), ("works", 0), "{said:?}");
    assert_eq!(state(&said, "join"), None);
    let evidence = path(&said)["evidence"].to_string();
    assert!(evidence.contains("lets it join"), "{evidence}");
    assert!(path(&said)["trace_join"].is_null());
    // And where they do not, people and those who run the network are told.
    Does::Strip.do_to(&ward, true, 1);
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let arguments = ["--trace", "--html", page.to_str().unwrap()];
    let server = ward.server(true);
    let said = ward.run(&[&["doctor", server.as_str()], &arguments[..]].concat());
    let words = "of SYNs that join the MPTCP option (30) replaced by NOPs, between hop 1 (";
    assert!(said.text.contains(words), "{}", said.text);
    for words in ["(MP_JOIN) does not", "cannot move", "set deviceconfig"] {
        assert!(said.text.contains(words), "{}", said.text);
    }
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains(words), "{html}");
}
