//! The words of a diagnosis.

use std::net::SocketAddr;
use std::time::Duration;

use twinpath_socket::InterfaceKind;

/// What was found out about all paths to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// What was asked about, as `host:port`.
    pub target: String,
    /// One for each interface and address that was tested.
    pub paths: Vec<PathDiagnosis>,
    /// What was not tested, and why.
    pub notes: Vec<String>,
}

impl Diagnosis {
    /// Of `target`, with nothing found out yet.
    #[must_use]
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            paths: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What it comes to: the worst that is certain, else that it could not be told.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let all = self.paths.iter().map(|it| it.outcome());
        all.max_by_key(|it| it.weight()).unwrap_or(Outcome::Unknown)
    }
}

/// What was found out about one path: from one interface to one address of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathDiagnosis {
    /// The interface's name.
    pub interface: String,
    /// What the interface is.
    pub kind: InterfaceKind,
    /// The server's address.
    pub server: SocketAddr,
    /// What was found.
    pub verdict: Verdict,
    /// How sure it is.
    pub certainty: Certainty,
    /// The verdict as a sentence, which claims no more than was tested.
    pub summary: String,
    /// How long a plain connect took, if one succeeded.
    pub connect_time: Option<Duration>,
    /// With [`Verdict::SynDropped`]: what became of a connect that had asked for MPTCP, if that was
    /// measured.
    pub fallback: Option<Fallback>,
    /// What the verdict rests on, one observation each.
    pub evidence: Vec<String>,
    /// What else was seen.
    pub findings: Vec<Finding>,
    /// What could not be told, and what it would take.
    pub needs: Vec<String>,
}

impl PathDiagnosis {
    /// Of a path of which nothing is known yet.
    #[must_use]
    pub fn new(interface: impl Into<String>, kind: InterfaceKind, server: SocketAddr) -> Self {
        Self {
            interface: interface.into(),
            kind,
            server,
            verdict: Verdict::Unknown,
            certainty: Certainty::None,
            summary: String::new(),
            connect_time: None,
            fallback: None,
            evidence: Vec::new(),
            findings: Vec::new(),
            needs: Vec::new(),
        }
    }

    /// What it comes to, with the findings.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let findings = self.findings.iter().map(|it| it.outcome);
        let all = findings.chain([self.verdict.outcome()]);
        all.max_by_key(|it| it.weight()).unwrap_or(Outcome::Unknown)
    }
}

/// What became of a connect that asked for MPTCP where that is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It was accepted without after so long.
    After(Duration),
    /// It was not accepted in that time: where the answers are dropped, a server that has seen the option once goes on granting it.
    NotWithin(Duration),
}

/// What became of MPTCP on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It was negotiated, and held for what was sent.
    Works,
    /// The server's answer had no such option though the SYN reached it whole: it speaks TCP alone.
    NotSpoken,
    /// The option did not reach the server.
    StrippedOut(How),
    /// The server speaks MPTCP, and its option did not come back.
    StrippedBack(How),
    /// The answer had no such option: the server does not speak MPTCP, or the option was taken out on
    /// the way out or back.
    NotNegotiated,
    /// It was negotiated, and the option was taken out of what followed.
    StrippedLater,
    /// It was negotiated, and what followed with the option did not arrive, or was not acknowledged: connections hang.
    DroppedLater,
    /// It was negotiated, and data is changed on the way, which the checksums of MPTCP or the other end
    /// have shown: where there are checksums, MPTCP ends there.
    DataChanged,
    /// SYNs with the option were never answered, those without were. A program that asks for MPTCP
    /// waits that long before its system tries without.
    SynDropped {
        /// As this kernel is set.
        fallback: Duration,
    },
    /// SYNs with the option were refused, those without were not.
    SynRefused,
    /// Nobody answers on that port, MPTCP or not.
    Unreachable,
    /// The server refuses connections on that port, MPTCP or not.
    Closed,
    /// TCP works. Nothing is known of MPTCP.
    Unknown,
}

/// How an option was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// It is gone, and the header is shorter.
    Removed,
    /// Its place is filled with NOPs.
    Nops,
    /// Not known.
    Unknown,
}

impl Verdict {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::NotSpoken => "not_spoken",
            Self::StrippedOut(_) => "stripped_out",
            Self::StrippedBack(_) => "stripped_back",
            Self::NotNegotiated => "not_negotiated",
            Self::StrippedLater => "stripped_later",
            Self::DroppedLater => "dropped_later",
            Self::DataChanged => "data_changed",
            Self::SynDropped { .. } => "syn_dropped",
            Self::SynRefused => "syn_refused",
            Self::Unreachable => "unreachable",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }

    /// How the option was taken out, where that is a part of the verdict.
    #[must_use]
    pub const fn how(self) -> Option<How> {
        match self {
            Self::StrippedOut(how) | Self::StrippedBack(how) => Some(how),
            _ => None,
        }
    }

    /// What it comes to.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Works => Outcome::Works,
            Self::NotSpoken
            | Self::StrippedOut(_)
            | Self::StrippedBack(_)
            | Self::NotNegotiated
            | Self::StrippedLater => Outcome::WithoutMptcp,
            Self::DroppedLater
            | Self::DataChanged
            | Self::SynDropped { .. }
            | Self::SynRefused
            | Self::Unreachable
            | Self::Closed => Outcome::Broken,
            Self::Unknown => Outcome::Unknown,
        }
    }
}

impl How {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Nops => "nops",
            Self::Unknown => "unknown",
        }
    }
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certainty {
    /// Both ends, or an answer that only one cause can have.
    Proven,
    /// What was seen has another explanation, which is less likely.
    Likely,
    /// None.
    None,
}

impl Certainty {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Likely => "likely",
            Self::None => "none",
        }
    }
}

/// What a diagnosis comes to, as scripts want to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// MPTCP works.
    Works,
    /// Connections work, without MPTCP.
    WithoutMptcp,
    /// Connections fail, wait for seconds, or arrive changed.
    Broken,
    /// It could not be told.
    Unknown,
}

impl Outcome {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::WithoutMptcp => "without_mptcp",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }

    /// The exit code of `twinpath doctor`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Works => 0,
            Self::WithoutMptcp => 1,
            Self::Broken => 2,
            Self::Unknown => 3,
        }
    }

    /// What is certain goes before what is not, and what is worse before what is better.
    #[must_use]
    pub const fn weight(self) -> u8 {
        match self {
            Self::Works => 0,
            Self::Unknown => 1,
            Self::WithoutMptcp => 2,
            Self::Broken => 3,
        }
    }
}

/// Something that was seen beside the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about, as in `join` or `mss`.
    pub topic: &'static str,
    /// What was found, as in `refused`: a word of JSON.
    pub state: &'static str,
    /// The same as a sentence.
    pub text: String,
    /// What it comes to.
    pub outcome: Outcome,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(
        topic: &'static str,
        state: &'static str,
        text: impl Into<String>,
        outcome: Outcome,
    ) -> Self {
        Self {
            topic,
            state,
            text: text.into(),
            outcome,
        }
    }
}
