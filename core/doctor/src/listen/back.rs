//! The way back: traced by the other end, and told in JSON.
//!
//! Only towards the other end of a connection that is open, so that nobody can have a third party traced; one trace at a
//! time, and no hop asked twice in a second; a few of them a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{sleep_until, timeout};
use twinpath_socket::Binding;
use twinpath_socket::raw::RawPackets;

use crate::packet::{Ask, ip_header, segment};
use crate::probe::random;
use crate::report;
use crate::trace::{ROUNDS, Tracer, locate, trace_dropped};

/// How many ways back a connection is told.
pub(super) const MOST_BACK: u8 = 4;
/// Between two traces.
const BETWEEN: Duration = Duration::from_millis(1100);
/// For others to be done.
const PATIENCE: Duration = Duration::from_secs(9);
/// More hops, changes or words are not believed.
const MOST_TOLD: usize = 64;
const LONGEST_WORDS: usize = 200;

/// What is asked about the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// A SYN-ACK with MP_CAPABLE; whether it is dropped.
    Answer { dropped: bool },
    /// A SYN-ACK with MP_JOIN; whether it is dropped.
    Join { dropped: bool },
    /// What follows the handshake.
    Later,
}

impl Question {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" => Self::Answer { dropped: false },
            "dropped" => Self::Answer { dropped: true },
            "join" => Self::Join { dropped: false },
            "join dropped" => Self::Join { dropped: true },
            "later" => Self::Later,
            _ => return None,
        })
    }

    const fn compares(self) -> bool {
        matches!(
            self,
            Self::Answer { dropped: true } | Self::Join { dropped: true }
        )
    }
}

/// Who traces; and when the last trace ended.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<Option<Instant>>);

impl Turn {
    /// Traces the way to the connection's other end. `syn` is the SYN that opened it, if it was kept.
    pub(super) async fn trace(
        &self,
        stream: &TcpStream,
        syn: &[u8],
        question: Question,
    ) -> io::Result<Value> {
        let Ok(mut last) = timeout(PATIENCE, self.0.lock()).await else {
            return Err(io::Error::other(
                "it is busy with traces for others: try again",
            ));
        };
        if let Some(last) = *last {
            sleep_until((last + BETWEEN).into()).await;
        }
        let traced = trace(stream, syn, question).await;
        *last = Some(Instant::now());
        traced.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                io::Error::other(format!("it lacks CAP_NET_RAW ({error})"))
            }
            _ => error,
        })
    }
}

async fn trace(stream: &TcpStream, syn: &[u8], question: Question) -> io::Result<Value> {
    let local = canonical(stream.local_addr()?);
    let peer = canonical(stream.peer_addr()?);
    let packets = RawPackets::open(&Binding::Unbound, peer)?;
    let syn = ip_header(syn).and_then(|(_, tcp)| segment(tcp));
    let ack = syn.map_or(0, |it| it.seq.wrapping_add(1));
    let [a, b] = [random()?.to_be_bytes(), random()?.to_be_bytes()];
    let key = [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]];
    let ask = match question {
        Question::Answer { .. } => Ask::Answer { ack, key },
        Question::Join { .. } => Ask::JoinAnswer { ack, hmac: key },
        Question::Later => Ask::Later,
    };
    let tracer = Tracer::within(&packets, local, None);
    if question.compares() {
        let compared = trace_dropped(&tracer, ask).await?;
        return Ok(report::compared_json(&compared, &locate(&compared.trace)));
    }
    let trace = tracer.trace(ask, ROUNDS).await?;
    Ok(report::trace_json(&trace, &locate(&trace)))
}

/// A listener for both families has IPv4 addresses in the clothes of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        // What is of one link alone keeps its link.
        IpAddr::V6(_) => address,
        v4 => SocketAddr::new(v4, address.port()),
    }
}

/// What another end says of the way back, as far as it has the shape of it: nothing else is passed on, and no text but
/// plain ASCII.
#[must_use]
pub fn way_back(text: &str) -> Option<Value> {
    let told: Value = serde_json::from_str(text).ok()?;
    if let Some(error) = told["error"].as_str() {
        return Some(json!({ "error": words(error) }));
    }
    let all = |name: &str| told[name].as_array().into_iter().flatten().take(MOST_TOLD);
    told["hops"].as_array()?;
    let hops = all("hops").filter_map(|hop| {
        let mptcp = hop["mptcp"].as_str();
        Some(json!({
            "ttl": small(&hop["ttl"])?,
            "from": addresses(&hop["from"]),
            "quoted": hop["quoted"].as_u64().filter(|it| *it <= u64::from(u16::MAX)),
            "mptcp": mptcp.filter(|it| ["as_sent", "changed"].contains(it)),
        }))
    });
    let changes = all("changes").filter_map(|change| {
        let what = words(change["what"].as_str()?);
        Some(json!({ "what": what, "between": between(&change["between"])? }))
    });
    let mut value = json!({
        "hops": hops.collect::<Vec<_>>(),
        "server_at": small(&told["server_at"]),
        "changes": changes.collect::<Vec<_>>(),
    });
    if let Some(dropped) = between(&told["dropped"]) {
        value["dropped"] = dropped;
    }
    Some(value)
}

fn between(told: &Value) -> Option<Value> {
    Some(json!({
        "after": small(&told["after"])?,
        "after_from": addresses(&told["after_from"]),
        "by": small(&told["by"]),
        "by_from": addresses(&told["by_from"]),
    }))
}

fn small(number: &Value) -> Option<u8> {
    number.as_u64().and_then(|it| it.try_into().ok())
}

fn addresses(told: &Value) -> Vec<IpAddr> {
    let all = told.as_array().into_iter().flatten().take(MOST_TOLD);
    all.filter_map(|it| it.as_str()?.parse().ok()).collect()
}

fn words(text: &str) -> String {
    let plain = text.chars().filter(|it| matches!(it, ' '..='~'));
    plain.take(LONGEST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_another_shape_is_not_passed_on() {
        let text = r#"{"hops":[{"ttl":1,"from":["192.0.2.1","x"],"quoted":28,"mptcp":"<b>"},{"ttl":900}],
            "server_at":-1,"changes":[{"what":"a\u001b[31mb","between":{"after":0,"by":2,"evil":1}}],
            "dropped":{"after":1,"by":null},"evil":[]}"#;
        let told = way_back(text).unwrap();
        assert_eq!(
            told,
            json!({
                "hops": [{"ttl": 1, "from": ["192.0.2.1"], "quoted": 28, "mptcp": null}],
                "server_at": null,
                "changes": [{"what": "a[31mb", "between": {"after": 0, "after_from": [], "by": 2, "by_from": []}}],
                "dropped": {"after": 1, "after_from": [], "by": null, "by_from": []},
            })
        );
        assert_eq!(way_back("[]"), None);
        assert_eq!(way_back(r#"{"hops":3}"#), None);
        let error = way_back("{\"error\":\"no\\n\"}").unwrap();
        assert_eq!(error, json!({ "error": "no" }));
    }

    #[test]
    fn questions_are_those_of_the_table() {
        let answer = |dropped| Some(Question::Answer { dropped });
        assert_eq!(Question::parse(""), answer(false));
        assert_eq!(Question::parse("dropped"), answer(true));
        assert_eq!(
            Question::parse("join dropped"),
            Some(Question::Join { dropped: true })
        );
        assert_eq!(Question::parse("to 192.0.2.1"), None);
    }
}
