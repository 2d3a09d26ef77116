//! One path: by SYNs of our own where that is allowed, then by the kernel where that is harmless.

use std::io;

use tokio::task::JoinSet;
use twinpath::diagnosis::{
    Certainty, KernelEvidence, MptcpAnswer, PathDiagnosis, PathToTest, Verdict, ask_kernel,
    changed, judge_kernel,
};
use twinpath_socket::raw::RawPackets;

use super::{ExaminedPath, Options, Turns, asked, back, checksums, fallback, idle, traced};
use crate::listen::{Asking, ask_the_other_end};
use crate::probe::{FlowsTried, ask_by_syn, judge_syn, try_flows};

pub(super) async fn examine(path: &PathToTest, options: &Options, turns: &Turns) -> ExaminedPath {
    let raw = async {
        let packets = RawPackets::open(&path.binding, path.server)?;
        let mut evidence = ask_by_syn(&packets).await?;
        if options.trace {
            try_flows(&packets, &mut evidence).await?;
        }
        io::Result::Ok((packets, evidence))
    };
    let mut by_raw = false;
    // Ends with this future.
    let mut measuring = JoinSet::new();
    let mut examined = match raw.await {
        Ok((packets, evidence)) => {
            by_raw = true;
            let mut told = PathDiagnosis::new(path.interface.clone(), path.kind, path.server);
            judge_syn(&mut told, &evidence);
            let mut examined = ExaminedPath::new(told);
            examined.flows = evidence.flows.filter(FlowsTried::differ);
            let is_dropped = matches!(examined.told.verdict, Verdict::SynDropped { .. });
            if is_dropped {
                let path = path.clone();
                // Takes seconds, in which routers and the other end can be asked.
                measuring.spawn(async move { fallback::measure(&path).await });
            }
            if options.trace {
                let _turn = turns.of(path).lock().await;
                traced::trace_path(&packets, &evidence.capable.flow, &mut examined).await;
            }
            if examined.told.verdict == Verdict::Works {
                did_it_hold(&mut examined.told, &ask_kernel(path).await);
                if options.trace && examined.told.verdict == Verdict::StrippedLater {
                    traced::trace_later(path, &packets, &mut examined).await;
                }
            }
            if !options.trace && examined.told.verdict == Verdict::NotNegotiated {
                let what = "whether the server does not speak MPTCP or something on the way takes the option out, and where: \
                            --trace, or `twinpath doctor --listen` on the server";
                examined.told.needs.push(what.into());
            }
            examined
        }
        Err(error) => by_kernel_alone(path, options, &error).await,
    };
    if examined.told.connect_time.is_some() {
        let asking = ask_for(&examined, options);
        if let Some(answers) = ask_the_other_end(path, &asking).await {
            asked::judge(&mut examined, &answers);
            back::judge(path, &mut examined, &answers).await;
        } else if by_raw && examined.told.verdict == Verdict::Works {
            checksums::check(path, &mut examined.told).await;
        }
        if let Some(limit) = options.idle {
            examined
                .told
                .findings
                .push(idle::measure(path, limit).await);
        }
    }
    if let Some(measured) = measuring.join_next().await {
        let measured = measured.unwrap_or_else(|error| Err(error.into()));
        fallback::tell(&mut examined.told, measured);
    }
    examined
}

/// What is worth asking: SYNs that are dropped take seconds to be given up.
fn ask_for(examined: &ExaminedPath, options: &Options) -> Asking {
    let is_dropped = matches!(examined.told.verdict, Verdict::SynDropped { .. });
    let is_lost = is_dropped && examined.trace.is_some() && !examined.arrives;
    let back = match examined.told.verdict {
        _ if is_lost => None,
        Verdict::StrippedLater => Some("back later"),
        Verdict::SynDropped { .. } => Some("back dropped"),
        _ => Some("back"),
    };
    Asking {
        back: back.filter(|_| options.trace),
        option_to_plain: !is_lost,
        option: !is_dropped,
    }
}

async fn by_kernel_alone(path: &PathToTest, options: &Options, error: &io::Error) -> ExaminedPath {
    let mut told = judge_kernel(path, &ask_kernel(path).await);
    match error.kind() {
        // What it takes is said where something could not be told.
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {}
        _ => told
            .evidence
            .push(format!("SYNs of our own could not be sent: {error}")),
    }
    if options.trace {
        told.needs.push(match error.kind() {
            io::ErrorKind::Unsupported => "--trace: Linux".into(),
            _ => format!("--trace: CAP_NET_RAW, as with sudo ({error})"),
        });
    }
    ExaminedPath::new(told)
}

/// What was negotiated by SYNs may be lost after the handshake, which only a connection shows.
fn did_it_hold(told: &mut PathDiagnosis, evidence: &KernelEvidence) {
    let mut say = |verdict, certainty, what: String| {
        told.verdict = verdict;
        told.certainty = certainty;
        told.evidence.push(what);
    };
    match &evidence.mptcp {
        MptcpAnswer::Held => say(
            Verdict::Works,
            Certainty::Proven,
            "a connection of the kernel's MPTCP had its data acknowledged with the option".into(),
        ),
        MptcpAnswer::ChecksumsWrong { out, back } => say(
            Verdict::DataChanged,
            Certainty::Likely,
            format!(
                "a connection of the kernel's MPTCP ended after the first data, and checksums that were wrong have been counted \
                 meanwhile, for data changed {} (MPFailRx, DataCsumErr, which count all programs)",
                changed(*out, *back)
            ),
        ),
        MptcpAnswer::Stuck => say(
            Verdict::DroppedLater,
            Certainty::Likely,
            "no data of two connections of the kernel's MPTCP was acknowledged; that of a plain one was, after them".into(),
        ),
        MptcpAnswer::LostLater if evidence.checksums => say(
            Verdict::StrippedLater,
            Certainty::Likely,
            "a connection of the kernel's MPTCP fell back to TCP after the first data; that had checksums: that something \
             changed it, and not the option, would look the same"
                .into(),
        ),
        MptcpAnswer::LostLater | MptcpAnswer::LostAtOnce => say(
            Verdict::StrippedLater,
            Certainty::Proven,
            "a connection of the kernel's MPTCP fell back to TCP after the first data".into(),
        ),
        other => {
            let why = match other {
                MptcpAnswer::NotAsked(why) => why.clone(),
                MptcpAnswer::LeftOut => "this kernel leaves the option out for now, since something has swallowed it earlier \
                                         (`sudo sysctl -w net.mptcp.blackhole_timeout=3600` makes it try again)"
                    .into(),
                MptcpAnswer::Negotiated => "the server acknowledged no data in time".into(),
                MptcpAnswer::WithoutOption => {
                    "the kernel's connection came back without the option, other than the SYNs before".into()
                }
                other => format!("the kernel's connection failed ({other:?})"),
            };
            told.needs.push(format!(
                "whether the option is taken out after the handshake: {why}"
            ));
        }
    }
}

impl ExaminedPath {
    pub(super) const fn new(told: PathDiagnosis) -> Self {
        Self {
            told,
            trace: None,
            changes: Vec::new(),
            dropped: None,
            arrives: false,
            back: None,
            flows: None,
            join: None,
        }
    }
}
