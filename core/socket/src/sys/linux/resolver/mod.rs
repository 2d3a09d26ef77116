//! Names, as the system's resolver knows them.

mod system;

use std::{io, net::SocketAddr};

use crate::Binding;

pub(crate) async fn resolve(
    host: &str,
    port: u16,
    _binding: &Binding,
) -> io::Result<Vec<SocketAddr>> {
    let found = system::look_up(host, port).await;
    found.map_err(|failure| failure.error)
}
