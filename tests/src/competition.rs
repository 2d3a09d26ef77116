//! Others on the same Wi-Fi: transfers that fill its queues, and a kernel MPTCP socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use twinpath_lab::LinkHandle;

use crate::patience::{ms, soon};
use crate::scene::{Scene, WIFI};

/// Where the server feeds and drains whoever connects.
const PORT: u16 = 9000;
const PORTION: usize = 64 * 1024;
/// A single one may be content before the queue is full.
const EACH_WAY: usize = 2;
/// What the client says first: which way it goes.
const SEND: u8 = b'>';
const RECEIVE: u8 = b'<';

/// What others do; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Competition {
    server: SocketAddr,
    transfers: Mutex<JoinSet<io::Result<()>>>,
}

impl Competition {
    /// With a server on the other side if it `is_wanted`.
    pub(crate) fn prepare(scene: &Scene, is_wanted: bool) -> Arc<Self> {
        let server = scene.world.server_socket(PORT);
        if is_wanted {
            let (ready, is_ready) = std::sync::mpsc::channel();
            let serve = move || async move {
                let listener = TcpListener::bind(server).await.unwrap();
                ready.send(()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream));
                }
            };
            scene.world.server().spawn(serve).unwrap().detach();
            is_ready.recv().unwrap();
        }
        Arc::new(Self {
            server,
            transfers: Mutex::default(),
        })
    }

    /// Begins transfers in both directions, and waits until `bytes` have waited in a queue of Wi-Fi. The transfers of one
    /// direction hold up the acknowledgements of the other, which may keep its queue short for long.
    pub(crate) async fn begin(&self, wifi: &LinkHandle, bytes: usize) {
        for direction in [SEND, RECEIVE].repeat(EACH_WAY) {
            let socket = match self.server.ip() {
                IpAddr::V4(_) => TcpSocket::new_v4(),
                IpAddr::V6(_) => TcpSocket::new_v6(),
            };
            let socket = socket.unwrap();
            socket.bind_device(Some(WIFI.as_bytes())).unwrap();
            let connecting = socket.connect(self.server);
            let mut stream = soon("the other connection", connecting).await.unwrap();
            stream.write_u8(direction).await.unwrap();
            let mut transfers = self
                .transfers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            transfers.spawn(transfer(stream, direction == SEND));
        }
        let filling = async {
            loop {
                let (up, down) = wifi.backlog();
                if up.max(down) >= bytes {
                    break;
                }
                tokio::time::sleep(ms(2)).await;
            }
        };
        soon("a queue fills", filling).await;
    }

    /// Tries MPTCP, and waits until Wi-Fi has taken it out of a segment.
    pub(crate) async fn try_mptcp(&self, wifi: &LinkHandle) {
        let before = wifi.counters().up.stripped;
        let socket = mptcp().unwrap();
        socket.bind_device(Some(WIFI.as_bytes())).unwrap();
        socket.set_nonblocking(true).unwrap();
        // The port is closed or not: the first segment is what counts.
        let _ = socket.connect(&self.server.into());
        let stripping = async {
            while wifi.counters().up.stripped == before {
                tokio::time::sleep(ms(2)).await;
            }
        };
        soon("option 30 is stripped", stripping).await;
    }
}

/// A kernel MPTCP socket, if there is such a thing here.
pub(crate) fn mptcp() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP))
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let direction = stream.read_u8().await?;
    transfer(stream, direction == RECEIVE).await
}

async fn transfer(mut stream: TcpStream, sends: bool) -> io::Result<()> {
    let mut bytes = vec![0; PORTION];
    while sends || stream.read(&mut bytes).await? > 0 {
        if sends {
            stream.write_all(&bytes).await?;
        }
    }
    Ok(())
}
