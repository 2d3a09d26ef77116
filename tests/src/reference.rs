//! What other languages are measured against: the same done by the Rust client, in the same world and the same run.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use twinpath::{Connector, Peer, Standby};
use twinpath_gateway::Forwarder;
use twinpath_lab::{Direction, Host, LinkHandle, World};

use crate::client::Client;
use crate::patience::soon;

/// How often something is said in a talk.
const EVERY: Duration = Duration::from_millis(10);

/// A source of bytes behind a gateway, both on the client's own loopback, and a client in Rust.
pub(crate) struct Reference {
    client: Host,
    gateway: SocketAddr,
    /// The gateway on the loopback. Its service takes a number of 8 bytes, sends as many bytes and takes whatever comes;
    /// with the largest number it sends that back instead.
    pub(crate) loopback: SocketAddr,
    /// A web server on the loopback, without a gateway, that answers with as many bytes as the path says.
    pub(crate) web: SocketAddr,
    wifi: LinkHandle,
}

impl Reference {
    pub(crate) fn start(world: &World, gateway: SocketAddr, wifi: LinkHandle) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let serve = move || async move {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let source = listener.local_addr().unwrap().to_string();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve_one(stream));
                }
            });
            // The port is chosen first, since nobody tells which one a forwarder was given.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let listen = free.local_addr().unwrap();
            drop(free);
            let forwarder = Forwarder::builder(listen, source).build().unwrap();
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            ready
                .send((listen, listener.local_addr().unwrap()))
                .unwrap();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer_one(stream));
                }
            });
            forwarder.run().await
        };
        let client = world.client().clone();
        client.spawn(serve).unwrap().detach();
        let (loopback, web) = is_ready.recv().unwrap();
        Self {
            client,
            gateway,
            loopback,
            web,
            wifi,
        }
    }

    /// Says something every 10 ms while Wi-Fi falls silent, and gives the longest time for an echo.
    pub(crate) fn stall(&self) -> Duration {
        let (gateway, wifi) = (self.gateway, self.wifi.clone());
        let talking = move || async move {
            let mut client = Client::new(connect(gateway).await);
            client.tale.until_warm().await;
            client.chat("hello").await;
            let striking = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                wifi.blackhole(Direction::Both);
                tokio::time::sleep(Duration::from_millis(1000)).await;
            };
            let stall = client.talk(EVERY, striking).await;
            client.connection.abort();
            stall
        };
        let stall = self.client.spawn(talking).unwrap().join();
        self.wifi.heal();
        stall
    }

    /// Downloads so many bytes over the loopback, and gives how long that took.
    pub(crate) fn download(&self, size: u64) -> Duration {
        let loopback = self.loopback;
        let downloading = move || async move {
            let mut connection = connect(loopback).await;
            connection.write_all(&size.to_be_bytes()).await.unwrap();
            let mut buffer = vec![0; 64 * 1024];
            let (begun, mut left) = (Instant::now(), size);
            while left > 0 {
                let taken = soon("bytes", connection.read(&mut buffer)).await.unwrap();
                assert!(taken > 0, "it ended {left} bytes early");
                left -= taken as u64;
            }
            let took = begun.elapsed();
            connection.abort();
            took
        };
        self.client.spawn(downloading).unwrap().join()
    }

    /// Fetches so many bytes from the web server on the loopback, and gives how long that took.
    pub(crate) fn fetch(&self, size: u64) -> Duration {
        let url = format!("http://{}/{size}", self.web);
        let fetching = move || async move {
            let client = twinpath::http::Client::new(Connector::builder().build().unwrap());
            let mut response = soon("the answer", client.get(url).send()).await.unwrap();
            let (begun, mut left) = (Instant::now(), size);
            while let Some(piece) = soon("bytes", response.chunk()).await.unwrap() {
                left -= piece.len() as u64;
            }
            assert_eq!(left, 0, "it ended early");
            begun.elapsed()
        };
        self.client.spawn(fetching).unwrap().join()
    }
}

async fn connect(gateway: SocketAddr) -> twinpath::Connection {
    let connector = Connector::builder()
        .peer(Peer::Gateway)
        .standby(Standby::Warm)
        .budget(None)
        .build()
        .unwrap();
    let target = gateway.to_string();
    soon("the connect", connector.connect(&target))
        .await
        .unwrap()
}

/// Whatever ends it is told by its absence.
async fn serve_one(stream: TcpStream) {
    let (mut read, mut write) = stream.into_split();
    let Ok(left) = read.read_u64().await else {
        return;
    };
    if left == u64::MAX {
        // It ends with the client.
        let _ = tokio::io::copy(&mut read, &mut write).await;
        return;
    }
    let sending = pour(&mut write, left);
    let taking = async {
        let mut buffer = vec![0; 256 * 1024];
        while read.read(&mut buffer).await.is_ok_and(|size| size > 0) {}
    };
    tokio::join!(sending, taking);
}

/// Sends so many bytes, as far as they are taken.
async fn pour(to: &mut (impl AsyncWrite + Unpin), mut left: u64) {
    let piece = vec![7; 256 * 1024];
    while left > 0 {
        let size = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if to.write_all(&piece[..size]).await.is_err() {
            return;
        }
        left -= size as u64;
    }
}

/// Answers `GET /SIZE` with so many bytes, and as little of HTTP as that takes.
async fn answer_one(stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let size = line.split(['/', ' ']).nth(2).map(str::parse);
    let Some(Ok(size)) = size else { return };
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {}
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
    if stream.write_all(head.as_bytes()).await.is_ok() {
        pour(&mut stream, size).await;
    }
}
