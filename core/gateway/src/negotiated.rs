//! What the connections of clients have negotiated, as the kernel says: plain TCP, or its own Multipath TCP.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::net::TcpStream;
use twinpath_socket::mptcp::mptcp_info;

use crate::metrics::{Metrics, Transport};

/// The number of subflows; `None` of plain TCP.
fn subflows(stream: &TcpStream) -> io::Result<Option<usize>> {
    Ok(mptcp_info(stream)?.map(|info| info.subflows.len()))
}

/// What a connection is at this moment. What the kernel cannot speak of is plain TCP.
pub(crate) fn transport(stream: &TcpStream) -> Transport {
    match subflows(stream) {
        Ok(Some(_)) => Transport::Mptcp,
        Ok(None) | Err(_) => Transport::Tcp,
    }
}

/// The socket of a raw connection. What it has negotiated is counted when the connection is let in, after its first
/// bytes, and what has become of that when this is dropped.
#[derive(Debug)]
pub(crate) struct RawSocket {
    stream: TcpStream,
    transport: Transport,
    metrics: Arc<Metrics>,
}

impl RawSocket {
    pub(crate) fn new(stream: TcpStream, metrics: &Arc<Metrics>) -> Self {
        let transport = transport(&stream);
        metrics.raw_negotiated.increment(transport);
        log::debug!("raw: a connection over {transport}");
        Self {
            stream,
            transport,
            metrics: Arc::clone(metrics),
        }
    }
}

impl Deref for RawSocket {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl DerefMut for RawSocket {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl Drop for RawSocket {
    fn drop(&mut self) {
        if self.transport != Transport::Mptcp {
            return;
        }
        match subflows(&self.stream) {
            Ok(Some(count)) => {
                log::debug!("raw: a connection over mptcp ends with {count} subflows");
                if count > 1 {
                    self.metrics.raw_multipath.increment();
                }
            }
            Ok(None) => {
                log::debug!("raw: a connection that was mptcp ends as tcp");
                self.metrics.raw_fallbacks.increment();
            }
            Err(error) => log::debug!("raw: a connection over mptcp ends: {error}"),
        }
    }
}
