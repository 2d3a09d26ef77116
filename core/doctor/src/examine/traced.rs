//! What a trace adds to a verdict.

use std::io;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use twinpath::diagnosis::{Certainty, Finding, How, Outcome, PathToTest, Verdict};
use twinpath_socket::raw::RawPackets;
use twinpath_socket::{ConnectOptions, connect, mptcp};

use super::ExaminedPath;
use crate::packet::{Ask, Difference, MPTCP, Seen};
use crate::probe::Flow;
use crate::trace::{
    Compared, Hop, Interval, Located, ROUNDS, Trace, Tracer, locate, trace_dropped,
};

/// Two traces are so far apart.
pub(super) const BETWEEN: Duration = Duration::from_millis(1100);

/// What it takes to know more of the way back.
pub(super) const WHICH_BACK: &str = "between which hops on the way back: `twinpath doctor --listen` on the server, with CAP_NET_RAW";

/// By SYNs of the flow that the verdict is of: another one may take another way.
pub(super) async fn trace_path(packets: &RawPackets, flow: &Flow, examined: &mut ExaminedPath) {
    let tracer = Tracer::of(packets, flow);
    let is_dropped = matches!(examined.told.verdict, Verdict::SynDropped { .. });
    let traced = async {
        if is_dropped {
            return trace_dropped(&tracer, Ask::Capable).await;
        }
        let trace = tracer.trace(Ask::Capable, ROUNDS).await?;
        Ok(Compared::of(trace))
    };
    let Compared { trace, dropped, .. } = match traced.await {
        Ok(compared) => compared,
        Err(error) => {
            examined
                .told
                .needs
                .push(format!("--trace: no probe could be sent ({error})"));
            return;
        }
    };
    examined.changes = locate(&trace);
    if is_dropped {
        judge_dropped(examined, &trace, dropped);
    } else {
        judge(examined, &trace);
    }
    examined.trace = Some(trace);
    findings(examined);
}

fn judge_dropped(examined: &mut ExaminedPath, trace: &Trace, dropped: Option<Interval>) {
    let told = &mut examined.told;
    if trace.has_arrived {
        examined.arrives = true;
        told.evidence.push(
            "the server acknowledges SYNs with the option, by ACKs that have none: so they arrive, and its answers with the \
             option are dropped on the way back"
                .into(),
        );
        told.needs.push(WHICH_BACK.into());
        return;
    }
    // Behind the last router it may as well be the answer.
    match dropped.filter(|it| Some(it.by) != trace.server_at) {
        Some(between) => examined.dropped = Some(between),
        None if trace.server_at.is_some() => {
            told.needs
                .push(either_way(dropped.map_or(0, |it| it.after)));
        }
        None => {}
    }
}

/// What is not known where SYNs with the option are lost behind the last hop that is known to get them.
pub(super) fn either_way(last: u8) -> String {
    format!(
        "whether SYNs with the option vanish behind hop {last}, the last that got them, or the answers to them on the way back: \
         `twinpath doctor --listen` on the server"
    )
}

/// Where the option is taken out of what follows the handshake: by segments of a connection that is open.
pub(super) async fn trace_later(
    path: &PathToTest,
    packets: &RawPackets,
    examined: &mut ExaminedPath,
) {
    let tracing = async {
        let mut options = ConnectOptions::bound_to(path.binding.clone());
        options.mptcp = true;
        let limit = mptcp::fallback_after().saturating_sub(Duration::from_millis(400));
        let connected = timeout(limit, connect(path.server, &options)).await;
        let stream = connected.map_err(|_| io::ErrorKind::TimedOut)??;
        sleep(BETWEEN).await;
        let server_at = examined.trace.as_ref().and_then(|it| it.server_at);
        let tracer = Tracer::within(packets, stream.local_addr()?, server_at);
        tracer.trace(Ask::Later, ROUNDS).await
    };
    match tracing.await {
        Ok(trace) => {
            let changes = locate(&trace).into_iter().filter(|it| how(it).is_some());
            examined.changes.extend(changes);
        }
        Err(error) => {
            let what = format!("where the option is taken out after the handshake: {error}");
            examined.told.needs.push(what);
        }
    }
}

/// What the other end has not got whole is lost behind the last router that got it so.
pub(super) fn lost_at_the_end(trace: &Trace, changes: &mut Vec<Located>, how: How) {
    let is_known = changes.iter().any(|it| self::how(it).is_some());
    let (Some(by), false) = (trace.server_at, is_known) else {
        return;
    };
    let mut whole = trace.hops.iter().rev().filter(|it| is_intact(it));
    let after = whole.next().map_or(0, |it| it.ttl);
    let difference = match how {
        How::Nops => Difference::Nops(MPTCP),
        _ => Difference::Removed(MPTCP),
    };
    let between = Interval { after, by };
    changes.push(Located {
        difference,
        between,
    });
}

fn judge(examined: &mut ExaminedPath, trace: &Trace) {
    let is_spoken = examined.flows.is_some_and(|it| it.accepted > 0);
    let told = &mut examined.told;
    let stripped = examined.changes.iter().find_map(|it| Some((how(it)?, it)));
    match (told.verdict, stripped) {
        (Verdict::NotNegotiated, Some((how, _))) => {
            told.verdict = Verdict::StrippedOut(how);
            told.certainty = Certainty::Proven;
            told.evidence.push("routers quote the SYN without the option".into());
        }
        (Verdict::NotNegotiated, None) => {
            let last = trace.hops.iter().rev().find(|it| is_intact(it));
            let server_at = trace.server_at.unwrap_or(u8::MAX);
            match last {
                Some(last) if is_spoken => told.needs.push(format!(
                    "what happens behind hop {}, the last that got the option whole, or on the way back, since on other flows \
                     the server speaks MPTCP",
                    last.ttl
                )),
                Some(last) if last.ttl + 1 == server_at => {
                    told.verdict = Verdict::NotSpoken;
                    told.certainty = Certainty::Likely;
                    told.evidence.push(format!(
                        "the last router before the server (hop {}) got the option whole",
                        last.ttl
                    ));
                    told.needs.push(
                        "whether it is lost behind that router or the server does not speak MPTCP: `twinpath doctor \
                         --listen` on the server"
                            .into(),
                    );
                }
                Some(last) => told.needs.push(format!(
                    "what happens behind hop {}, the last that quotes the option (whole): `twinpath doctor --listen` on the \
                     server",
                    last.ttl
                )),
                None => told.needs.push(
                    "no router quotes as much as the option: `twinpath doctor --listen` on the server".into(),
                ),
            }
        }
        (_, Some(_)) => told.evidence.push(
            "and yet routers quote SYNs without the option: what is seen on one connection is not so on all".into(),
        ),
        _ => {}
    }
}

pub(crate) fn is_intact(hop: &Hop) -> bool {
    let mut all = hop.observations.iter().peekable();
    all.peek().is_some() && all.all(|it| it.comparison.is_intact(Seen::Option(MPTCP)))
}

pub(super) const fn how(change: &Located) -> Option<How> {
    match change.difference {
        Difference::Removed(MPTCP) => Some(How::Removed),
        Difference::Nops(MPTCP) => Some(How::Nops),
        Difference::Changed(MPTCP) => Some(How::Unknown),
        _ => None,
    }
}

/// What else is changed, and harms nobody.
fn findings(examined: &mut ExaminedPath) {
    for change in examined.changes.iter().filter(|it| how(it).is_none()) {
        let (topic, state) = match change.difference {
            Difference::Mss(_) => ("mss", "rewritten"),
            Difference::SourceAddress | Difference::SourcePort => ("nat", "seen"),
            _ => ("header", "rewritten"),
        };
        let text = format!("on the way out {}", change.difference);
        examined
            .told
            .findings
            .push(Finding::new(topic, state, text, Outcome::Works));
    }
}
