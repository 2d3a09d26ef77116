//! The split-TCP proxy of a link: a namespace between the two hosts with a relay in it.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::addressing::Networks;
use super::host::Host;
use super::route::Route;
use super::world::{device, prepare};
use crate::error::{LabError, Step as _};
use crate::pep::{Redirect, Targets};

const PORT: u16 = 3128;

/// What a link needs to have a proxy on it.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) host: Host,
    pub(super) near: File,
    pub(super) far: File,
    pub(super) redirect: Redirect,
}

impl Proxy {
    pub(super) fn start(networks: Networks, mtu: u32, ipv6: bool) -> Result<Self, LabError> {
        let host = Host::new("proxy")?;
        prepare(host.namespace(), ipv6)?;
        let (near, near_device) = device(host.namespace(), "near", mtu)?;
        let (far, far_device) = device(host.namespace(), "far", mtu)?;
        let (v4, v6) = networks.pep();
        let mut own: Vec<(IpAddr, u8)> = vec![(v4.into(), 32)];
        if ipv6 {
            own.push((v6.into(), 128));
        }
        {
            let mut route = host.namespace().route();
            let mut configure = || {
                for &(ip, prefix) in &own {
                    route.add_address(far_device, ip, prefix)?;
                    route.add_route(&to(None, far_device, ip))?;
                }
                for (&(ip, _), network) in own.iter().zip(networks.routes(ipv6)) {
                    route.add_route(&to(Some(network), near_device, ip))?;
                }
                Ok(())
            };
            configure().step(|| "give the proxy its addresses".into())?;
        }
        let targets = Targets::default();
        for &(ip, _) in &own {
            listen(&host, SocketAddr::new(ip, PORT), &targets)?;
        }
        let listeners = [
            SocketAddr::new(v4.into(), PORT),
            SocketAddr::new(v6.into(), PORT),
        ];
        Ok(Self {
            host,
            near,
            far,
            redirect: Redirect::new(listeners, targets),
        })
    }
}

fn to(network: Option<(IpAddr, u8)>, device: u32, source: IpAddr) -> Route {
    Route {
        to: network,
        device,
        v6: source.is_ipv6(),
        table: None,
        metric: 1,
        source: Some(source),
    }
}

fn listen(host: &Host, at: SocketAddr, targets: &Targets) -> Result<(), LabError> {
    let targets = Arc::clone(targets);
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    host.spawn(move || async move {
        let listener = match TcpListener::bind(at).await {
            Ok(listener) => listener,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        while let Ok((client, from)) = listener.accept().await {
            let target = targets
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&from)
                .copied();
            if let Some(target) = target {
                tokio::spawn(relay(client, target));
            }
        }
    })?
    .detach();
    let ended = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let bound = is_ready.recv().unwrap_or_else(|_| Err(ended()));
    bound.step(|| "start the proxy".into())
}

async fn relay(mut client: TcpStream, target: SocketAddr) {
    let relayed = async {
        let mut server = TcpStream::connect(target).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        copy_bidirectional(&mut client, &mut server).await
    };
    if let Err(error) = relayed.await {
        log::debug!("the lab's proxy gives a connection up: {error}");
    }
}
