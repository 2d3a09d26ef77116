//! Asking the other end.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use twinpath::diagnosis::PathToTest;
use twinpath_socket::raw::{Carried, RawPackets};
use twinpath_socket::{ConnectOptions, connect, mptcp};

use super::{GREETING, LONGEST_LINE, pattern, way_back};
use crate::packet::{Packet, mptcp_of, understand};

const CONNECT: Duration = Duration::from_millis(3500);
/// The greeting comes within a round trip, or never.
const GREETED: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_secs(5);
/// The other end traces the way back meanwhile, and perhaps first for others.
const BACK: Duration = Duration::from_secs(20);
/// What has arrived is in the raw socket's buffer.
const ARRIVED: Duration = Duration::from_millis(20);
/// More than any trace has.
const MOST_ARRIVED: usize = 1000;
const PAYLOAD: usize = 8 * 1024;

/// What became of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PayloadAnswer {
    /// The first byte that arrived there otherwise than it was sent.
    pub wrong_there: Option<usize>,
    /// The first byte that arrived here otherwise than it was sent.
    pub wrong_here: Option<usize>,
}

impl PayloadAnswer {
    pub(crate) const fn is_changed(self) -> bool {
        self.wrong_there.is_some() || self.wrong_here.is_some()
    }
}

/// What the other end has said.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Asked {
    /// The plain port.
    pub port: u16,
    /// A SYN with the option as it arrived at the plain port, IP header and all.
    pub syn: Option<Vec<u8>>,
    /// Whether this end and the other take a connection to the first port for MPTCP, after data in both directions.
    pub is_mptcp: Option<(bool, bool)>,
    /// Whether a payload arrives unchanged.
    pub payload: Option<PayloadAnswer>,
    /// The way back, as JSON.
    pub back: Option<Value>,
    /// What arrived here of all that the other end sent to trace the way back.
    pub gets_here: GetsHere,
    /// What could not be asked, in words.
    pub troubles: Vec<String>,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asking {
    /// The question for the way back, if any.
    pub back: Option<&'static str>,
    /// SYNs to the plain port have the option, to be told how it arrives.
    pub option_to_plain: bool,
    /// SYNs to the port that speaks MPTCP have it.
    pub option: bool,
}

/// Asks `twinpath doctor --listen` at the path's server; `None` if it is somebody else.
///
/// # Cancel safety
///
/// Dropping the future closes what is open.
pub async fn ask_the_other_end(path: &PathToTest, asking: &Asking) -> Option<Asked> {
    let mut options = ConnectOptions::bound_to(path.binding.clone());
    let port = other_end(path).await?;
    let mut asked = Asked {
        port,
        ..Asked::default()
    };
    // A dropped SYN must not turn MPTCP off for this machine.
    let limit = mptcp::fallback_after().saturating_sub(Duration::from_millis(400));
    let has_mptcp = mptcp::is_available().is_ok();
    options.mptcp = has_mptcp && asking.option_to_plain;
    let at = SocketAddr::new(path.server.ip(), port);
    match ask_plain(path, at, &options, limit, asking.back).await {
        Ok((syn, told)) => {
            asked.syn = syn.filter(|_| asking.option_to_plain);
            asked.gets_here = told.gets_here;
            asked.back = told.told;
        }
        Err(error) => {
            let trouble = format!("the plain port {port} of the other end: {error}");
            asked.troubles.push(trouble);
        }
    }
    options.mptcp = has_mptcp && asking.option;
    match ask_mptcp(path.server, &options, limit).await {
        Ok((payload, is_mptcp)) => {
            asked.payload = Some(payload);
            asked.is_mptcp = Some(is_mptcp).filter(|_| options.mptcp);
        }
        Err(error) => asked
            .troubles
            .push(format!("a connection to the other end: {error}")),
    }
    Some(asked)
}

/// What is known of the way back.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Back {
    /// What the other end says of it.
    pub(crate) told: Option<Value>,
    /// What arrived here of all that it sent for that.
    pub(crate) gets_here: GetsHere,
}

/// What arrives of answers to a handshake that are sent within an open connection. Nothing at all where something on the way
/// passes on only what fits the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GetsHere {
    /// Some, with the option.
    pub with_option: bool,
    /// Some, without it.
    pub without: bool,
}

/// The plain port of the other end; `None` if it is somebody else.
pub(crate) async fn other_end(path: &PathToTest) -> Option<u16> {
    let options = ConnectOptions::bound_to(path.binding.clone());
    let begin = Instant::now();
    let connected = timeout(CONNECT, connect(path.server, &options)).await;
    let mut stream = BufReader::new(connected.ok()?.ok()?);
    let patience = GREETED.max(begin.elapsed() * 4);
    greeting(&mut stream, patience).await
}

/// Asks the other end for the way back alone; `None` if it is somebody else, or does not answer.
pub(crate) async fn ask_back(path: &PathToTest, what: &str) -> Option<Back> {
    let options = ConnectOptions::bound_to(path.binding.clone());
    let port = other_end(path).await?;
    let at = SocketAddr::new(path.server.ip(), port);
    let mut stream = open(at, &options, CONNECT).await.ok()?;
    way(path, at, &mut stream, what).await.ok()
}

async fn ask_plain(
    path: &PathToTest,
    at: SocketAddr,
    options: &ConnectOptions,
    limit: Duration,
    back: Option<&str>,
) -> io::Result<(Option<Vec<u8>>, Back)> {
    let mut stream = open(at, options, limit).await?;
    let answer = question(&mut stream, "syn", ANSWER).await?;
    let syn = answer.strip_prefix("syn ").and_then(unhex);
    let told = match back {
        Some(back) => way(path, at, &mut stream, back).await?,
        None => Back::default(),
    };
    Ok((syn, told))
}

async fn way(
    path: &PathToTest,
    at: SocketAddr,
    stream: &mut BufReader<TcpStream>,
    what: &str,
) -> io::Result<Back> {
    // Who may not look knows less.
    let arriving = RawPackets::open(&path.binding, at).ok();
    let port = stream.get_ref().local_addr()?.port();
    let told = question(stream, what, BACK).await?;
    let told = told.strip_prefix("back ").and_then(way_back);
    let mut gets_here = GetsHere::default();
    if let Some(packets) = arriving {
        for _ in 0..MOST_ARRIVED {
            let Some(arrived) = packets.receive(ARRIVED).await? else {
                break;
            };
            let is_icmp = arrived.protocol == Carried::Icmp;
            let packet = understand(&arrived.bytes, arrived.source, is_icmp);
            if let Some(Packet::Segment(answer)) = packet {
                let is_probe = answer.destination == port && answer.flags.is_syn_ack();
                let has_option = mptcp_of(&answer.options).is_some();
                gets_here.with_option |= is_probe && has_option;
                gets_here.without |= is_probe && !has_option;
            }
        }
    }
    Ok(Back { told, gets_here })
}

async fn ask_mptcp(
    at: SocketAddr,
    options: &ConnectOptions,
    limit: Duration,
) -> io::Result<(PayloadAnswer, (bool, bool))> {
    let mut stream = open(at, options, limit).await?;
    let payload = payload(&mut stream).await?;
    let there = question(&mut stream, "mptcp", ANSWER).await? == "mptcp yes";
    let here = matches!(mptcp::mptcp_info(stream.get_ref()), Ok(Some(_)));
    Ok((payload, (here, there)))
}

async fn open(
    at: SocketAddr,
    options: &ConnectOptions,
    limit: Duration,
) -> io::Result<BufReader<TcpStream>> {
    let connected = timeout(limit, connect(at, options)).await;
    let mut stream = BufReader::new(connected.map_err(|_| io::ErrorKind::TimedOut)??);
    let greeted = greeting(&mut stream, ANSWER).await;
    greeted.ok_or_else(|| io::Error::other("it does not greet"))?;
    Ok(stream)
}

/// The port of the plain listener.
async fn greeting(stream: &mut BufReader<TcpStream>, patience: Duration) -> Option<u16> {
    let line = line(stream, patience).await.ok()?;
    let rest = line.strip_prefix(GREETING)?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

async fn line(stream: &mut BufReader<TcpStream>, patience: Duration) -> io::Result<String> {
    let mut line = Vec::new();
    let mut limited = stream.take(LONGEST_LINE);
    timeout(patience, limited.read_until(b'\n', &mut line)).await??;
    Ok(String::from_utf8_lossy(&line).trim().to_owned())
}

async fn question(
    stream: &mut BufReader<TcpStream>,
    what: &str,
    patience: Duration,
) -> io::Result<String> {
    let question = format!("{what}\n");
    stream.get_mut().write_all(question.as_bytes()).await?;
    line(stream, patience).await
}

async fn payload(stream: &mut BufReader<TcpStream>) -> io::Result<PayloadAnswer> {
    let mut sent = format!("payload {PAYLOAD}\n").into_bytes();
    sent.extend((0..PAYLOAD).map(pattern));
    stream.get_mut().write_all(&sent).await?;
    let answer = line(stream, ANSWER).await?;
    let wrong = answer.strip_prefix("payload wrong ");
    let wrong_there = match wrong {
        Some(at) => Some(at.parse().unwrap_or(0)),
        // Not even the answer arrived as it was sent, or the question did not.
        None => Some(0).filter(|_| answer != "payload ok"),
    };
    let mut back = vec![0; PAYLOAD];
    timeout(ANSWER, stream.read_exact(&mut back)).await??;
    Ok(PayloadAnswer {
        wrong_there,
        wrong_here: (0..PAYLOAD).find(|at| back[*at] != pattern(*at)),
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() % 2 != 0 || !text.is_ascii() {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}
