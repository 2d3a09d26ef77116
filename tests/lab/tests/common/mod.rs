//! What the tests of the lab share: an echo server, and connections bound to a link.
#![allow(dead_code, reason = "each test file uses a part of it")]

#[cfg(target_os = "linux")]
pub(crate) mod sys;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use twinpath_lab::World;

pub(crate) const PORT: u16 = 7000;

/// Long enough for anything that is to happen at all on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Starts an echo server that lives as long as the world.
pub(crate) fn echo_server(world: &World) {
    echo_server_on(world, SocketAddr::from(([0, 0, 0, 0], PORT)));
}

pub(crate) fn echo_server_on(world: &World, at: SocketAddr) {
    let (ready, is_ready) = std::sync::mpsc::channel();
    world
        .server()
        .spawn(move || async move {
            let listener = TcpListener::bind(at).await.unwrap();
            ready.send(()).unwrap();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        })
        .unwrap()
        .detach();
    is_ready.recv().unwrap();
}

/// Connects over the named link, whatever the routes say.
#[cfg(target_os = "linux")]
pub(crate) async fn connect_over(link: &str, to: SocketAddr) -> io::Result<TcpStream> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind_device(Some(link.as_bytes()))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends `bytes` and waits until they have come back.
pub(crate) async fn echo(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<Duration> {
    let start = Instant::now();
    stream.write_all(bytes).await?;
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).await?;
    assert_eq!(back, bytes, "the echo is another");
    Ok(start.elapsed())
}

/// The shortest of several echoes: what the link takes when the machine is not busy elsewhere.
pub(crate) async fn best_echo(stream: &mut TcpStream) -> Duration {
    let mut best = PATIENCE;
    for _ in 0..10 {
        best = best.min(echo(stream, b"ping").await.unwrap());
    }
    best
}
