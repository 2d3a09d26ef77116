//! Who is compared: all of them use the same service, over the same links, under the same faults.

mod emulated;
mod kernel;
mod plain;
mod watched;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use twinpath::{Monitor, Standby};

pub(super) use kernel::{is_available, listen};

/// A way to have a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Contender {
    /// Twinpath with the backup joined and idle.
    Warm,
    /// Twinpath with the backup closed.
    Cold,
    /// Multipath TCP of the kernel, with the cellular link as a backup endpoint.
    Kernel,
    /// The same, watched by Twinpath, which may change what the kernel does.
    Watched,
    /// TCP.
    Plain,
}

impl Contender {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Warm => "twinpath",
            Self::Cold => "twinpath, cold",
            Self::Kernel => "kernel MPTCP",
            Self::Watched => "kernel + twinpath",
            Self::Plain => "plain TCP",
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Both directions of a stream.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection of a contender.
pub(super) struct Line {
    pub(super) stream: Box<dyn Duplex>,
    /// Where there is one to ask.
    pub(super) monitor: Option<Monitor>,
}

/// Where the service is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doors {
    pub(super) gateway: SocketAddr,
    pub(super) mptcp: SocketAddr,
    pub(super) plain: SocketAddr,
    pub(super) web: SocketAddr,
}

impl Contender {
    /// Connects; to be called on the client's host.
    pub(super) async fn connect(self, doors: Doors) -> io::Result<Line> {
        match self {
            Self::Warm => emulated::connect(doors.gateway, Standby::Warm).await,
            Self::Cold => emulated::connect(doors.gateway, Standby::Cold).await,
            Self::Kernel => kernel::connect(doors.mptcp).await,
            Self::Watched => watched::connect(doors.mptcp).await,
            Self::Plain => plain::connect(doors.plain).await,
        }
    }
}
