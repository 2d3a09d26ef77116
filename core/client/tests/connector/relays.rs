//! Paths that can fail.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use twinpath::driver::{BoxFuture, ByteStream, LegStream};
use twinpath::{Dialer, Path, Role, Target};

use crate::support::relay::{Relay, Weather};

/// Of a relay, each way: longer than a busy machine's scheduler is late, so that no path is suspected without a reason.
const DELAY: Duration = Duration::from_millis(20);

/// Goes through a relay per role, whatever the target.
#[derive(Debug)]
pub struct Relays {
    pub primary: Relay,
    pub backup: Relay,
    dials: [AtomicU32; 2],
}

impl Relays {
    pub async fn towards(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            primary: Relay::start(address, DELAY).await,
            backup: Relay::start(address, DELAY).await,
            dials: Default::default(),
        })
    }

    pub fn backup_dials(&self) -> u32 {
        self.dials[1].load(Ordering::Relaxed)
    }
}

impl Dialer for Relays {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        assert_eq!(target.host(), "gateway.example");
        let (relay, dials) = match path.role() {
            Role::Primary => (&self.primary, &self.dials[0]),
            Role::Backup => (&self.backup, &self.dials[1]),
        };
        dials.fetch_add(1, Ordering::Relaxed);
        let (address, silent) = (relay.address, relay.is(Weather::Blackhole));
        Box::pin(async move {
            if silent {
                std::future::pending::<()>().await;
            }
            Ok(LegStream::other(Far(TcpStream::connect(address).await?)))
        })
    }
}

/// A relay answers handshakes itself; its delay is what a real path would have shown then.
struct Far(TcpStream);

impl ByteStream for Far {
    fn rtt(&self) -> Option<Duration> {
        Some(2 * DELAY)
    }
}

impl AsyncRead for Far {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Far {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
