//! Twinpath's own connections, to a gateway before the service.

use std::io;
use std::net::SocketAddr;

use twinpath::{Connector, InterfaceSelector, Peer, ServiceType, Standby};

use super::Line;
use crate::bench::scene::{CELLULAR, WIFI};

pub(super) async fn connect(gateway: SocketAddr, standby: Standby) -> io::Result<Line> {
    let connector = Connector::builder()
        .peer(Peer::Gateway)
        .service(ServiceType::Handover)
        .standby(standby)
        // Nobody pays for these links.
        .budget(None)
        .respect_mandates(false)
        .primary(InterfaceSelector::name(WIFI))
        .backup(InterfaceSelector::name(CELLULAR))
        .build()
        .map_err(io::Error::other)?;
    let connection = connector.connect(&gateway.to_string()).await?;
    let monitor = connection.monitor();
    Ok(Line {
        stream: Box::new(connection),
        monitor: Some(monitor),
    })
}
