//! Whether a second path may join a connection of the first.

use std::io;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use twinpath::diagnosis::{PathToTest, Verdict};
use twinpath_socket::raw::{Carried, RawPackets};
use twinpath_socket::{ConnectOptions, connect, mptcp};

use super::ExaminedPath;
use super::joining::Joining;
use crate::packet::{Mptcp, Packet, mptcp_of, understand};

/// In which the server's half of the handshake must be in the raw socket's buffer.
const HANDSHAKE: Duration = Duration::from_millis(500);
/// In which the server must acknowledge an empty line: joins are refused before that (RFC 8684 §3.2).
const ESTABLISHED: Duration = Duration::from_millis(1500);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Has every path but the first that works join a connection over that one, by a SYN that is taken back. If it was traced
/// that one as well; and where joins do not get through on a path that was, it is found out between which hops.
pub(super) async fn join(paths: &[PathToTest], examined: &mut [ExaminedPath]) {
    // Another address may be another server, which knows nothing of the connection.
    let mut servers: Vec<_> = paths.iter().map(|it| it.server).collect();
    servers.sort_unstable();
    servers.dedup();
    for server in servers {
        let is_there = |it: &PathToTest| it.server == server;
        let works = |it: &ExaminedPath| it.told.verdict == Verdict::Works;
        let first = (0..paths.len()).find(|at| is_there(&paths[*at]) && works(&examined[*at]));
        let Some(first) = first else { continue };
        let is_traced = |it: &ExaminedPath| it.trace.is_some();
        let joining: Vec<_> = (0..paths.len())
            .filter(|at| *at != first || is_traced(&examined[*at]))
            .filter(|at| is_there(&paths[*at]))
            // What cannot connect cannot join.
            .filter(|at| examined[*at].told.connect_time.is_some())
            .collect();
        if joining.is_empty() {
            continue;
        }
        let (token, _open) = match open(&paths[first]).await {
            Ok((token, open)) => (Some(token), Some(open)),
            Err(error) => {
                for at in joining.iter().filter(|at| **at != first) {
                    let needs = &mut examined[*at].told.needs;
                    needs.push(format!(
                        "whether it can join a connection of another path: {error}"
                    ));
                }
                (None, None)
            }
        };
        for at in joining {
            let over = (at != first).then(|| paths[first].interface.clone());
            let trace = is_traced(&examined[at]);
            // Without a connection there is nothing to join; routers do not know.
            if token.is_none() && !trace {
                continue;
            }
            let joining = Joining {
                path: &paths[at],
                token,
                over: over.as_deref(),
            };
            joining.examine(&mut examined[at], trace).await;
        }
    }
}

/// A connection of the kernel, and what names it at the server: from the key in the answer, which the kernel tells nobody.
async fn open(path: &PathToTest) -> io::Result<(u32, TcpStream)> {
    let packets = RawPackets::open(&path.binding, path.server)?;
    let mut options = ConnectOptions::bound_to(path.binding.clone());
    options.mptcp = true;
    let limit = mptcp::fallback_after().saturating_sub(Duration::from_millis(400));
    let connected = timeout(limit, connect(path.server, &options)).await;
    let mut stream = connected.map_err(|_| io::ErrorKind::TimedOut)??;
    let port = stream.local_addr()?.port();
    let key = key_of(&packets, port).await?;
    stream.write_all(b"\r\n").await?;
    let established = async {
        while !matches!(mptcp::mptcp_info(&stream), Ok(Some(info)) if info.unacked == 0) {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(ESTABLISHED, established)
        .await
        .map_err(|_| io::Error::other("the server acknowledged nothing on the first one"))?;
    let digest = Sha256::digest(key);
    let token = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    Ok((token, stream))
}

async fn key_of(packets: &RawPackets, port: u16) -> io::Result<[u8; 8]> {
    let begin = Instant::now();
    while let Some(left) = HANDSHAKE.checked_sub(begin.elapsed()) {
        let Some(arrived) = packets.receive(left).await? else {
            break;
        };
        let is_icmp = arrived.protocol == Carried::Icmp;
        let Some(Packet::Segment(answer)) = understand(&arrived.bytes, arrived.source, is_icmp)
        else {
            continue;
        };
        if answer.destination == port && answer.flags.is_syn_ack() {
            if let Some(Mptcp::Capable { key: Some(key), .. }) = mptcp_of(&answer.options) {
                return Ok(key);
            }
        }
    }
    Err(io::Error::other("the server's key was not seen"))
}
