//! What the other end's answers add to a verdict: certainty in both directions.

use twinpath::diagnosis::{Certainty, Finding, How, Outcome, Verdict};

use super::{ExaminedPath, traced};
use crate::listen::Asked;
use crate::packet::{Mptcp, Piece, ip_header, mptcp_of, options, segment};
use crate::report::options_in_words;

/// More NOPs than alignment needs.
const MANY_NOPS: usize = 4;

pub(super) fn judge(examined: &mut ExaminedPath, asked: &Asked) {
    let differ = examined.flows.is_some();
    let told = &mut examined.told;
    for trouble in &asked.troubles {
        told.evidence.push(format!(
            "the other end could not be asked everything: {trouble}"
        ));
    }
    let syn = asked
        .syn
        .as_deref()
        .and_then(|it| ip_header(it))
        .and_then(|(_, tcp)| segment(tcp));
    if let Some(syn) = syn {
        let words = options_in_words(syn.options);
        told.evidence
            .push(format!("the other end got a SYN with {words}"));
        let arrived = matches!(
            mptcp_of(syn.options),
            Some(Mptcp::Capable { version: 1, .. })
        );
        let can_tell = matches!(
            told.verdict,
            Verdict::NotNegotiated
                | Verdict::NotSpoken
                | Verdict::StrippedBack(_)
                | Verdict::StrippedOut(_)
        );
        match (arrived, told.verdict) {
            // That was on another flow.
            _ if differ => {}
            (false, _) if can_tell => {
                let nops = options(syn.options).filter(|it| *it == Piece::Nop).count();
                let how = if nops > MANY_NOPS {
                    How::Nops
                } else {
                    How::Removed
                };
                (told.verdict, told.certainty) = (Verdict::StrippedOut(how), Certainty::Proven);
                told.needs.clear();
                if let Some(trace) = &examined.trace {
                    traced::lost_at_the_end(trace, &mut examined.changes, how);
                }
            }
            (true, Verdict::NotNegotiated | Verdict::NotSpoken) => {
                told.verdict = Verdict::StrippedBack(How::Unknown);
                told.certainty = Certainty::Proven;
                told.evidence.push(
                    "it speaks MPTCP, and got the option: its answer lost it on the way back"
                        .into(),
                );
                told.needs.clear();
            }
            (true, Verdict::SynDropped { .. }) => {
                let port = asked.port;
                told.evidence.push(format!(
                    "so SYNs with the option arrive at port {port}, from which no answer has it: if the other port is treated \
                     alike, it is answers with the option that are dropped on the way back"
                ));
            }
            (true, Verdict::StrippedBack(_)) => told.certainty = Certainty::Proven,
            _ => {}
        }
    }
    let told = &mut examined.told;
    if let Some((here, there)) = asked.is_mptcp {
        let word = |is| if is { "MPTCP" } else { "TCP" };
        told.evidence.push(format!(
            "after data in both directions a connection is {} here and {} there",
            word(here),
            word(there)
        ));
        if told.verdict == Verdict::Works && !(here && there) {
            (told.verdict, told.certainty) = (Verdict::StrippedLater, Certainty::Proven);
        }
    }
    if let Some(payload) = asked.payload {
        told.findings.push(match (payload.wrong_there, payload.wrong_here) {
            (None, None) => Finding::new("payload", "unchanged", "data arrives as it is sent, both ways", Outcome::Works),
            (there, here) => {
                let at = |wrong: Option<usize>| wrong.map_or_else(|| "unchanged".into(), |at| format!("changed at byte {at}"));
                let text = format!(
                    "something on the way changes data (out: {}, back: {}): MPTCP's checksums would end the option's use, and \
                     without TLS the data is wrong",
                    at(there),
                    at(here)
                );
                Finding::new("payload", "changed", text, Outcome::Broken)
            }
        });
        if told.verdict == Verdict::Works && payload.is_changed() {
            (told.verdict, told.certainty) = (Verdict::DataChanged, Certainty::Proven);
        }
    }
}
