//! Two routers beside each other that share the flows between them, and one of the two ways is not like the other.

use twinpath_lab::{Cable, CableFaults, StripMode};
use twinpath_tests::{Said, Speaks, Ward};

use super::{ROUTERS, all_in, changed, path, state, vanish, verdict};

/// Which router has another beside it.
const AT: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Strip,
    Drop,
    /// And the other router quotes 8 bytes.
    StripUnquoted,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    speaks: Speaks,
    v6: bool,
    does: Does,
    /// The cable towards the other router, or the one behind it.
    is_before: bool,
}

/// Asks until flows have taken both ways: chance sends all of them one way once in 128 times, and then what is said must be
/// true of that one.
fn ask_until_both(ward: &Ward, v6: bool, assert_one: impl Fn(&Said)) -> Said {
    for _ in 0..4 {
        let said = ward.ask(v6, &["--trace"]);
        if state(&said, "flows") == Some("differ") {
            return said;
        }
        assert_one(&said);
    }
    panic!("flows took one way four times");
}

#[test]
fn a_way_that_some_flows_take_is_found_with_its_routers_and_not_those_of_the_other() {
    let cell = |speaks, v6, does, is_before| Cell {
        speaks,
        v6,
        does,
        is_before,
    };
    let cells = [
        cell(Speaks::Mptcp, false, Does::Strip, true),
        cell(Speaks::Mptcp, true, Does::Strip, false),
        cell(Speaks::Doctor, true, Does::Strip, true),
        cell(Speaks::Doctor, false, Does::Strip, false),
        cell(Speaks::Mptcp, false, Does::Drop, true),
        cell(Speaks::Doctor, true, Does::Drop, false),
        cell(Speaks::Mptcp, false, Does::StripUnquoted, true),
    ];
    let make = |cell: &Cell| Ward::with_twin(ROUTERS, AT, cell.speaks);
    all_in(make, &cells, |ward, cell| {
        let twin = ward.chain.twin().unwrap();
        let cable: &Cable = if cell.is_before {
            twin.before()
        } else {
            twin.behind()
        };
        let change = |faults: &mut CableFaults| match cell.does {
            Does::Drop => faults.out.drop = StripMode::Syn,
            Does::Strip | Does::StripUnquoted => faults.out.strip = StripMode::Syn,
        };
        cable.set(change);
        if cell.does == Does::StripUnquoted {
            twin.before().set(|faults| faults.quote = Some(8));
        }
        let at = u64::from(AT);
        let between = match (cell.does, cell.is_before) {
            (Does::StripUnquoted, _) => (at - 1, at + 1),
            (_, true) => (at - 1, at),
            (_, false) => (at, at + 1),
        };
        let word = match cell.does {
            Does::Drop => "syn_dropped",
            _ => "stripped_out",
        };
        let told = |said: &Said| {
            let trace = &path(said)["trace"];
            match cell.does {
                Does::Drop => vanish(trace),
                _ => changed(trace, "MPTCP"),
            }
        };
        let said = ask_until_both(ward, cell.v6, |said| match verdict(said) {
            "works" => assert_eq!(told(said), None, "{said:?}"),
            other => assert_eq!((other, told(said)), (word, Some(between)), "{said:?}"),
        });
        assert_eq!(
            (verdict(&said), told(&said)),
            (word, Some(between)),
            "{said:?}"
        );
        // The router of that hop is the one on this way.
        let hop = &path(&said)["trace"]["hops"][usize::from(AT) - 1];
        let from = twin.address(cell.v6).to_string();
        assert_eq!(hop["from"], serde_json::json!([from]), "{said:?}");
        assert!(
            path(&said)["findings"]
                .to_string()
                .contains("on some flows")
        );
    });
}

#[test]
fn ways_that_are_alike_are_not_said_to_differ() {
    let Some(ward) = Ward::with_twin(ROUTERS, 2, Speaks::Mptcp) else {
        return;
    };
    for v6 in [false, true] {
        let said = ward.ask(v6, &["--trace"]);
        assert_eq!((verdict(&said), said.code), ("works", 0), "{said:?}");
        assert_eq!(state(&said, "flows"), None);
        let hop = path(&said)["trace"]["hops"][1]["from"].as_array().unwrap();
        assert_eq!(hop.len(), 1, "a trace is of one flow: {said:?}");
    }
}
