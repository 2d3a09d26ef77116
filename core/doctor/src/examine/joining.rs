//! One path that is to join a connection: whether it may, and who hinders it.

use std::io;

use tokio::time::sleep;
use twinpath::diagnosis::{Finding, How, Outcome, PathToTest};
use twinpath_socket::raw::RawPackets;

use super::traced::{BETWEEN, how, lost_at_the_end};
use super::{ExaminedPath, JoinTraced, back};
use crate::listen::{Back, GetsHere, ask_back, other_end};
use crate::packet::{Ask, MPTCP, Mptcp, Seen, mptcp_of};
use crate::probe::{Reply, Tried, ask, ask_on, random};
use crate::trace::{Compared, ROUNDS, Tracer, locate, trace_dropped};

const ON_THE_WAY_BACK: &str = "between which hops joins fail on the way back: `twinpath doctor --listen` on the server, with \
                               CAP_NET_RAW";
const EITHER_WAY: &str = "whether joins fail behind the last hop that got them, or the answers to them on the way back: `twinpath \
                          doctor --listen` on the server";

/// What joins what.
#[derive(Debug)]
pub(super) struct Joining<'a> {
    pub(super) path: &'a PathToTest,
    /// Names the connection at the server; `None` if there is none.
    pub(super) token: Option<u32>,
    /// The interface that the connection is over, if it is another one.
    pub(super) over: Option<&'a str>,
}

/// Where it is lost, as far as that is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    Out,
    Back,
    Somewhere,
}

impl Joining<'_> {
    pub(super) async fn examine(&self, examined: &mut ExaminedPath, trace: bool) {
        let tried = async {
            let packets = RawPackets::open(&self.path.binding, self.path.server)?;
            let asks = self.ask(self.token)?;
            let [tried] = ask(&packets, [asks]).await?;
            io::Result::Ok((packets, asks, tried))
        };
        let (packets, asks, tried) = match tried.await {
            Ok(tried) => tried,
            Err(error) => {
                let text = format!("a SYN to join {} could not be sent: {error}", self.what());
                let finding = Finding::new("join", "unknown", text, Outcome::Unknown);
                return examined.told.findings.push(finding);
            }
        };
        let finding = self.judge(&tried);
        let is_hindered = ["stripped", "dropped"].contains(&finding.state);
        if (self.over.is_none() || self.token.is_none()) && !is_hindered {
            // Of one path nobody asks whether it may join itself, nor whether it may join nothing: what the server thinks of
            // it is its own affair.
            return examined.told.evidence.push(finding.text);
        }
        let nobody_knows = self.token.is_none() && finding.state == "dropped";
        if !nobody_knows {
            examined.told.findings.push(finding.clone());
        }
        if !(trace && is_hindered) {
            return;
        }
        let traced = match finding.state {
            "stripped" => self.stripped(&packets, asks, &tried, examined).await,
            _ => self.dropped(&packets, asks, &tried, examined).await,
        };
        match traced {
            Ok(traced) => {
                if nobody_knows && traced.dropped.is_some() {
                    examined.told.findings.push(finding);
                }
                examined.join = Some(traced);
            }
            Err(error) => {
                let needs = &mut examined.told.needs;
                needs.push(format!("--trace: where joins are lost: {error}"));
            }
        }
    }

    fn ask(&self, token: Option<u32>) -> io::Result<Ask> {
        let nonce = random()?;
        let token = token.map_or_else(random, Ok)?;
        Ok(Ask::Join { token, nonce })
    }

    /// What is to be joined, in words.
    fn what(&self) -> String {
        match (self.token, self.over) {
            (None, _) => "a connection that does not exist".into(),
            (_, Some(over)) => format!("a connection over {over}"),
            (_, None) => "a connection over the same path".into(),
        }
    }

    fn judge(&self, tried: &Tried) -> Finding {
        let what = self.what();
        let (state, text, outcome) = match &tried.reply {
            Some(Reply::SynAck(answer)) => match mptcp_of(&answer.options) {
                Some(Mptcp::Join { .. }) => (
                    "works",
                    format!("the server lets it join {what}"),
                    Outcome::Works,
                ),
                _ => (
                    "stripped",
                    format!(
                        "a SYN to join {what} was answered without the option: it is taken out on this path"
                    ),
                    Outcome::WithoutMptcp,
                ),
            },
            Some(_) if self.token.is_none() => (
                "refused",
                format!("a SYN to join {what} was refused, as it has to be"),
                Outcome::Works,
            ),
            Some(_) => (
                "refused",
                format!(
                    "the server, or something before it, refuses to let it join {what}: as when a load balancer sends it \
                     to another server"
                ),
                Outcome::WithoutMptcp,
            ),
            None => (
                "dropped",
                format!("{} SYNs to join {what} were not answered", tried.sent),
                Outcome::WithoutMptcp,
            ),
        };
        Finding::new("join", state, text, outcome)
    }

    /// The option is taken out. The trace is of the flow on which it was.
    async fn stripped(
        &self,
        packets: &RawPackets,
        asks: Ask,
        tried: &Tried,
        examined: &mut ExaminedPath,
    ) -> io::Result<JoinTraced> {
        // No hop is asked twice in a second.
        sleep(BETWEEN).await;
        let trace = Tracer::of(packets, &tried.flow).trace(asks, ROUNDS).await?;
        let mut changes = locate(&trace);
        changes.retain(|it| it.difference.of() == Seen::Option(MPTCP));
        let mut traced = JoinTraced {
            trace,
            changes,
            dropped: None,
            back: None,
        };
        if traced.changes.iter().any(|it| how(it).is_some()) {
            return Ok(traced);
        }
        match self.where_stripped(packets, tried, examined).await? {
            Lost::Out => lost_at_the_end(&traced.trace, &mut traced.changes, How::Unknown),
            Lost::Back => {
                if let Some(answer) = ask_back(self.path, "back join").await {
                    traced.back = told(answer, back::stripped, examined);
                }
                let is_named = |back: &serde_json::Value| {
                    back["changes"].as_array().is_some_and(|it| !it.is_empty())
                };
                if !traced.back.as_ref().is_some_and(is_named) {
                    examined.told.needs.push(ON_THE_WAY_BACK.into());
                }
            }
            Lost::Somewhere => examined.told.needs.push(EITHER_WAY.into()),
        }
        Ok(traced)
    }

    /// A server that speaks MPTCP refuses to have a connection joined that does not exist (RFC 8684 §3.2), and one that has
    /// not seen the option accepts.
    async fn where_stripped(
        &self,
        packets: &RawPackets,
        tried: &Tried,
        examined: &mut ExaminedPath,
    ) -> io::Result<Lost> {
        let text = "a SYN to join a connection that does not exist was";
        let asks = vec![(self.ask(None)?, Some(tried.flow.clone()))];
        let wrong = ask_on(packets, asks).await?;
        let reply = wrong.into_iter().next().and_then(|it| it.reply);
        let evidence = &mut examined.told.evidence;
        Ok(match reply {
            Some(Reply::Reset(_)) => {
                evidence.push(format!(
                    "{text} refused: MP_JOIN arrives, and is taken out of the answer on the way back"
                ));
                Lost::Back
            }
            Some(Reply::SynAck(_)) => {
                evidence.push(format!(
                    "{text} accepted as a plain one: MP_JOIN is taken out on the way out"
                ));
                Lost::Out
            }
            _ => Lost::Somewhere,
        })
    }

    /// Nothing comes back.
    async fn dropped(
        &self,
        packets: &RawPackets,
        asks: Ask,
        tried: &Tried,
        examined: &mut ExaminedPath,
    ) -> io::Result<JoinTraced> {
        // It has taken seconds to be sure that nothing comes back: no hop has been asked meanwhile.
        let tracer = Tracer::of(packets, &tried.flow);
        let Compared { trace, dropped, .. } = trace_dropped(&tracer, asks).await?;
        let mut traced = JoinTraced {
            // Behind the last router it may as well be the answer.
            dropped: dropped.filter(|it| Some(it.by) != trace.server_at),
            trace,
            changes: Vec::new(),
            back: None,
        };
        if !traced.trace.has_arrived {
            if traced.dropped.is_some() || traced.trace.server_at.is_none() {
                return Ok(traced);
            }
            let gets_there = match other_end(self.path).await {
                Some(port) => back::gets_there(self.path, port, asks).await,
                None => None,
            };
            // That they get to another port says nothing of this one.
            match gets_there {
                Some(false) => traced.dropped = Some(back::behind_the_last(&traced.trace)),
                Some(true) | None => examined.told.needs.push(EITHER_WAY.into()),
            }
            return Ok(traced);
        }
        examined.told.evidence.push(
            "SYNs that join arrive at the server, and its answers to them are dropped on the way back".into(),
        );
        match ask_back(self.path, "back join dropped").await {
            Some(answer) => traced.back = told(answer, back::dropped, examined),
            None => examined.told.needs.push(ON_THE_WAY_BACK.into()),
        }
        Ok(traced)
    }
}

/// What the other end says, and what follows from it.
fn told(
    answer: Back,
    judge: impl Fn(&mut serde_json::Value, GetsHere, &mut Vec<String>),
    examined: &mut ExaminedPath,
) -> Option<serde_json::Value> {
    let mut back = answer.told?;
    judge(&mut back, answer.gets_here, &mut examined.told.needs);
    Some(back)
}
