//! Multipath TCP of the kernel, with its default settings.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpSocket};

use super::Line;

/// IPPROTO_MPTCP of Linux; other systems refuse it.
const MPTCP: i32 = 262;

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::from(MPTCP)))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
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
