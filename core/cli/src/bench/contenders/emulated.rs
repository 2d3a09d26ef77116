//! Twinpath's own connections, to a gateway before the service.

use std::io;
use std::net::SocketAddr;

use twinpath::{Connector, ConnectorBuilder, InterfaceSelector, Peer, ServiceType, Standby};

use super::Line;
use crate::bench::scene::{CELLULAR, WIFI};

/// Of every connector here.
pub(super) fn options(standby: Standby) -> ConnectorBuilder {
    Connector::builder()
        .service(ServiceType::Handover)
        .standby(standby)
        // Nobody pays for these links.
        .budget(None)
        .respect_mandates(false)
        .primary(InterfaceSelector::name(WIFI))
        .backup(InterfaceSelector::name(CELLULAR))
}

pub(super) async fn connect(gateway: SocketAddr, standby: Standby) -> io::Result<Line> {
    let connector = options(standby)
        .peer(Peer::Gateway)
        .build()
        .map_err(io::Error::other)?;
    let connection = connector.connect(&gateway.to_string()).await?;
    let monitor = connection.monitor();
    Ok(Line {
        stream: Box::new(connection),
        monitor: Some(monitor),
    })
}
