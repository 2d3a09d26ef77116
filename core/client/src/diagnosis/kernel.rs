//! What the kernel's own connections show.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use twinpath_socket::{ConnectOptions, connect, mptcp, tcp_health};

use super::PathToTest;

/// A plain connect that takes longer has failed: two SYNs may be lost.
const CONNECT: Duration = Duration::from_millis(3500);
/// Before the kernel tries without the option, if both ends are to stay unharmed.
const MARGIN: Duration = Duration::from_millis(400);
/// In which an acknowledgement of what was sent must come.
const ACKNOWLEDGEMENT: Duration = Duration::from_millis(1500);
/// There is no event for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Servers of HTTP ignore an empty line before a request (RFC 9112 §2.2), others end the connection at worst.
const EMPTY_LINE: &[u8] = b"\r\n";

/// What came of a connect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerOf {
    /// It was accepted after that time.
    Accepted(Duration),
    /// It was refused (RST).
    Refused,
    /// It was not answered.
    Silence,
    /// Something else, in words.
    Failed(String),
}

/// What came of asking for MPTCP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MptcpAnswer {
    /// Not asked: why, in words.
    NotAsked(String),
    /// The kernel left the option out, since something had swallowed it before.
    LeftOut,
    /// Negotiated, and the peer acknowledged data with it.
    Held,
    /// Negotiated; whether it held could not be seen.
    Negotiated,
    /// Negotiated, by two connections, and no data of either was acknowledged, while that of a plain one after them was.
    Stuck,
    /// Negotiated, and gone after the first data.
    LostLater,
    /// Negotiated, with checksums over the data, and gone after the first data, while the kernel's counters, which count
    /// all programs, have counted checksums that were wrong.
    ChecksumsWrong {
        /// Of data from here, as a peer has said (MP_FAIL).
        out: bool,
        /// Of data that arrived here.
        back: bool,
    },
    /// Gone as soon as the connection was there, though by the kernel's counters, which count all programs, an answer with
    /// the option came meanwhile: from a server that speaks first.
    LostAtOnce,
    /// The answer came without the option.
    WithoutOption,
    /// Not answered within that time, in as many connects as were tried.
    Silence {
        /// How long each was waited for.
        limit: Duration,
        /// How many.
        connects: u32,
        /// A plain connect after that.
        plain_after: AnswerOf,
    },
    /// Refused.
    Refused,
    /// Something else, in words.
    Failed(String),
}

/// What the kernel's connections have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelEvidence {
    /// A connect without the option.
    pub plain: AnswerOf,
    /// One with it.
    pub mptcp: MptcpAnswer,
    /// Whether the data of the latter had checksums, since either end asks for them.
    pub checksums: bool,
}

/// Asks the kernel for a plain connection over that path, then for one with MPTCP. See the
/// [module](super) for what goes over the network. Takes 17 s at most.
///
/// # Cancel safety
///
/// Dropping the future closes what is open.
pub async fn ask_kernel(path: &PathToTest) -> KernelEvidence {
    let plain = try_plain(path).await;
    let mut checksums = false;
    let mptcp = match (&plain, mptcp::is_available()) {
        (AnswerOf::Accepted(_), Ok(())) => ask_for_mptcp(path, &mut checksums).await,
        (AnswerOf::Accepted(_), Err(error)) if error.kind() == io::ErrorKind::Unsupported => {
            MptcpAnswer::NotAsked("this system has no MPTCP that sockets can ask for".into())
        }
        (AnswerOf::Accepted(_), Err(error)) => {
            MptcpAnswer::NotAsked(format!("this kernel makes no MPTCP sockets: {error}"))
        }
        _ => MptcpAnswer::NotAsked("the server cannot be reached by TCP".into()),
    };
    KernelEvidence {
        plain,
        mptcp,
        checksums,
    }
}

async fn try_plain(path: &PathToTest) -> AnswerOf {
    let begin = Instant::now();
    match dial(path, None).await {
        Ok(_) => AnswerOf::Accepted(begin.elapsed()),
        Err(error) => answer_of(&error),
    }
}

/// With MPTCP, and given up after that time, or plain.
async fn dial(path: &PathToTest, mptcp: Option<Duration>) -> io::Result<TcpStream> {
    let mut options = ConnectOptions::bound_to(path.binding.clone());
    options.mptcp = mptcp.is_some();
    let limit = mptcp.unwrap_or(CONNECT);
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    timeout(limit, connect(path.server, &options))
        .await
        .unwrap_or_else(late)
}

fn answer_of(error: &io::Error) -> AnswerOf {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => AnswerOf::Refused,
        io::ErrorKind::TimedOut => AnswerOf::Silence,
        _ => AnswerOf::Failed(error.to_string()),
    }
}

async fn ask_for_mptcp(path: &PathToTest, checksums: &mut bool) -> MptcpAnswer {
    let limit = mptcp::fallback_after().saturating_sub(MARGIN);
    let mut stuck = 0;
    // Twice, since three packets in a row may be lost by chance.
    for _ in 0..2 {
        match ask_once(path, limit, checksums).await {
            Some(MptcpAnswer::Stuck) => stuck += 1,
            Some(answer) => return answer,
            None => {}
        }
    }
    if stuck == 0 {
        return MptcpAnswer::Silence {
            limit,
            connects: 2,
            plain_after: try_plain(path).await,
        };
    }
    let plain = match dial(path, None).await {
        Ok(plain) => watch(plain, look_at_plain).await,
        Err(_) => return MptcpAnswer::Negotiated,
    };
    match (stuck, plain) {
        (2, MptcpAnswer::Held) => MptcpAnswer::Stuck,
        _ => MptcpAnswer::Negotiated,
    }
}

async fn ask_once(path: &PathToTest, limit: Duration, checksums: &mut bool) -> Option<MptcpAnswer> {
    let before = mptcp::counters();
    Some(match dial(path, Some(limit)).await {
        Ok(stream) => match mptcp::mptcp_info(&stream) {
            Ok(Some(info)) => {
                *checksums = info.checksums;
                let held = watch(stream, look_at_mptcp).await;
                if held != MptcpAnswer::LostLater || !info.checksums {
                    return Some(held);
                }
                let after = mptcp::counters();
                let has_counted = |name| after.get(name) != before.get(name);
                match (has_counted("MPFailRx"), has_counted("DataCsumErr")) {
                    (false, false) => held,
                    (out, back) => MptcpAnswer::ChecksumsWrong { out, back },
                }
            }
            _ => {
                let after = mptcp::counters();
                let has_counted = |name| after.get(name) != before.get(name);
                match () {
                    () if has_counted("MPCapableSYNTXDisabled") => MptcpAnswer::LeftOut,
                    () if has_counted("MPCapableSYNACKRX") => MptcpAnswer::LostAtOnce,
                    () => MptcpAnswer::WithoutOption,
                }
            }
        },
        Err(error) => match answer_of(&error) {
            AnswerOf::Refused => MptcpAnswer::Refused,
            AnswerOf::Silence => return None,
            _ => MptcpAnswer::Failed(error.to_string()),
        },
    })
}

/// What is sent shows whether the option is taken out after the handshake, and whether anything arrives.
async fn watch(
    mut stream: TcpStream,
    look: fn(&TcpStream) -> io::Result<MptcpAnswer>,
) -> MptcpAnswer {
    if stream.write_all(EMPTY_LINE).await.is_err() {
        return MptcpAnswer::Negotiated;
    }
    let begin = Instant::now();
    loop {
        match look(&stream) {
            Ok(MptcpAnswer::Stuck) if begin.elapsed() < ACKNOWLEDGEMENT => sleep(LOOK_EVERY).await,
            Ok(answer) => return answer,
            Err(_) => return MptcpAnswer::Negotiated,
        }
    }
}

fn look_at_mptcp(stream: &TcpStream) -> io::Result<MptcpAnswer> {
    Ok(match mptcp::mptcp_info(stream)? {
        Some(info) if info.unacked == 0 => MptcpAnswer::Held,
        Some(_) => MptcpAnswer::Stuck,
        None => MptcpAnswer::LostLater,
    })
}

fn look_at_plain(stream: &TcpStream) -> io::Result<MptcpAnswer> {
    Ok(match tcp_health(stream)?.unacked {
        Some(0) => MptcpAnswer::Held,
        _ => MptcpAnswer::Stuck,
    })
}
