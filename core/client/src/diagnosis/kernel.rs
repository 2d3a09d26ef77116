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
    /// Negotiated, by two connections, and no data of either was acknowledged, while that of a plain one was.
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
    let options = ConnectOptions::bound_to(path.binding.clone());
    let begin = Instant::now();
    match timeout(CONNECT, connect(path.server, &options)).await {
        Ok(Ok(_)) => AnswerOf::Accepted(begin.elapsed()),
        Ok(Err(error)) => answer_of(&error),
        Err(_) => AnswerOf::Silence,
    }
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
    // Twice, since three packets in a row may be lost by chance.
    for _ in 0..2 {
        if let Some(answer) = ask_once(path, limit, checksums).await {
            return answer;
        }
    }
    MptcpAnswer::Silence {
        limit,
        connects: 2,
        plain_after: try_plain(path).await,
    }
}

async fn ask_once(path: &PathToTest, limit: Duration, checksums: &mut bool) -> Option<MptcpAnswer> {
    let mut options = ConnectOptions::bound_to(path.binding.clone());
    options.mptcp = true;
    let before = mptcp::counters();
    let connected = timeout(limit, connect(path.server, &options)).await.ok()?;
    Some(match connected {
        Ok(stream) => match mptcp::mptcp_info(&stream) {
            Ok(Some(info)) => {
                *checksums = info.checksums;
                let held = match did_it_hold(stream).await {
                    Some(held) => held,
                    None => is_it_the_option(path, limit, options).await,
                };
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

/// An option that is taken out after the handshake shows once data is acknowledged; nothing if it was not in time.
async fn did_it_hold(mut stream: TcpStream) -> Option<MptcpAnswer> {
    if stream.write_all(EMPTY_LINE).await.is_err() {
        return Some(MptcpAnswer::Negotiated);
    }
    let watching = async {
        loop {
            match mptcp::mptcp_info(&stream) {
                Ok(Some(info)) if info.unacked == 0 => return MptcpAnswer::Held,
                Ok(Some(_)) => sleep(LOOK_EVERY).await,
                Ok(None) => return MptcpAnswer::LostLater,
                Err(_) => return MptcpAnswer::Negotiated,
            }
        }
    };
    timeout(ACKNOWLEDGEMENT, watching).await.ok()
}

/// Data of a connection with MPTCP was not acknowledged: whether that of a plain one is, and of another one with MPTCP not.
async fn is_it_the_option(
    path: &PathToTest,
    limit: Duration,
    with_option: ConnectOptions,
) -> MptcpAnswer {
    let plain = ConnectOptions::bound_to(path.binding.clone());
    let Ok(Ok(stream)) = timeout(CONNECT, connect(path.server, &plain)).await else {
        return MptcpAnswer::Negotiated;
    };
    if !is_acknowledged(stream).await {
        return MptcpAnswer::Negotiated;
    }
    let Ok(Ok(again)) = timeout(limit, connect(path.server, &with_option)).await else {
        return MptcpAnswer::Negotiated;
    };
    match mptcp::mptcp_info(&again) {
        Ok(Some(_)) => did_it_hold(again).await.unwrap_or(MptcpAnswer::Stuck),
        _ => MptcpAnswer::Negotiated,
    }
}

async fn is_acknowledged(mut stream: TcpStream) -> bool {
    let watching = async {
        stream.write_all(EMPTY_LINE).await?;
        while tcp_health(&stream)?.unacked != Some(0) {
            sleep(LOOK_EVERY).await;
        }
        io::Result::Ok(())
    };
    matches!(timeout(ACKNOWLEDGEMENT, watching).await, Ok(Ok(())))
}
