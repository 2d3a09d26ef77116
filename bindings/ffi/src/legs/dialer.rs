//! Opens legs by way of the platform.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use twinpath::driver::{BoxFuture, LegStream};
use twinpath::{Dialer, Path, ServiceType, Target};

use super::pipe::LegPipe;
use super::stream::{PipeStream, as_io};
use super::{LegDialer, LegInterface, LegTarget, PlatformLeg};
use crate::error::Failure;

/// Hands every dial to the platform, and sees to it that a leg leads only where its path may.
pub(crate) struct PlatformDialer(Arc<dyn LegDialer>);

impl PlatformDialer {
    pub(crate) fn new(dialer: Arc<dyn LegDialer>) -> Arc<Self> {
        Arc::new(Self(dialer))
    }
}

impl Dialer for PlatformDialer {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let dialer = Arc::clone(&self.0);
        let (path, target) = (path.clone(), target.clone());
        Box::pin(async move { open(&path, &target, |order, pipe| dialer.dial(order, pipe)).await })
    }

    fn dial_multipath(
        &self,
        service: ServiceType,
        path: &Path,
        target: &Target,
    ) -> Option<BoxFuture<io::Result<LegStream>>> {
        let dialer = Arc::clone(&self.0);
        let (path, target) = (path.clone(), target.clone());
        let dial = move |order, pipe| dialer.dial_multipath(order, service.into(), pipe);
        Some(Box::pin(async move { open(&path, &target, dial).await }))
    }
}

async fn open(
    path: &Path,
    target: &Target,
    dial: impl FnOnce(LegTarget, Arc<LegPipe>) -> Result<Arc<dyn PlatformLeg>, Failure>,
) -> io::Result<LegStream> {
    let addresses = path.addresses_of(target)?;
    let order = LegTarget {
        role: path.role().into(),
        interface: path.interface().map(|interface| LegInterface {
            name: interface.name.clone(),
            index: interface.index,
            kind: interface.kind.into(),
            network_handle: interface.network_handle,
        }),
        host: target.host().to_owned(),
        port: target.port(),
        addresses: addresses.iter().map(|it| it.ip().to_string()).collect(),
    };
    let pipe = Arc::<LegPipe>::default();
    let leg = dial(order, Arc::clone(&pipe)).map_err(as_io)?;
    // Given up with this future.
    let mut stream = PipeStream::new(leg, pipe);
    let facts = poll_fn(|cx| stream.poll_connected(cx)).await?;
    let peer = facts.peer_address.and_then(|text| parse(&text));
    if let Some(peer) = peer {
        path.admit(target, peer)?;
    }
    stream.know(peer, facts.rtt);
    Ok(LegStream::other(stream))
}

/// An address as platforms write it, a scope included.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.split('%').next().unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(|it| it.to_canonical())
}

impl fmt::Debug for PlatformDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformDialer").finish_non_exhaustive()
    }
}
