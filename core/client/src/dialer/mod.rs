//! How a byte stream to a target is opened over one path.

mod path;
mod permit;
mod race;
mod server;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use twinpath_proto::ServiceType;

use crate::driver::{BoxFuture, LegStream};
use crate::target::Target;

pub use path::Path;
pub(crate) use permit::is_beside;
pub(crate) use server::is_same_server;

/// Opens byte streams over paths.
///
/// The default, [`SocketDialer`], binds sockets to interfaces. A platform whose own framework must open connections (on
/// iOS, `NWConnection` wakes the modem and does DNS64) brings its own.
pub trait Dialer: fmt::Debug + Send + Sync {
    /// Opens a stream to `target` over `path`; ready when the peer has answered. Dropping the future cancels the
    /// attempt. Names are to be resolved over the path itself, and a further leg of a connection goes to the server that
    /// the first one reached: see [`Target::reached_at`].
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>>;

    /// Opens a stream to `target` whose two paths the platform keeps by itself, with MPTCP, as `service` asks (Apple's
    /// `multipathServiceType`); ready when the peer has answered. `path` has no interface: which one to begin with is the
    /// platform's to say as well. Dropping the future cancels the attempt.
    ///
    /// Called only where the app says that it may have that:
    /// [`multipath_entitlement`](crate::ConnectorBuilder::multipath_entitlement). `None`, as is the default, if the dialer
    /// has no such streams; if it fails, the connection takes the next mode, with the error as the reason.
    fn dial_multipath(
        &self,
        _service: ServiceType,
        _path: &Path,
        _target: &Target,
    ) -> Option<BoxFuture<io::Result<LegStream>>> {
        None
    }

    /// The addresses of `target`, looked up over `path`, so that a later dial need not wait for a lookup: see
    /// [`Target::known_addresses`]. None, as is the default, if the dialer leaves names to somebody else.
    fn look_up(&self, _path: &Path, _target: &Target) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Whether what it opens are TCP sockets of this process, bound to the path's interface and otherwise untouched. Then
    /// the library may ask a server by a bare handshake of its own, and have the kernel's MPTCP. Not, unless told.
    fn binds_sockets(&self) -> bool {
        false
    }
}

/// TCP sockets bound to the path's interface, names resolved per path, its addresses raced as RFC 8305 says.
///
/// A further leg of a connection goes to the address that the first one reached, at once, if the path has that address
/// family. A lookup on the path helps where it has not (then it tells the server's address behind NAT64), and where that
/// address leads nowhere; if it is only slow to answer, what the lookup adds for the same server is tried beside it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SocketDialer {}

impl SocketDialer {
    /// The default dialer.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}

impl Dialer for SocketDialer {
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let (path, target) = (path.clone(), target.clone());
        let lookup = self.look_up(&path, &target);
        Box::pin(async move { open(&path, &target, lookup).await.map(LegStream::from) })
    }

    fn look_up(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        let (binding, target) = (path.binding(), target.clone());
        Box::pin(
            async move { twinpath_socket::resolve(target.host(), target.port(), &binding).await },
        )
    }

    fn binds_sockets(&self) -> bool {
        true
    }
}

async fn open(
    path: &Path,
    target: &Target,
    lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> io::Result<TcpStream> {
    let nearest = server::nearest(target, path);
    if nearest.is_empty() {
        let found = server::instead(&lookup.await?, target, path);
        return race::race_addresses(permit::permitted(found, path, target)?, path).await;
    }
    let nearest = permit::permitted(nearest, path, target)?;
    let tried = nearest.clone();
    let others = |found: Vec<SocketAddr>, instead| {
        let others = if instead {
            server::instead(&found, target, path)
        } else {
            server::beside(&found, &tried, target)
        };
        permit::permitted(others, path, target)
    };
    race::race_nearest(nearest, lookup, others, path).await
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::net::TcpListener;
    use twinpath_proto::Role;

    use super::*;

    #[tokio::test]
    async fn neither_a_further_leg_nor_an_announced_name_waits_for_a_resolver_that_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let path = Path::system_route(Role::Backup);
        let named = || Target::new("gw.example", address.port());
        let reached = named().with_reached_at(Some(address.ip()));
        let known = named().with_known([address.ip()].into());
        for target in [reached, known] {
            let dial = open(&path, &target, pending());
            let stream = tokio::time::timeout(Duration::from_secs(20), dial).await;
            assert_eq!(stream.unwrap().unwrap().peer_addr().unwrap(), address);
        }
    }

    #[tokio::test]
    async fn a_name_of_two_servers_leads_to_the_one_that_was_reached() {
        let listener = TcpListener::bind("127.0.0.2:0").await;
        // Only Linux has the whole of 127.0.0.0/8.
        let Ok(listener) = listener else { return };
        let port = listener.local_addr().unwrap().port();
        let _other = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let reached = "127.0.0.2".parse().ok();
        let target = Target::new("localhost", port).with_reached_at(reached);
        let path = Path::system_route(Role::Primary);
        let stream = SocketDialer::new().dial(&path, &target).await.unwrap();
        assert_eq!(stream.peer_address(), reached);
    }
}
