//! A gateway in a few lines, on the same driver: it takes HELLO, JOIN and repeated HELLOs on one listener and hands the
//! accepted sessions over.

pub mod relay;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use twinpath::driver::{Handle, Setup};
use twinpath::{Connection, clock};
use twinpath_proto::{
    Directory, DirectoryConfig, FirstFlight, GatewayConfig, HelloRoute, JoinRoute, Session,
};

pub struct Gateway {
    pub address: SocketAddr,
    accepted: mpsc::Receiver<(Connection, Handle)>,
}

struct Inner {
    config: GatewayConfig,
    directory: Mutex<Directory<Handle>>,
    accepted: mpsc::Sender<(Connection, Handle)>,
}

impl Gateway {
    pub async fn start() -> Self {
        Self::with(GatewayConfig::default()).await
    }

    pub async fn with(config: GatewayConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, accepted) = mpsc::channel(16);
        let directory = Directory::new(DirectoryConfig::default(), clock::now());
        let inner = Arc::new(Inner {
            config,
            directory: Mutex::new(directory),
            accepted: sender,
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&inner), stream));
            }
        });
        Self { address, accepted }
    }

    pub async fn accept(&mut self) -> (Connection, Handle) {
        self.accepted.recv().await.unwrap()
    }
}

async fn serve(gateway: Arc<Inner>, mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut read = BytesMut::new();
    loop {
        let now = clock::now();
        match FirstFlight::parse(&read) {
            FirstFlight::Incomplete => {
                if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            FirstFlight::Hello { hello, consumed } => {
                let rest = read.split_off(consumed).freeze();
                let route = gateway.directory.lock().unwrap().hello(&hello, now);
                match route {
                    HelloRoute::New => {
                        let (session, leg) =
                            Session::gateway(&gateway.config, &hello, seed(), None, now).unwrap();
                        let accepted = Setup::new(session).leg(leg, stream, rest).spawn();
                        let handle = accepted.1.clone();
                        handle.with_session(|session, _| {
                            gateway.directory.lock().unwrap().insert(
                                session,
                                &hello,
                                handle.clone(),
                            );
                        });
                        let _ = gateway.accepted.send(accepted).await;
                    }
                    HelloRoute::Retry(handle) => {
                        let leg = handle
                            .with_session(|session, now| session.accept_retry(&hello, None, now));
                        if let Ok(leg) = leg {
                            handle.attach(leg, stream, rest);
                        }
                    }
                    HelloRoute::Refuse(reply, _) => {
                        let _ = stream.write_all(&reply).await;
                    }
                }
                return;
            }
            FirstFlight::Join { join, consumed } => {
                let rest = read.split_off(consumed).freeze();
                let route = gateway.directory.lock().unwrap().join(&join, now);
                match route {
                    JoinRoute::Session(handle) => {
                        match handle
                            .with_session(|session, now| session.accept_join(&join, None, now))
                        {
                            Ok(leg) => handle.attach(leg, stream, rest),
                            Err(error) => {
                                if let Some(reply) = error.reply() {
                                    let _ = stream.write_all(&reply).await;
                                }
                            }
                        }
                    }
                    JoinRoute::Reply(reply, _) => {
                        let _ = stream.write_all(&reply).await;
                    }
                    JoinRoute::Silent => {}
                }
                return;
            }
            _ => return,
        }
    }
}

static SEED: AtomicU8 = AtomicU8::new(1);

pub fn seed() -> [u8; 32] {
    [SEED.fetch_add(1, Ordering::Relaxed); 32]
}

/// Bytes that differ from place to place, so that a loss, a repetition or a swap shows.
pub fn pattern(size: usize) -> Bytes {
    let mut state = 0x2545_f491_u32;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}
