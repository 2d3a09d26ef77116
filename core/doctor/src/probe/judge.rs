//! What SYNs prove.

use std::time::Duration;

use twinpath::diagnosis::{Certainty, Finding, How, Outcome, PathDiagnosis, Verdict};
use twinpath_socket::mptcp::fallback_after;

use super::flows::FlowsTried;
use super::syn::{Reply, SynEvidence, Tried, accepts};
use crate::packet::{Mptcp, Piece, mptcp_of, options};

/// The length of MP_CAPABLE in a SYN-ACK, and so of the gap that it leaves.
const CAPABLE_ANSWER: usize = 12;

/// Judges a path by SYNs alone. [`Verdict::Works`] means here that it was negotiated, and is only likely to hold.
pub fn judge_syn(told: &mut PathDiagnosis, evidence: &SynEvidence) {
    let mut say = |verdict, certainty, what: String| {
        told.verdict = verdict;
        told.certainty = certainty;
        told.evidence.push(what);
    };
    let (capable, plain) = (&evidence.capable, &evidence.plain);
    match (&capable.reply, &plain.reply) {
        (Some(Reply::SynAck(answer)), _) if accepts(answer) => {
            let what = format!(
                "a SYN with the option was answered with it after {}",
                ms(capable.after)
            );
            say(Verdict::Works, Certainty::Likely, what);
            if let Some(Mptcp::Capable {
                no_join_here: true, ..
            }) = mptcp_of(&answer.options)
            {
                told.evidence.push(
                    "the server wants further subflows at another address that it announces (flag C), as behind a load \
                     balancer"
                        .into(),
                );
            }
        }
        (Some(Reply::SynAck(answer)), _) => {
            let (verdict, certainty, what) =
                without_option(&answer.options, evidence.join.as_ref());
            say(verdict, certainty, what);
        }
        (None, Some(Reply::SynAck(_))) => {
            let still = evidence
                .plain_after
                .as_ref()
                .is_some_and(|it| it.answer().is_some());
            let sent = capable.sent;
            if still {
                let fallback = fallback_after();
                let what = format!(
                    "{sent} SYNs with the option were not answered; those without were, before and after them"
                );
                say(Verdict::SynDropped { fallback }, Certainty::Proven, what);
            } else {
                let what = format!(
                    "{sent} SYNs with the option were not answered, and then those without were not either"
                );
                say(Verdict::Unknown, Certainty::None, what);
                told.needs
                    .push("a path that does not come and go: try again".into());
            }
        }
        (Some(reply), Some(Reply::SynAck(_))) => {
            let what = format!(
                "a SYN with the option was refused ({}); one without was not",
                name(reply)
            );
            say(Verdict::SynRefused, Certainty::Proven, what);
        }
        (_, Some(Reply::Reset(_))) => {
            say(
                Verdict::Closed,
                Certainty::Proven,
                "SYNs without the option were refused (RST)".into(),
            );
        }
        (_, Some(reply @ Reply::Undeliverable(..))) => {
            say(
                Verdict::Unreachable,
                Certainty::Proven,
                format!("SYNs could not be delivered ({})", name(reply)),
            );
        }
        (_, None) => {
            let sent = plain.sent;
            say(
                Verdict::Unreachable,
                Certainty::Proven,
                format!("{sent} SYNs without the option were not answered"),
            );
        }
    }
    if let Some(flows) = evidence.flows.filter(FlowsTried::differ) {
        let text = format!(
            "of {} SYNs with the option, each from another port, {} had what is said above, and {} had MPTCP accepted: packets \
             are shared between ways that are not alike, and all of this is true on some flows",
            flows.tried, flows.alike, flows.accepted
        );
        told.findings
            .push(Finding::new("flows", "differ", text, Outcome::Works));
    }
    if let Some(answer) = plain.answer() {
        told.connect_time = Some(plain.after);
        log::debug!("the plain answer: {answer:?}");
    }
}

/// A SYN-ACK without the option: who left it out?
fn without_option(options: &[u8], join: Option<&Tried>) -> (Verdict, Certainty, String) {
    if longest_gap(options) >= CAPABLE_ANSWER {
        let what = "the answer to a SYN with the option has a gap of NOPs as long as the option: it was sent, and overwritten \
                    on the way back";
        return (
            Verdict::StrippedBack(How::Nops),
            Certainty::Proven,
            what.into(),
        );
    }
    if matches!(mptcp_of(options), Some(Mptcp::Capable { version: 0, .. })) {
        let what =
            "the server answered with version 0 of MPTCP, which Linux and iOS 16 do not speak";
        return (Verdict::NotSpoken, Certainty::Proven, what.into());
    }
    let what = "the answer to a SYN with the option came without it";
    match join.and_then(|it| it.reply.as_ref()) {
        Some(Reply::Reset(_)) => {
            let by_option = join
                .and_then(Tried::reset)
                .is_some_and(|it| matches!(mptcp_of(&it.options), Some(Mptcp::Reset(_))));
            let certainty = if by_option {
                Certainty::Proven
            } else {
                Certainty::Likely
            };
            let what = format!(
                "{what}; a SYN that joins a connection that does not exist was refused, as only someone who speaks MPTCP \
                 does it: the option arrives, and is lost on the way back"
            );
            (Verdict::StrippedBack(How::Unknown), certainty, what)
        }
        Some(Reply::SynAck(_)) => {
            let what = format!(
                "{what}; a SYN that joins a connection that does not exist was accepted as a plain one: the server has not \
                 seen the option, or does not know it"
            );
            (Verdict::NotNegotiated, Certainty::Proven, what)
        }
        _ => (Verdict::NotNegotiated, Certainty::Proven, what.into()),
    }
}

/// NOPs in a row. Nobody fills more than three bytes with them.
fn longest_gap(list: &[u8]) -> usize {
    let mut longest = 0;
    let mut gap = 0;
    for piece in options(list) {
        gap = if piece == Piece::Nop { gap + 1 } else { 0 };
        longest = longest.max(gap);
    }
    longest
}

fn name(reply: &Reply) -> String {
    match reply {
        Reply::SynAck(_) => "accepted".into(),
        Reply::Reset(_) => "RST".into(),
        Reply::Undeliverable(code, from) => format!("ICMP code {code} from {from}"),
    }
}

pub(crate) fn ms(time: Duration) -> String {
    match time.as_secs_f64() * 1000.0 {
        ms @ 1000.0.. => format!("{:.1} s", ms / 1000.0),
        ms @ 10.0.. => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}
