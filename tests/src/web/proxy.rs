//! An HTTP proxy on the server's host.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use twinpath_lab::{Task, World};

const PORT: u16 = 3128;

/// A proxy that leads wherever it is asked to, and remembers what it was asked.
#[derive(Debug)]
pub struct WebProxy {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _task: Task<()>,
}

impl WebProxy {
    /// Starts it.
    #[must_use]
    pub fn start(world: &World) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let remembered = Arc::clone(&asked);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let task = world.server().spawn(move || async move {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))
                .await
                .unwrap();
            ready.send(()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let remembered = Arc::clone(&remembered);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &remembered).await {
                        log::debug!("the proxy lost a client: {error}");
                    }
                });
            }
        });
        is_ready.recv_timeout(crate::patience::STEP).unwrap();
        Self {
            address: world.server_socket(PORT),
            asked,
            _task: task.unwrap(),
        }
    }

    /// The first lines of what it was asked, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    asked.lock().unwrap().push(line.clone());
    let to = line.split(' ').nth(1).unwrap_or_default();
    if line.starts_with("CONNECT ") {
        let mut server = TcpStream::connect(to).await?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        copy_bidirectional(&mut client, &mut server).await?;
        return Ok(());
    }
    let rest = to.strip_prefix("http://").unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut server = TcpStream::connect(host).await?;
    let head = head.replacen(to, &format!("/{path}"), 1);
    server.write_all(head.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
