//! How long a connect with MPTCP waits where SYNs with the option are dropped: measured in a room, since the kernel that falls
//! back leaves MPTCP out for an hour, for all that share its network namespace.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use twinpath::diagnosis::{Fallback, PathDiagnosis, PathToTest};
use twinpath_socket::raw::RawPackets;
use twinpath_socket::room::Room;
use twinpath_socket::{abort, mptcp};

use crate::packet::{Ask, Probe, TTL};

/// In which the server must have answered the SYN without the option, once it is sent by this kernel's setting.
const ANSWER: Duration = Duration::from_secs(3);

/// What became of it, on a path where SYNs with the option, or the answers, are dropped.
///
/// # Cancel safety
///
/// Dropping the future may leave the peer with a connection that is not made to the end.
pub(super) async fn measure(path: &PathToTest) -> io::Result<Fallback> {
    let (room, guest) = Room::open(&path.binding, path.server, false).await?;
    let connecting = async {
        let begin = Instant::now();
        let limit = mptcp::fallback_after() + ANSWER;
        let Ok(connected) = timeout(limit, guest.connect()).await else {
            return Ok(Fallback::NotWithin(limit));
        };
        let stream = connected?;
        let time = begin.elapsed();
        let with_option = mptcp::mptcp_info(&stream)?.is_some();
        abort(stream);
        if with_option {
            let what = "its connection was accepted with the option";
            return Err(io::Error::other(what));
        }
        Ok(Fallback::After(time))
    };
    let measured = room.during(connecting).await?;
    if let Some(seq) = room.unanswered() {
        take_back(path, room.source(), seq).await?;
    }
    measured
}

/// What is dropped may be the answers alone: then the peer has accepted a SYN, and goes on answering.
async fn take_back(path: &PathToTest, source: SocketAddr, seq: u32) -> io::Result<()> {
    let syn = Probe {
        source,
        destination: path.server,
        seq,
        ask: Ask::Capable,
        ttl: TTL,
    };
    let packets = RawPackets::open(&path.binding, path.server)?;
    packets.send(&syn.reset()).await
}

/// Adds it to what is told of the path.
pub(super) fn tell(told: &mut PathDiagnosis, measured: io::Result<Fallback>) {
    told.fallback = measured.as_ref().ok().copied();
    match measured {
        Ok(Fallback::NotWithin(limit)) => told.evidence.push(format!(
            "a kernel's connect with the option was not accepted in {:.1} s, although its last SYN was without it (in a network \
             namespace of its own: this machine's goes on asking for MPTCP)",
            limit.as_secs_f64()
        )),
        Ok(Fallback::After(time)) => {
            told.evidence.push(format!(
                "a kernel's connect with the option was accepted without it after {:.2} s (in a network namespace of its own: \
                 this machine's goes on asking for MPTCP)",
                time.as_secs_f64()
            ));
        }
        Err(error) => told.needs.push(format!(
            "how long a connect waits until it is tried without the option, other than by the kernel's setting: {error}"
        )),
    }
}
