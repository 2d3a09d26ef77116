//! Several flows: where ways run in parallel, what is true of one flow need not be of the next.

use std::io;

use twinpath_socket::raw::RawPackets;

use super::syn::{Reply, SynEvidence, Tried, accepts, ask_on, try_to_join};
use crate::packet::Ask;

/// So many more are tried: of two ways that are alike, one is missed once in 128 times.
pub(super) const MORE: usize = 7;

/// What became of MP_CAPABLE on several flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowsTried {
    /// How many there were.
    pub tried: usize,
    /// Those that fare as the worst.
    pub alike: usize,
    /// Those of which the server has accepted MPTCP.
    pub accepted: usize,
}

/// How a flow fares, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fare {
    Accepted,
    WithoutOption,
    Refused,
    Unanswered,
}

fn fare(tried: &Tried) -> Fare {
    match &tried.reply {
        Some(Reply::SynAck(answer)) if accepts(answer) => Fare::Accepted,
        Some(Reply::SynAck(_)) => Fare::WithoutOption,
        Some(_) => Fare::Refused,
        None => Fare::Unanswered,
    }
}

impl FlowsTried {
    /// The one that fares worst, and what became of all. `None` if there is none.
    pub(super) fn of(all: Vec<Tried>) -> Option<(Tried, Self)> {
        let worst = all.iter().map(fare).max()?;
        let told = Self {
            tried: all.len(),
            alike: all.iter().filter(|it| fare(it) == worst).count(),
            accepted: all.iter().filter(|it| fare(it) == Fare::Accepted).count(),
        };
        let one = all.into_iter().find(|it| fare(it) == worst)?;
        Some((one, told))
    }

    /// Whether flows fare otherwise than others: there are parallel ways, and they are not alike.
    #[must_use]
    pub const fn differ(&self) -> bool {
        self.alike < self.tried
    }
}

/// Tries more flows, each with one SYN if it is answered, and has the evidence be of the one that fares worst. Does nothing
/// where that has been done, or no connection can be made.
///
/// # Errors
///
/// The kernel's, when it sends nothing.
///
/// # Cancel safety
///
/// Dropping the future leaves what was accepted to the kernel's RST.
pub async fn try_flows(packets: &RawPackets, evidence: &mut SynEvidence) -> io::Result<()> {
    if evidence.flows.is_some() || evidence.plain.answer().is_none() {
        return Ok(());
    }
    let asks = std::iter::repeat_n((Ask::Capable, None), MORE).collect();
    let mut all = vec![evidence.capable.clone()];
    all.extend(ask_on(packets, asks).await?);
    let Some((mut worst, told)) = FlowsTried::of(all) else {
        return Ok(());
    };
    if told.differ() && fare(&worst) == Fare::Unanswered {
        // Asked again, as one that was not answered at first; and whether the path still works.
        let asks = vec![(Ask::Plain, None), (Ask::Capable, Some(worst.flow.clone()))];
        let mut again = ask_on(packets, asks).await?.into_iter();
        evidence.plain_after = again.next();
        let sent = worst.sent;
        match again.next() {
            Some(unanswered) => worst = unanswered,
            None => return Ok(()),
        }
        worst.sent += sent;
        // It was chance, then.
        if worst.reply.is_some() {
            return Ok(());
        }
    }
    let is_other = worst.flow != evidence.capable.flow;
    evidence.capable = worst;
    evidence.flows = Some(told);
    if is_other {
        try_to_join(packets, evidence).await?;
    }
    Ok(())
}
