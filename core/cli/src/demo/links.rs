//! Where the demo plays: two links of the lab, in namespaces of their own or, failing that, as
//! relays inside this process.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use twinpath_lab::{Direction, LabError, LinkHandle, Loopback, LoopbackLink, World};

/// The names of the links; interfaces are called so on Linux.
pub(super) const WIFI: &str = "wlan0";
pub(super) const CELLULAR: &str = "wwan0";

/// Where the gateway listens in a namespace of its own.
const PORT: u16 = 443;
/// A server that has not begun by then never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Links {
    /// Namespaces where they are to be had, loopback elsewhere.
    Auto,
    /// Real network devices and the kernel's TCP, in namespaces.
    Namespaces,
    /// Impaired relays on the loopback address, in this process.
    Loopback,
}

/// Two links, a client's end and a server's end.
#[derive(Debug)]
pub(super) enum Stage {
    Namespaces(World),
    Loopback(Loopback),
}

/// How the client's end reaches the gateway.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// By its address, over either link.
    Direct(SocketAddr),
    /// By a relay per link.
    Relayed {
        wifi: SocketAddr,
        cellular: SocketAddr,
    },
}

/// One link.
#[derive(Debug, Clone)]
pub(super) enum Link {
    Device(LinkHandle),
    Relay(LoopbackLink),
}

impl Stage {
    pub(super) fn namespaces() -> Result<Self, LabError> {
        World::new().map(Self::Namespaces)
    }

    pub(super) fn loopback() -> Result<Self, LabError> {
        Loopback::new().map(Self::Loopback)
    }

    pub(super) fn link(&self, name: &str) -> Result<Link, LabError> {
        match self {
            Self::Namespaces(world) => world.find_link(name).map(Link::Device),
            Self::Loopback(lab) => lab.find_link(name).map(Link::Relay),
        }
    }

    /// Runs a server at its end; `serve` is given where to listen, and tells where it does.
    pub(super) fn serve<F, Fut>(&self, serve: F) -> Result<Way, String>
    where
        F: FnOnce(SocketAddr, Ready) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let (ready, is_ready) = mpsc::channel();
        let listen = match self {
            Self::Namespaces(world) => world.server_socket(PORT),
            Self::Loopback(_) => (Ipv4Addr::LOCALHOST, 0).into(),
        };
        let start = move || serve(listen, ready);
        match self {
            Self::Namespaces(world) => {
                let task = world.server().spawn(start).map_err(tell)?;
                task.detach();
            }
            Self::Loopback(_) => in_thread("demo-server", start)?,
        }
        let server = is_ready
            .recv_timeout(PATIENCE)
            .map_err(|_| "the server did not start".to_owned())??;
        let relay = |name| match self.link(name).map_err(tell)? {
            Link::Device(_) => Ok(server),
            Link::Relay(link) => link.relay_to(server).map_err(tell),
        };
        Ok(match self {
            Self::Namespaces(_) => Way::Direct(server),
            Self::Loopback(_) => Way::Relayed {
                wifi: relay(WIFI)?,
                cellular: relay(CELLULAR)?,
            },
        })
    }

    /// Runs a client at its end.
    pub(super) fn run_client<F, Fut>(&self, client: F) -> Result<(), String>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        match self {
            Self::Namespaces(world) => {
                world.client().spawn(client).map_err(tell)?.detach();
                Ok(())
            }
            Self::Loopback(_) => in_thread("demo-client", client),
        }
    }
}

/// Where a server tells that it listens.
pub(super) type Ready = mpsc::Sender<Result<SocketAddr, String>>;

impl Link {
    /// Lets nothing through any more, without a word to anyone.
    pub(super) fn blackhole(&self) {
        match self {
            Self::Device(link) => link.blackhole(Direction::Both),
            Self::Relay(link) => link.blackhole(Direction::Both),
        }
    }

    pub(super) fn heal(&self) {
        match self {
            Self::Device(link) => link.heal(),
            Self::Relay(link) => link.heal(),
        }
    }

    /// Payload that has arrived at the client's end.
    pub(super) fn delivered(&self) -> u64 {
        let counters = match self {
            Self::Device(link) => link.counters(),
            Self::Relay(link) => link.counters(),
        };
        counters.down.delivered.tcp_payload
    }
}

/// An error of the lab, with what is behind it.
pub(super) fn tell(error: LabError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

/// Runs what `start` returns on a thread of its own, up to the end of the process.
fn in_thread<F, Fut>(name: &str, start: F) -> Result<(), String>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || runtime.block_on(async { start().await }))
        .map_err(|error| error.to_string())?;
    Ok(())
}
