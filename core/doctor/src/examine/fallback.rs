//! How long a connect with MPTCP waits where SYNs with the option are dropped: measured in a room, since the kernel that falls
//! back leaves MPTCP out for an hour, for all that share its network namespace.

use std::io;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use twinpath::diagnosis::{PathDiagnosis, PathToTest};
use twinpath_socket::mptcp;
use twinpath_socket::room::Room;

/// Longer than kernels wait by default, of which the slowest doubles its wait.
const LIMIT: Duration = Duration::from_secs(9);

pub(super) async fn measure(path: &PathToTest, told: &mut PathDiagnosis) {
    match connect(path).await {
        Ok(time) => {
            told.fallback_time = Some(time);
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

async fn connect(path: &PathToTest) -> io::Result<Duration> {
    let (room, guest) = Room::open(&path.binding, path.server, false)?;
    let begin = Instant::now();
    let connected = room.during(timeout(LIMIT, guest.connect())).await?;
    let stream = connected.map_err(|_| io::ErrorKind::TimedOut)??;
    let time = begin.elapsed();
    match mptcp::mptcp_info(&stream)? {
        None => Ok(time),
        Some(_) => Err(io::Error::other(
            "its connection was accepted with the option",
        )),
    }
}
