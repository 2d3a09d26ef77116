//! What a trace adds to a verdict.

use std::io;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use twinpath::diagnosis::{Certainty, Finding, How, Outcome, PathToTest, Verdict};
use twinpath_socket::raw::RawPackets;
use twinpath_socket::{ConnectOptions, connect, mptcp};

use super::ExaminedPath;
use crate::packet::{Ask, Difference, MPTCP, Seen};
use crate::trace::{Hop, Interval, Located, Trace, dropped_between, locate, trace, trace_within};

/// Chance takes all answers of a hop on a path that loses 2 % each way once in fifteen thousand times.
const ROUNDS: u32 = 3;
/// Two traces are so far apart.
const BETWEEN: Duration = Duration::from_millis(1100);

pub(super) async fn trace_path(packets: &RawPackets, examined: &mut ExaminedPath) {
    let with = match trace(packets, Ask::Capable, ROUNDS).await {
        Ok(with) => with,
        Err(error) => {
            examined
                .told
                .needs
                .push(format!("--trace: no probe could be sent ({error})"));
            return;
        }
    };
    examined.changes = locate(&with);
    if matches!(examined.told.verdict, Verdict::SynDropped { .. }) {
        // No hop is asked twice in a second.
        sleep(BETWEEN).await;
        match trace(packets, Ask::Plain, ROUNDS).await {
            Ok(plain) => {
                examined.dropped = dropped_between(&with, &plain);
                if let Some(between) = examined
                    .dropped
                    .take_if(|it| Some(it.by) == plain.server_at)
                {
                    examined.told.needs.push(format!(
                        "whether SYNs with the option vanish behind hop {}, the last that got them, or the answers to them on \
                         the way back: `twinpath doctor --listen` on the server",
                        between.after
                    ));
                }
                examined.trace = Some(if plain.hops.len() > with.hops.len() {
                    plain
                } else {
                    with
                });
            }
            Err(error) => examined.told.needs.push(format!("--trace: {error}")),
        }
    } else {
        judge(examined, &with);
        examined.trace = Some(with);
    }
    findings(examined);
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
        trace_within(packets, stream.local_addr()?, Ask::Later, server_at, ROUNDS).await
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
pub(super) fn lost_at_the_end(examined: &mut ExaminedPath, how: How) {
    let Some(trace) = &examined.trace else { return };
    let is_known = examined.changes.iter().any(|it| self::how(it).is_some());
    let (Some(by), false) = (trace.server_at, is_known) else {
        return;
    };
    let after = trace
        .hops
        .iter()
        .rev()
        .find(|it| is_intact(it))
        .map_or(0, |it| it.ttl);
    let difference = match how {
        How::Nops => Difference::Nops(MPTCP),
        _ => Difference::Removed(MPTCP),
    };
    let between = Interval { after, by };
    examined.changes.push(Located {
        difference,
        between,
    });
}

fn judge(examined: &mut ExaminedPath, trace: &Trace) {
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
