//! What other languages are measured against: the same done by the Rust client, in the same world and the same run.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
            ready.send(listen).unwrap();
            forwarder.run().await
        };
        let client = world.client().clone();
        client.spawn(serve).unwrap().detach();
        Self {
            client,
            gateway,
            loopback: is_ready.recv().unwrap(),
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
    let Ok(mut left) = read.read_u64().await else {
        return;
    };
    if left == u64::MAX {
        // It ends with the client.
        let _ = tokio::io::copy(&mut read, &mut write).await;
        return;
    }
    let sending = async {
        let piece = vec![7; 256 * 1024];
        while left > 0 {
            let size = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if write.write_all(&piece[..size]).await.is_err() {
                return;
            }
            left -= size as u64;
        }
    };
    let taking = async {
        let mut buffer = vec![0; 256 * 1024];
        while read.read(&mut buffer).await.is_ok_and(|size| size > 0) {}
    };
    tokio::join!(sending, taking);
}
