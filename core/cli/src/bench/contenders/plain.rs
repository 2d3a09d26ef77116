//! TCP, as any program uses it.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Line;

pub(super) async fn connect(service: SocketAddr) -> io::Result<Line> {
    let stream = TcpStream::connect(service).await?;
    stream.set_nodelay(true)?;
    Ok(Line {
        stream: Box::new(stream),
        monitor: None,
    })
}
