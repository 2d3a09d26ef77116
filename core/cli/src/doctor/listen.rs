//! `twinpath doctor --listen`: the other end.

use tokio::net::lookup_host;
use twinpath_doctor::listen::listen;

use crate::exit::{Failure, say};
use crate::values::ListenAt;

pub(super) async fn run(at: &ListenAt) -> Result<(), Failure> {
    let at = at.as_str();
    let mut found = lookup_host(at)
        .await
        .map_err(|error| Failure::not_connected(format!("{at}: {error}")))?;
    let address = found
        .next()
        .ok_or_else(|| Failure::not_connected(format!("{at} has no address")))?;
    let listening =
        listen(address).map_err(|error| Failure::not_connected(format!("{at}: {error}")))?;
    let (mptcp, plain) = listening.ports().map_err(Failure::not_connected)?;
    say(format!(
        "listening on {} with MPTCP, and on port {plain} without; both must be in reach",
        std::net::SocketAddr::new(address.ip(), mptcp)
    ))?;
    let tell = |line: &str| {
        // Nobody reads it any more: the answers go on.
        let _ = say(line);
    };
    let served = tokio::select! {
        served = listening.serve(tell) => served,
        interrupted = tokio::signal::ctrl_c() => interrupted,
    };
    served.map_err(Failure::not_connected)
}
