//! What the kernel's connections prove, and what they do not.

use std::time::Duration;

use twinpath_socket::mptcp::fallback_after;

use super::kernel::{AnswerOf, KernelEvidence, MptcpAnswer};
use super::{Certainty, Fallback, Finding, How, Outcome, PathDiagnosis, PathToTest, Verdict};

const RAW: &str = "which end or device left the option out: run `twinpath doctor` with CAP_NET_RAW (sudo), with --trace \
for the hop, or against `twinpath doctor --listen` on the server";

/// Judges a path by the kernel's connections alone.
#[must_use]
pub fn judge_kernel(path: &PathToTest, evidence: &KernelEvidence) -> PathDiagnosis {
    let mut told = PathDiagnosis::new(path.interface.clone(), path.kind, path.server);
    plain(&mut told, &evidence.plain);
    if told.connect_time.is_some() {
        mptcp(&mut told, &evidence.mptcp);
        checksums(&mut told, evidence);
    }
    told.summary = sentence(&told);
    told
}

fn plain(told: &mut PathDiagnosis, answer: &AnswerOf) {
    match answer {
        AnswerOf::Accepted(time) => {
            told.connect_time = Some(*time);
            told.evidence.push(format!(
                "a plain TCP connect was accepted after {}",
                ms(*time)
            ));
        }
        AnswerOf::Refused => {
            told.verdict = Verdict::Closed;
            told.certainty = Certainty::Proven;
            told.evidence
                .push("a plain TCP connect was refused (RST)".into());
        }
        AnswerOf::Silence => {
            told.verdict = Verdict::Unreachable;
            told.certainty = Certainty::Proven;
            told.evidence
                .push("a plain TCP connect was not answered".into());
        }
        AnswerOf::Failed(error) => {
            told.verdict = Verdict::Unreachable;
            told.certainty = Certainty::Proven;
            told.evidence
                .push(format!("a plain TCP connect failed: {error}"));
        }
    }
}

fn mptcp(told: &mut PathDiagnosis, answer: &MptcpAnswer) {
    let mut say = |verdict, certainty, evidence: String| {
        told.verdict = verdict;
        told.certainty = certainty;
        told.evidence.push(evidence);
    };
    match answer {
        MptcpAnswer::NotAsked(why) => {
            say(
                Verdict::Unknown,
                Certainty::None,
                format!("MPTCP was not asked for: {why}"),
            );
            told.needs
                .push("a Linux machine with MPTCP on this network".into());
        }
        MptcpAnswer::LeftOut => {
            let what = "the kernel left the option out (MPCapableSYNTXDisabled): earlier something swallowed it on some path, \
                        so for an hour or more nothing can be told";
            say(Verdict::Unknown, Certainty::None, what.into());
            told.needs.push(
                "`sudo sysctl -w net.mptcp.blackhole_timeout=3600` makes the kernel try again"
                    .into(),
            );
        }
        MptcpAnswer::Held => say(
            Verdict::Works,
            Certainty::Proven,
            "MPTCP was negotiated, and the server acknowledged data with it".into(),
        ),
        MptcpAnswer::Negotiated => {
            let what = "MPTCP was negotiated; no data was acknowledged in time, so that it cannot be told whether it holds";
            say(Verdict::Works, Certainty::Likely, what.into());
            told.needs.push(
                "whether the option is taken out after the handshake: a server that reads".into(),
            );
        }
        MptcpAnswer::Stuck => say(
            Verdict::DroppedLater,
            Certainty::Likely,
            "MPTCP was negotiated by two connections, and no data of theirs was acknowledged; that of a plain one was, after them"
                .into(),
        ),
        MptcpAnswer::LostLater => say(
            Verdict::StrippedLater,
            Certainty::Proven,
            "MPTCP was negotiated, and after the first data the connection fell back to TCP".into(),
        ),
        MptcpAnswer::ChecksumsWrong { out, back } => say(
            Verdict::DataChanged,
            Certainty::Likely,
            format!(
                "MPTCP was negotiated with checksums over the data, and ended after the first data; checksums that were wrong \
                 have been counted meanwhile, for data changed {} (MPFailRx, DataCsumErr, which count all programs)",
                changed(*out, *back)
            ),
        ),
        MptcpAnswer::LostAtOnce => say(
            Verdict::StrippedLater,
            Certainty::Likely,
            "an answer with the option was counted, and yet the connection fell back to TCP with the first data".into(),
        ),
        MptcpAnswer::WithoutOption => {
            let what = "the answer to a SYN with the option came without it";
            say(Verdict::NotNegotiated, Certainty::Proven, what.into());
            told.needs.push(RAW.into());
        }
        MptcpAnswer::Silence {
            limit,
            connects,
            plain_after,
        } => {
            let what = format!(
                "{connects} connects with the option were not answered within {} each (and given up before the kernel \
                 would leave MPTCP out for all programs)",
                ms(*limit)
            );
            match plain_after {
                AnswerOf::Accepted(time) => {
                    let fallback = fallback_after();
                    say(Verdict::SynDropped { fallback }, Certainty::Proven, what);
                    let after = format!(
                        "a plain connect after that was accepted after {}",
                        ms(*time)
                    );
                    told.evidence.push(after);
                }
                _ => {
                    say(Verdict::Unknown, Certainty::None, what);
                    told.evidence.push(
                        "and then a plain one failed as well: the path comes and goes".into(),
                    );
                }
            }
        }
        MptcpAnswer::Refused => say(
            Verdict::SynRefused,
            Certainty::Proven,
            "a connect with the option was refused (RST), one without was not".into(),
        ),
        MptcpAnswer::Failed(error) => {
            say(
                Verdict::Unknown,
                Certainty::None,
                format!("a connect with the option failed: {error}"),
            );
        }
    }
}

/// What checksums over the data have shown, where there were any.
fn checksums(told: &mut PathDiagnosis, evidence: &KernelEvidence) {
    match (&evidence.mptcp, evidence.checksums) {
        (MptcpAnswer::Held, true) => told.findings.push(Finding::new(
            "payload",
            "unchanged",
            "data with MPTCP's checksums was accepted as it was sent (out)",
            Outcome::Works,
        )),
        (MptcpAnswer::Held | MptcpAnswer::Negotiated, false) => told.needs.push(
            "whether something on the way changes data: `sudo twinpath doctor`, or net.mptcp.checksum_enabled=1 at either end"
                .into(),
        ),
        (MptcpAnswer::LostLater, true) => {
            told.certainty = Certainty::Likely;
            told.evidence.push(
                "the data had checksums: that something changed it, and not the option, would look the same".into(),
            );
        }
        _ => {}
    }
}

/// Which data was changed.
#[must_use]
pub fn changed(out: bool, back: bool) -> &'static str {
    match (out, back) {
        (true, false) => "on the way out",
        (false, true) => "on the way back",
        _ => "in both directions",
    }
}

/// The verdict as a sentence for people, which claims no more than was tested.
#[must_use]
pub fn sentence(told: &PathDiagnosis) -> String {
    let (from, to) = (&told.interface, told.server);
    let by = |how| match how {
        How::Removed => "removed",
        How::Nops => "replaced by NOPs",
        How::Unknown => "taken out",
    };
    match told.verdict {
        Verdict::Works if told.certainty == Certainty::Proven => format!(
            "Nothing found between {from} and {to} that would stop MPTCP v1 (iOS 16 and later)"
        ),
        Verdict::Works => format!(
            "MPTCP v1 is negotiated between {from} and {to}; whether it holds for data was not seen"
        ),
        Verdict::NotSpoken => format!(
            "{to} does not speak MPTCP; nothing found on the way out from {from} that takes the option out"
        ),
        Verdict::StrippedOut(how) => format!(
            "The MPTCP option is {} on the way from {from} to {to}: connections work, without MPTCP",
            by(how)
        ),
        Verdict::StrippedBack(how) => format!(
            "The MPTCP option is {} on the way back from {to} to {from}: connections work, without MPTCP",
            by(how)
        ),
        Verdict::NotNegotiated => format!(
            "No MPTCP between {from} and {to}: the server does not speak it, or the option is taken out on the way out or back"
        ),
        Verdict::StrippedLater => format!(
            "MPTCP is negotiated between {from} and {to}, but the option is taken out of what follows: connections work, \
             without MPTCP"
        ),
        Verdict::DroppedLater => format!(
            "MPTCP is negotiated between {from} and {to}, and what follows with the option is dropped: connections with MPTCP hang, \
             plain ones work"
        ),
        Verdict::DataChanged => format!(
            "Something between {from} and {to} changes data: where MPTCP has checksums it ends, and without TLS the data is \
             wrong"
        ),
        Verdict::SynDropped { fallback } => {
            let wait = match told.fallback {
                Some(Fallback::After(measured)) => format!("{} (measured)", ms(measured)),
                Some(Fallback::NotWithin(limit)) => {
                    format!("more than {} (measured)", ms(limit))
                }
                None => format!("at least {} (as this kernel is set)", ms(fallback)),
            };
            format!(
                "Between {from} and {to} packets that ask for MPTCP, or grant it, are dropped: whoever asks waits {wait} for a \
                 plain connection"
            )
        }
        Verdict::SynRefused => format!(
            "Between {from} and {to} connections that ask for MPTCP are refused, plain ones are not"
        ),
        Verdict::Unreachable => {
            format!("{to} cannot be reached from {from}, by TCP of either kind")
        }
        Verdict::Closed => format!("{to} refuses connections, by TCP of either kind"),
        Verdict::Unknown => {
            format!("TCP works between {from} and {to}; whether MPTCP does could not be told")
        }
    }
}

fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    match ms {
        1000.0.. => format!("{:.1} s", ms / 1000.0),
        10.0.. => format!("{ms:.0} ms"),
        _ => format!("{ms:.1} ms"),
    }
}

#[cfg(test)]
mod tests {
    use twinpath_socket::{Binding, InterfaceKind};

    use super::*;

    fn told(mptcp: MptcpAnswer) -> PathDiagnosis {
        let path = PathToTest {
            interface: "wlan0".into(),
            kind: InterfaceKind::Wifi,
            binding: Binding::Unbound,
            server: "192.0.2.1:443".parse().unwrap(),
        };
        let plain = AnswerOf::Accepted(Duration::from_millis(20));
        let checksums = matches!(mptcp, MptcpAnswer::ChecksumsWrong { .. });
        let evidence = KernelEvidence {
            plain,
            mptcp,
            checksums,
        };
        judge_kernel(&path, &evidence)
    }

    #[test]
    fn wrong_checksums_are_told_with_the_direction_and_are_no_more_than_likely() {
        for (out, back, word) in [
            (true, false, "on the way out"),
            (false, true, "on the way back"),
            (true, true, "in both directions"),
        ] {
            let told = told(MptcpAnswer::ChecksumsWrong { out, back });
            assert_eq!(told.verdict, Verdict::DataChanged);
            assert_eq!(told.certainty, Certainty::Likely);
            assert_eq!(told.outcome(), Outcome::Broken);
            assert!(told.evidence.iter().any(|it| it.contains(word)), "{told:?}");
        }
    }

    #[test]
    fn what_is_lost_while_data_has_checksums_has_two_explanations() {
        let mut evidence = KernelEvidence {
            plain: AnswerOf::Accepted(Duration::from_millis(20)),
            mptcp: MptcpAnswer::LostLater,
            checksums: true,
        };
        let path = PathToTest {
            interface: "wlan0".into(),
            kind: InterfaceKind::Wifi,
            binding: Binding::Unbound,
            server: "192.0.2.1:443".parse().unwrap(),
        };
        assert_eq!(judge_kernel(&path, &evidence).certainty, Certainty::Likely);
        evidence.checksums = false;
        assert_eq!(judge_kernel(&path, &evidence).certainty, Certainty::Proven);
    }

    #[test]
    fn what_cannot_be_told_is_said_with_what_it_takes() {
        for answer in [
            MptcpAnswer::WithoutOption,
            MptcpAnswer::LeftOut,
            MptcpAnswer::NotAsked("no".into()),
            MptcpAnswer::Negotiated,
        ] {
            let told = told(answer);
            assert!(!told.needs.is_empty(), "{told:?}");
            assert!(!told.summary.contains("stripped"), "{told:?}");
        }
    }

    #[test]
    fn silence_is_a_dropped_syn_only_if_a_plain_one_is_answered_after_it() {
        let silence = |plain_after| MptcpAnswer::Silence {
            limit: Duration::from_millis(2600),
            connects: 2,
            plain_after,
        };
        let dropped = told(silence(AnswerOf::Accepted(Duration::from_millis(1))));
        assert!(matches!(dropped.verdict, Verdict::SynDropped { .. }));
        assert_eq!(dropped.outcome(), Outcome::Broken);
        let gone = told(silence(AnswerOf::Silence));
        assert_eq!(
            (gone.verdict, gone.outcome()),
            (Verdict::Unknown, Outcome::Unknown)
        );
    }

    #[test]
    fn only_what_held_is_called_free_of_obstacles() {
        assert!(told(MptcpAnswer::Held).summary.starts_with("Nothing found"));
        assert!(
            !told(MptcpAnswer::Negotiated)
                .summary
                .contains("Nothing found")
        );
    }
}
