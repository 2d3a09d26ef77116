//! What is downloaded from: a web server that knows nothing of Twinpath, and a gateway before it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use twinpath_gateway::Forwarder;

use super::file::{Content, SIZE};

/// A request longer than this is none of ours.
const LONGEST_REQUEST: usize = 8 * 1024;

/// Serves until it is dropped; tells `ready` the gateway's address, or why there is none.
pub(super) async fn run(
    listen: SocketAddr,
    content: Content,
    ready: impl FnOnce(Result<SocketAddr, String>),
) {
    let (web, gateway) = match build(listen).await {
        Ok(both) => both,
        Err(error) => return ready(Err(error)),
    };
    ready(Ok(gateway.local_addr()));
    tokio::select! {
        () = serve(web, content) => {}
        _ = gateway.run() => {}
    }
}

async fn build(listen: SocketAddr) -> Result<(TcpListener, Forwarder), String> {
    let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|error| format!("the web server cannot listen: {error}"))?;
    let service = web.local_addr().map_err(|error| error.to_string())?;
    let gateway = Forwarder::builder(listen, service.to_string())
        .build()
        .map_err(|error| error.to_string())?;
    Ok((web, gateway))
}

async fn serve(web: TcpListener, content: Content) {
    loop {
        match web.accept().await {
            Ok((stream, _)) => {
                let content = content.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, content).await {
                        log::debug!("the web server lost a client: {error}");
                    }
                });
            }
            Err(error) => {
                log::warn!("the web server cannot accept: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, mut content: Content) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if request.len() > LONGEST_REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {SIZE}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut block = Vec::new();
    while content.next(&mut block) > 0 {
        stream.write_all(&block).await?;
    }
    stream.shutdown().await
}
