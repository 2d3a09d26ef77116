//! Where a run takes place: two links, a client, and a server with the service and a gateway.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use tokio::net::TcpListener;
use twinpath_gateway::Forwarder;
use twinpath_lab::{Counters, LabError, LinkHandle, LinkSpec, Task, World};

use super::contenders::{self, Contender, Doors};
use super::service;
use super::trouble::Trouble;
use super::web;

/// The names of the links.
pub(super) const WIFI: &str = "wlan0";
pub(super) const CELLULAR: &str = "wwan0";

const GATEWAY: u16 = 443;
const PLAIN: u16 = 7000;
const MPTCP: u16 = 7001;
const WEB: u16 = 7002;
const METRICS: u16 = 9090;
/// A server that has not begun by then never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// A world of one contender in one run.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) wifi: LinkHandle,
    pub(super) cellular: LinkHandle,
    pub(super) doors: Doors,
    // Last: it ends what the others use.
    pub(super) world: World,
}

impl Scene {
    /// The usual links.
    pub(super) fn usual(contender: Contender) -> Result<Self, Trouble> {
        Self::with(contender, LinkSpec::wifi(), 0)
    }

    /// A Wi-Fi of this kind beside the usual cellular link.
    pub(super) fn with(contender: Contender, wifi: LinkSpec, seed: u64) -> Result<Self, Trouble> {
        let world = World::builder()
            .link(WIFI, wifi)
            .link(CELLULAR, LinkSpec::cellular())
            .seed(seed)
            .build()?;
        // As operators do: what comes over cellular from Wi-Fi's address goes nowhere.
        world.server().sysctl("ipv4/conf/all/rp_filter", "1")?;
        choose_congestion_control(&world);
        serve(&world)?;
        if contender == Contender::Kernel || contender == Contender::Watched {
            world.mptcp_endpoint_backup(CELLULAR)?;
        }
        Ok(Self {
            wifi: world.find_link(WIFI)?,
            cellular: world.find_link(CELLULAR)?,
            doors: Doors {
                gateway: world.server_socket(GATEWAY),
                mptcp: world.server_socket(MPTCP),
                plain: world.server_socket(PLAIN),
                web: world.server_socket(WEB),
            },
            world,
        })
    }

    /// Runs something on the client's host.
    pub(super) fn client<F, Fut, T>(&self, start: F) -> Result<Task<T>, Trouble>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        Ok(self.world.client().spawn(start)?)
    }

    /// What the gateway counts under this name.
    pub(super) fn gateway_counts(&self, name: &str) -> Result<u64, Trouble> {
        let page = self.world.server().run(metrics)??;
        let value = page
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(found, _)| *found == name)
            .and_then(|(_, value)| value.trim().parse::<f64>().ok());
        value
            .map(|value| value as u64)
            .ok_or_else(|| Trouble::new(format!("the gateway does not count {name}")))
    }

    /// The fault of a run must have been one.
    pub(super) fn wifi_dropped_since(&self, before: &Counters) -> Result<(), Trouble> {
        if (self.wifi.counters() - *before).dropped() > 0 {
            return Ok(());
        }
        Err(Trouble::new(
            "the fault did not strike: Wi-Fi dropped nothing",
        ))
    }
}

/// What TCP uses in every scene.
static CONGESTION_CONTROL: OnceLock<&str> = OnceLock::new();

pub(super) fn congestion_control() -> &'static str {
    CONGESTION_CONTROL
        .get()
        .copied()
        .unwrap_or("as the system has it")
}

/// What phones and servers have unless somebody chose another; a machine may keep it for itself.
fn choose_congestion_control(world: &World) {
    let set = |name: &&str| {
        let mut hosts = [world.client(), world.server()].into_iter();
        hosts.all(|host| host.sysctl("ipv4/tcp_congestion_control", name).is_ok())
    };
    if let Some(name) = ["cubic", "reno"].into_iter().find(set) {
        let _ = CONGESTION_CONTROL.set(name);
    }
}

/// Starts the service and the gateway.
fn serve(world: &World) -> Result<(), Trouble> {
    start(world, || async {
        let plain = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PLAIN)).await?;
        // A kernel without MPTCP has one contender less.
        let mptcp = contenders::listen((Ipv4Addr::UNSPECIFIED, MPTCP).into()).ok();
        let web = TcpListener::bind((Ipv4Addr::UNSPECIFIED, WEB)).await?;
        Ok(async move {
            let mptcp = async {
                match mptcp {
                    Some(listener) => service::serve(listener).await,
                    None => std::future::pending().await,
                }
            };
            tokio::join!(service::serve(plain), mptcp, web::serve(web));
        })
    })?;
    start(world, || async {
        let listen = (Ipv4Addr::UNSPECIFIED, GATEWAY).into();
        let metrics: SocketAddr = (Ipv4Addr::LOCALHOST, METRICS).into();
        let gateway = Forwarder::builder(listen, format!("127.0.0.1:{PLAIN}"))
            .metrics(metrics)
            .build()
            .map_err(io::Error::other)?;
        Ok(async move {
            gateway.run().await;
        })
    })
}

/// Runs on the server what `prepare` gives, once that is done.
fn start<F, Fut, Run>(world: &World, prepare: F) -> Result<(), Trouble>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<Run>>,
    Run: Future<Output = ()>,
{
    let (ready, is_ready) = mpsc::channel();
    let task = world.server().spawn(move || async move {
        match prepare().await {
            Ok(run) => {
                let _ = ready.send(Ok(()));
                run.await;
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    })?;
    task.detach();
    is_ready
        .recv_timeout(PATIENCE)
        .map_err(|_| Trouble::new("the server did not start"))?
        .map_err(|error| Trouble::new(format!("the server does not start: {error}")))
}

async fn metrics() -> io::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, METRICS)).await?;
    let request = b"GET /metrics HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

/// Whether worlds can be had, and if not, what is missing.
pub(super) fn check() -> Result<(), LabError> {
    World::new().map(drop)
}
