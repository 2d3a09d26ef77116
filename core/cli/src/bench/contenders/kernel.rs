//! Multipath TCP of the kernel, with its default settings.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket};

use super::Line;

#[cfg(target_os = "linux")]
fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(not(target_os = "linux"))]
fn socket() -> io::Result<Socket> {
    let _: (Domain, Option<Protocol>, Type) = (Domain::IPV4, None, Type::STREAM);
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether this kernel has it.
pub(in crate::bench) fn is_available() -> bool {
    socket().is_ok()
}

/// Listens for it, and for plain TCP.
pub(in crate::bench) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket()?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

pub(super) async fn connect(service: SocketAddr) -> io::Result<Line> {
    let socket = TcpSocket::from_std_stream(socket()?.into());
    let stream = socket.connect(service).await?;
    stream.set_nodelay(true)?;
    Ok(Line {
        stream: Box::new(stream),
        monitor: None,
    })
}
