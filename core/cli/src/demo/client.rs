//! The two downloads: over a twinpath connection, and over plain TCP. Both are the same few lines of HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use twinpath::driver::{BoxFuture, LegStream};
use twinpath::{
    Connection, Connector, Dialer, Event, InterfaceKind, InterfaceSelector, Path, Peer, Role,
    ServiceType, Standby, Target,
};
use twinpath_lab::LinkSpec;
use twinpath_socket::Interface;

use super::file::{Hash, SIZE};
use super::links::{CELLULAR, WIFI, Way};
use super::progress::{End, Progress};
use super::relayed::Relayed;

/// What is read at once: what a browser takes.
const PORTION: usize = 64 * 1024;
/// A response head longer than this is none of ours.
const LONGEST_HEAD: usize = 8 * 1024;

/// What both downloads need.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) way: Way,
    pub(super) expected: Hash,
    pub(super) progress: Arc<Progress>,
    /// Turns true at the start.
    pub(super) go: watch::Receiver<bool>,
}

impl Job {
    async fn started(&mut self) {
        // An error means that the demo is over before it began.
        let _ = self.go.wait_for(|go| *go).await;
    }

    fn finish(&self, result: io::Result<Hash>) {
        self.progress.end(match result {
            Ok(hash) if hash == self.expected => End::Intact,
            Ok(_) => End::Damaged,
            Err(error) => End::Failed(error.to_string()),
        });
    }
}

/// Downloads over a twinpath connection, and passes on what happens to it.
pub(super) async fn over_twinpath(
    mut job: Job,
    standby: Standby,
    events: mpsc::Sender<(Instant, Event)>,
) {
    job.started().await;
    let result = async {
        let mut connection = connect(&job.way, standby).await?;
        let mut happening = connection.events();
        let telling = tokio::spawn(async move {
            while let Some(event) = happening.next().await {
                if events.send((Instant::now(), event)).is_err() {
                    return;
                }
            }
        });
        let hash = download(&mut connection, &job.progress).await?;
        // The account of the connection is its last event.
        job.finish(Ok(hash));
        connection.close().await;
        let _ = telling.await;
        Ok(())
    };
    if let Err(error) = result.await {
        job.finish(Err(error));
    }
}

/// Downloads over a TCP connection of the operating system, as any program does.
pub(super) async fn over_tcp(mut job: Job) {
    job.started().await;
    let server = match &job.way {
        Way::Direct(server) => *server,
        Way::Relayed { wifi, .. } => *wifi,
    };
    let result = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        download(&mut stream, &job.progress).await
    };
    let result = result.await;
    job.finish(result);
}

async fn connect(way: &Way, standby: Standby) -> io::Result<Connection> {
    let builder = Connector::builder()
        .peer(Peer::Gateway)
        .service(ServiceType::Handover)
        .standby(standby)
        // The links are the demo's own: nobody pays for them, and no VPN of this machine leads there.
        .budget(None)
        .respect_mandates(false)
        .primary(InterfaceSelector::name(WIFI))
        .backup(InterfaceSelector::name(CELLULAR));
    let (builder, target) = match way {
        Way::Direct(server) => (builder, server.to_string()),
        Way::Relayed { wifi, cellular } => {
            twinpath_socket::feed_interfaces(pretended_interfaces());
            let relays = Relays {
                wifi: *wifi,
                cellular: *cellular,
            };
            // Never looked up: the relays know where they lead.
            let target = "gateway.example.com:443".to_owned();
            (builder.dialer(Arc::new(relays)), target)
        }
    };
    let connector = builder.build().map_err(io::Error::other)?;
    Ok(connector.connect(&target).await?)
}

/// Dials the relays that stand for the two links.
#[derive(Debug)]
struct Relays {
    wifi: SocketAddr,
    cellular: SocketAddr,
}

impl Dialer for Relays {
    fn dial(&self, path: &Path, _: &Target) -> BoxFuture<io::Result<LegStream>> {
        let (relay, link) = match path.role() {
            Role::Primary => (self.wifi, LinkSpec::wifi()),
            Role::Backup => (self.cellular, LinkSpec::cellular()),
        };
        let rtt = link.rtt;
        Box::pin(async move {
            let stream = TcpStream::connect(relay).await?;
            stream.set_nodelay(true)?;
            Ok(LegStream::other(Relayed { stream, rtt }))
        })
    }
}

/// The interfaces of a phone, for a machine whose own ones do not matter.
fn pretended_interfaces() -> Vec<Interface> {
    let pretended = [
        (WIFI, InterfaceKind::Wifi),
        (CELLULAR, InterfaceKind::Cellular),
    ];
    let interface = |((name, kind), index): ((&str, InterfaceKind), u32)| {
        let mut interface = Interface::new(name, index, kind);
        let address = Ipv4Addr::new(198, 51, 100, index as u8);
        interface.addresses = vec![IpAddr::V4(address)];
        interface
    };
    pretended.into_iter().zip(1..).map(interface).collect()
}

/// Requests the file, and hashes what comes.
async fn download(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    progress: &Progress,
) -> io::Result<Hash> {
    let request = b"GET /file HTTP/1.1\r\nHost: demo.example\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut buffer = Vec::with_capacity(PORTION);
    let body = loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = buffer.windows(4).position(|it| it == b"\r\n\r\n");
        if let Some(end) = end {
            break end + 4;
        }
        if buffer.len() > LONGEST_HEAD {
            return Err(io::Error::other("the web server's answer makes no sense"));
        }
    };
    if !buffer.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other("the web server refused the file"));
    }
    let mut hasher = Sha256::new();
    let mut received = (buffer.len() - body) as u64;
    hasher.update(&buffer[body..]);
    progress.add(received);
    while received < SIZE {
        buffer.clear();
        let size = stream.read_buf(&mut buffer).await?;
        if size == 0 {
            let text = format!("the connection ended after {received} of {SIZE} bytes");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        hasher.update(&buffer);
        received += size as u64;
        progress.add(size as u64);
    }
    Ok(Hash(hasher.finalize().into()))
}
