//! What the tests share: a service, a gateway before it, clients of both kinds, and a look at the metrics page.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test binary uses its own part, and a test fails by panicking"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use twinpath::driver::{BoxFuture, DialFailure, DialedLeg, Handle, LegDialer, Setup};
use twinpath_gateway::{Connection, ExitReport, Forwarder, ForwarderBuilder, ShutdownHandle};
use twinpath_proto::{ClientConfig, DialTarget, Role, Session, SessionError, Time};

/// No test waits for anything longer than this.
pub const LONG: Duration = Duration::from_secs(20);

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONG, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen in time"),
    }
}

pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A service that treats every connection in the same way.
pub async fn service<F, Fut>(treat: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(treat(stream));
        }
    });
    address
}

/// Sends back what it gets, and ends when the client has ended.
pub async fn echo(mut stream: TcpStream) {
    let (mut read, mut write) = stream.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// A service of which the test holds each connection: they come out of the receiver.
pub async fn held_service() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<TcpStream>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let address = service(move |stream| {
        let sender = sender.clone();
        async move {
            let _ = sender.send(stream);
        }
    })
    .await;
    (address, receiver)
}

/// A running gateway.
pub struct Gateway {
    pub address: SocketAddr,
    pub page: SocketAddr,
    pub shutdown: ShutdownHandle,
    pub task: JoinHandle<ExitReport>,
}

impl Gateway {
    pub fn before(service: SocketAddr) -> Self {
        Self::with(service, |builder| builder)
    }

    pub fn with(
        service: SocketAddr,
        set: impl FnOnce(ForwarderBuilder) -> ForwarderBuilder,
    ) -> Self {
        let builder = Forwarder::builder(loopback(), service.to_string()).metrics(loopback());
        let forwarder = set(builder).build().unwrap();
        Self {
            address: forwarder.local_addr(),
            page: forwarder.metrics_addr().unwrap(),
            shutdown: forwarder.shutdown_handle(),
            task: tokio::spawn(forwarder.run()),
        }
    }

    pub async fn raw(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub async fn session(&self) -> Connection {
        session(self.address).await
    }

    /// The value of one sample of the metrics page, named as on the page.
    pub async fn sample(&self, name: &str) -> f64 {
        let (_, body) = http(self.page, "/metrics").await;
        let line = body.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' '))
        });
        let line = line.unwrap_or_else(|| panic!("no {name} in:\n{body}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// Waits until that sample has that value.
    pub async fn until(&self, name: &str, value: f64) {
        self.until_that(name, |sample| sample == value).await;
    }

    pub async fn until_that(&self, name: &str, reached: impl Fn(f64) -> bool) {
        let asking = async { while !reached(self.sample(name).await) {} };
        if tokio::time::timeout(LONG, asking).await.is_err() {
            panic!("{name} stays at {}", self.sample(name).await);
        }
    }

    pub async fn end(self) -> ExitReport {
        soon("the end of the gateway", self.task).await.unwrap()
    }
}

/// Status line and body of a page.
pub async fn http(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the answer", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

thread_local! {
    static REDIRECTED: std::cell::Cell<Option<SocketAddr>> = const { std::cell::Cell::new(None) };
}

/// Further legs of the sessions of this test go to this address.
pub fn redirect(address: SocketAddr) {
    REDIRECTED.set(Some(address));
}

/// Dials the same address for both roles.
#[derive(Debug)]
struct SameAddress(SocketAddr);

impl LegDialer for SameAddress {
    fn dial(&self, _: Role, _: DialTarget) -> BoxFuture<Result<DialedLeg, DialFailure>> {
        let address = REDIRECTED.get().unwrap_or(self.0);
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(DialedLeg::new(stream.into(), None))
        })
    }
}

/// A client's session on one path, its HELLO on the way.
pub async fn session(gateway: SocketAddr) -> Connection {
    session_with(gateway, ClientConfig::default(), &[Role::Primary]).await
}

pub async fn session_with(gateway: SocketAddr, config: ClientConfig, roles: &[Role]) -> Connection {
    held_session(gateway, config, roles).await.0
}

pub async fn held_session(
    gateway: SocketAddr,
    config: ClientConfig,
    roles: &[Role],
) -> (Connection, Handle) {
    let first = TcpStream::connect(gateway).await.unwrap();
    first.set_nodelay(true).unwrap();
    let now = Time::from_duration(twinpath_socket::now_boottime());
    let mut session = Session::client(config, seed(), now);
    for role in Role::ALL {
        session.path_available(role, roles.contains(&role), now);
    }
    let leg = session.leg_opened(Role::Primary, None, now);
    Setup::new(session)
        .leg(leg, first, Bytes::new())
        .dialer(Arc::new(SameAddress(gateway)))
        .spawn()
}

/// The bytes of a HELLO that no client of ours wrote: with a window of 16 MiB, unlimited credit and no retry.
pub fn raw_hello(number: u32) -> Vec<u8> {
    let mut bytes = b"\xf5TWINP\r\n\x01\x01\x00\x58".to_vec();
    let mut body = [0; 88];
    // Client key and retry hash: any bytes that differ.
    for (at, byte) in (0u8..).zip(&mut body[..64]) {
        *byte = at.wrapping_mul(7).wrapping_add(1);
    }
    body[..4].copy_from_slice(&number.to_be_bytes());
    body[68..72].copy_from_slice(&(16u32 << 20).to_be_bytes());
    body[72..76].copy_from_slice(&60u32.to_be_bytes());
    body[76..84].fill(0xff);
    bytes.extend_from_slice(&body);
    bytes
}

/// The bytes of a DATA frame.
pub fn raw_data(offset: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (0x8100_0000 | (payload.len() as u32 + 8))
        .to_be_bytes()
        .to_vec();
    bytes.extend_from_slice(&offset.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Says something and waits for its echo.
pub async fn chat(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), words: &str) {
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut back = vec![0; words.len()];
    soon("the echo", stream.read_exact(&mut back))
        .await
        .unwrap();
    assert_eq!(back, words.as_bytes());
}

/// What ended a session.
pub fn session_error(error: &std::io::Error) -> &SessionError {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref())
        .unwrap_or_else(|| panic!("{error:?}"))
}

static SEED: AtomicU64 = AtomicU64::new(1);

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&SEED.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    seed
}

/// Bytes that differ from place to place, so that a loss, a repetition or a swap shows.
pub fn pattern(size: usize, start: u64) -> Bytes {
    let mut state = start | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

pub fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Waits until a socket is in error, and says which.
pub async fn broken(stream: &TcpStream) -> std::io::Error {
    stream.ready(tokio::io::Interest::ERROR).await.unwrap();
    stream
        .take_error()
        .unwrap()
        .unwrap_or_else(|| std::io::ErrorKind::Other.into())
}

/// A reset that follows a FIN is told as a broken pipe.
pub fn is_reset(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
    )
}
