//! Multipath TCP of the kernel, as Twinpath uses it towards any server: with its own eye on dead paths.

use std::io;
use std::net::SocketAddr;

use twinpath::{Mode, Peer, Standby};

use super::{Line, emulated};

pub(super) async fn connect(service: SocketAddr) -> io::Result<Line> {
    let connector = emulated::options(Standby::Warm)
        .peer(Peer::Any)
        .mode(Mode::KernelMptcp)
        .build()
        .map_err(io::Error::other)?;
    let connection = connector.connect(&service.to_string()).await?;
    let monitor = connection.monitor();
    Ok(Line {
        stream: Box::new(connection),
        monitor: Some(monitor),
    })
}
