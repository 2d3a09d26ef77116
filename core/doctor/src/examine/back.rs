//! Between which hops something happens on the way back: by what the other end has traced, and by what has arrived here.

use std::net::SocketAddr;

use serde_json::{Value, json};
use twinpath::diagnosis::{PathToTest, Verdict};
use twinpath_socket::raw::RawPackets;

use super::ExaminedPath;
use super::traced::{WHICH_BACK, either_way};
use crate::listen::{Asked, GetsHere};
use crate::packet::Ask;
use crate::probe::ask;
use crate::trace::{Interval, Trace};

/// Where it is, in the place of the address of a router.
const THIS_END: &str = "this end";

/// What is known once the other end was asked.
pub(super) async fn judge(path: &PathToTest, examined: &mut ExaminedPath, asked: &Asked) {
    examined.back.clone_from(&asked.back);
    let differ = examined.flows.is_some();
    match examined.told.verdict {
        Verdict::StrippedBack(_) if !differ => {
            let needs = &mut examined.told.needs;
            if let Some(back) = &mut examined.back {
                stripped(back, asked.gets_here, needs);
            }
        }
        Verdict::SynDropped { .. } if !differ || examined.arrives => {
            answers_dropped(path, examined, asked).await;
        }
        _ => {}
    }
}

async fn answers_dropped(path: &PathToTest, examined: &mut ExaminedPath, asked: &Asked) {
    if let (Some(trace), false, None) = (&examined.trace, examined.arrives, examined.dropped) {
        // Where the server is was not found out: an interval that ends behind the last hop might be too small.
        if trace.server_at.is_none() {
            return;
        }
        // That it gets to another port says nothing of this one.
        if gets_there(path, asked.port, Ask::Capable).await == Some(false) {
            examined.dropped = Some(behind_the_last(trace));
            let last = examined.dropped.map_or(0, |it| it.after);
            examined.told.needs.retain(|it| *it != either_way(last));
        }
    }
    if !examined.arrives {
        return;
    }
    let needs = &mut examined.told.needs;
    if let Some(back) = &mut examined.back {
        if back["dropped"].is_object() {
            needs.retain(|it| it != WHICH_BACK);
        }
        dropped(back, asked.gets_here, needs);
    }
}

/// Whether a SYN gets to the port that speaks TCP alone, if one without the option does. All answers from there are without
/// the option: if one is missing it is the SYN that was lost.
pub(super) async fn gets_there(path: &PathToTest, port: u16, asks: Ask) -> Option<bool> {
    let tried = async {
        let at = SocketAddr::new(path.server.ip(), port);
        let packets = RawPackets::open(&path.binding, at)?;
        ask(&packets, [asks, Ask::Plain]).await
    };
    match tried.await {
        Ok([with, without]) => {
            let does = with.reply.is_some();
            without.answer().map(|_| does)
        }
        Err(error) => {
            log::debug!("no SYN to the plain port: {error}");
            None
        }
    }
}

/// From the last hop that got it to the server.
pub(super) fn behind_the_last(trace: &Trace) -> Interval {
    Interval {
        after: trace.farthest(),
        by: trace.server_at.unwrap_or_else(|| trace.farthest() + 1),
    }
}

/// The option is lost on the way back. What no router has seen changed is changed behind the last that got it whole.
pub(super) fn stripped(back: &mut Value, gets_here: GetsHere, needs: &mut Vec<String>) {
    let Some(hops) = back["hops"].as_array() else {
        return;
    };
    let is = |hop: &Value, word| hop["mptcp"] == word;
    if hops.is_empty() || hops.iter().any(|it| is(it, "changed")) {
        return;
    }
    if gets_here.with_option || !gets_here.without {
        needs.push(not_traced(gets_here));
        return;
    }
    let last = hops.iter().rev().find(|it| is(it, "as_sent"));
    let change = json!({
        "what": "the MPTCP option (30) taken out",
        "between": {
            "after": last.map_or(0, |it| it["ttl"].as_u64().unwrap_or_default()),
            "after_from": last.map_or_else(|| json!([]), |it| it["from"].clone()),
            "by": hops.len() + 1,
            "by_from": [THIS_END],
        },
    });
    if let Some(changes) = back["changes"].as_array_mut() {
        changes.push(change);
    }
}

/// Answers with the option are dropped on the way back: what no router tells is behind the last that got them.
pub(super) fn dropped(back: &mut Value, gets_here: GetsHere, needs: &mut Vec<String>) {
    let ends_here = back["dropped"].is_object() && back["dropped"]["by"].is_null();
    if gets_here.with_option || ends_here && !gets_here.without {
        if let Some(all) = back.as_object_mut() {
            all.remove("dropped");
        }
        needs.push(not_traced(gets_here));
        return;
    }
    let hops = back["hops"].as_array().map_or(0, Vec::len);
    let dropped = &mut back["dropped"];
    if ends_here {
        dropped["by"] = json!(hops + 1);
        dropped["by_from"] = json!([THIS_END]);
    }
}

fn not_traced(gets_here: GetsHere) -> String {
    let why = match gets_here.with_option {
        true => {
            "it happens to the handshake alone, while what looks like it gets through within an open connection"
        }
        false => "nothing gets here that looks like a handshake within an open connection",
    };
    format!("between which hops on the way back: {why}, which is what the other end can trace")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH: GetsHere = GetsHere {
        with_option: true,
        without: false,
    };
    const WITHOUT: GetsHere = GetsHere {
        with_option: false,
        without: true,
    };

    fn told(dropped: Value) -> Value {
        json!({ "hops": [{ "ttl": 1 }, { "ttl": 2 }], "changes": [], "dropped": dropped })
    }

    #[test]
    fn what_vanishes_behind_the_last_router_vanishes_before_this_end() {
        let mut back = told(json!({ "after": 2, "by": null }));
        let mut needs = Vec::new();
        dropped(&mut back, WITHOUT, &mut needs);
        assert_eq!((&back["dropped"]["by"], needs.len()), (&json!(3), 0));
        let mut back = told(json!({ "after": 0, "by": 2 }));
        dropped(&mut back, WITHOUT, &mut needs);
        assert_eq!((&back["dropped"]["by"], needs.len()), (&json!(2), 0));
    }

    #[test]
    fn what_gets_here_within_a_connection_blames_no_hop() {
        let mut back = told(json!({ "after": 2, "by": null }));
        let mut needs = Vec::new();
        dropped(&mut back, WITH, &mut needs);
        stripped(&mut back, WITH, &mut needs);
        assert_eq!((back.get("dropped"), needs.len()), (None, 2));
        assert_eq!(back["changes"], json!([]));
    }

    #[test]
    fn where_nothing_gets_here_no_hop_is_blamed_that_no_router_told_of() {
        let mut back = told(json!({ "after": 2, "by": null }));
        let mut needs = Vec::new();
        dropped(&mut back, GetsHere::default(), &mut needs);
        stripped(&mut back, GetsHere::default(), &mut needs);
        assert_eq!((back.get("dropped"), needs.len()), (None, 2));
        assert_eq!(back["changes"], json!([]));
        let mut back = told(json!({ "after": 0, "by": 2 }));
        dropped(&mut back, GetsHere::default(), &mut needs);
        assert_eq!((&back["dropped"]["by"], needs.len()), (&json!(2), 2));
    }
}
