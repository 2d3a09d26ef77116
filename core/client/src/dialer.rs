//! How a byte stream to a target is opened over one path.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;
use twinpath_proto::Role;
use twinpath_socket::{Binding, ConnectOptions, Cost, Interface, InterfaceKind, is_local_scope};

use crate::connector::race::Runners;
use crate::driver::{BoxFuture, LegStream};
use crate::mode::PathInfo;
use crate::target::Target;

/// The next address of a path is tried when the one before has not answered for this long (RFC 8305 §8: 250 ms).
const ADDRESS_DELAY: Duration = Duration::from_millis(250);
/// Little may wait in the kernel unsent: what is there cannot go to another leg without being sent twice. This is 0.5 ms
/// at 500 Mbit/s, about what the driver needs to be woken and to write again, and 13 ms at 20 Mbit/s.
const NOTSENT: u32 = 32 * 1024;

/// One way to a peer: a role, and the interface that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    role: Role,
    interface: Option<Arc<Interface>>,
    /// Addresses near this device are reached over the system's route only.
    near_by_system: bool,
}

impl Path {
    pub(crate) const fn over(role: Role, interface: Arc<Interface>, near_by_system: bool) -> Self {
        Self {
            role,
            interface: Some(interface),
            near_by_system,
        }
    }

    /// The way that the system itself would take.
    pub(crate) const fn system_route(role: Role) -> Self {
        Self {
            role,
            interface: None,
            near_by_system: false,
        }
    }

    /// Primary or backup.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The interface to use; `None` for the way that the system itself would take.
    #[must_use]
    pub fn interface(&self) -> Option<&Interface> {
        self.interface.as_deref()
    }

    /// What a socket has to be bound to.
    #[must_use]
    pub fn binding(&self) -> Binding {
        self.interface
            .as_ref()
            .map_or(Binding::Unbound, |interface| interface.binding())
    }

    /// Name, kind and cost.
    #[must_use]
    pub fn info(&self) -> PathInfo {
        match &self.interface {
            Some(interface) => {
                PathInfo::new(interface.name.as_str(), interface.kind, interface.cost)
            }
            None => PathInfo::new("system route", InterfaceKind::Other, Cost::Unknown),
        }
    }
}

/// Opens byte streams over paths.
///
/// The default, [`SocketDialer`], binds sockets to interfaces. A platform whose own framework must open connections (on
/// iOS, `NWConnection` wakes the modem and does DNS64) brings its own.
pub trait Dialer: fmt::Debug + Send + Sync {
    /// Opens a stream to `target` over `path`; ready when the peer has answered. Dropping the future cancels the
    /// attempt. Names are to be resolved over the path itself.
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>>;
}

/// TCP sockets bound to the path's interface, names resolved per path, its addresses raced as RFC 8305 says.
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
        Box::pin(async move {
            let found =
                twinpath_socket::resolve(target.host(), target.port(), &path.binding()).await?;
            let addresses = permitted(found, &path, &target)?;
            race_addresses(addresses, &path).await.map(LegStream::Tcp)
        })
    }
}

/// The addresses that may be dialled on that path.
fn permitted(
    mut addresses: Vec<SocketAddr>,
    path: &Path,
    target: &Target,
) -> io::Result<VecDeque<SocketAddr>> {
    if target.is_announced() {
        addresses.retain(|address| !is_beside(address.ip()));
    }
    if path.near_by_system && path.role == Role::Backup {
        addresses.retain(|address| !is_local_scope(address.ip()));
    }
    if addresses.is_empty() {
        let refused = "every address of the target is in a private or local network, which this path does not lead to";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused));
    }
    Ok(addresses.into())
}

/// Whether an address is on this device or the network beside it, where no peer may send us.
pub(crate) fn is_beside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_beside(v4.into()),
            None => {
                v6.is_loopback()
                    || v6.is_unicast_link_local()
                    || v6.is_multicast()
                    || v6.is_unspecified()
            }
        },
    }
}

async fn race_addresses(mut waiting: VecDeque<SocketAddr>, path: &Path) -> io::Result<TcpStream> {
    let mut running = Runners::default();
    let mut failure = None;
    loop {
        if let Some(address) = waiting.pop_front() {
            running.start((), Box::pin(connect(address, options(path, address.ip()))));
        }
        tokio::select! {
            biased;
            finished = running.next() => match finished {
                Some(((), Ok(stream))) => return Ok(stream),
                Some(((), Err(error))) => failure = Some(error),
                None => return Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            },
            () = sleep(ADDRESS_DELAY), if !waiting.is_empty() => {}
        }
    }
}

fn options(path: &Path, address: IpAddr) -> ConnectOptions {
    // A network beside this device may be reached by a tunnel of its own, which a bound socket would bypass.
    let by_system = path.near_by_system && is_local_scope(address);
    let mut options = ConnectOptions::bound_to(if by_system {
        Binding::Unbound
    } else {
        path.binding()
    });
    options.notsent_lowat = Some(NOTSENT);
    options
}

async fn connect(address: SocketAddr, options: ConnectOptions) -> io::Result<TcpStream> {
    twinpath_socket::connect(address, &options).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_announced_target_leads_neither_here_nor_next_door() {
        let path = Path::system_route(Role::Backup);
        let target = Target::new("gw.example", 1).announced();
        let found = addresses(&[
            "127.0.0.1:1",
            "[fe80::1]:1",
            "[::ffff:127.0.0.1]:1",
            "198.51.100.1:1",
        ]);
        assert_eq!(
            permitted(found, &path, &target).unwrap(),
            addresses(&["198.51.100.1:1"])
        );
        let error = permitted(addresses(&["[::1]:1"]), &path, &target).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_private_address_is_not_sought_on_the_backup() {
        let wwan0 = Arc::new(Interface::new("wwan0", 3, InterfaceKind::Cellular));
        let target = Target::new("nas.example", 1);
        let backup = Path::over(Role::Backup, Arc::clone(&wwan0), true);
        assert!(permitted(addresses(&["192.168.1.2:1"]), &backup, &target).is_err());
        let named = Path::over(Role::Backup, wwan0, false);
        assert!(permitted(addresses(&["192.168.1.2:1"]), &named, &target).is_ok());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_plain_connection_may_stand_still_and_a_leg_may_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let path = Path::system_route(Role::Primary);
        let addresses = [listener.local_addr().unwrap()].into();
        let stream = LegStream::Tcp(race_addresses(addresses, &path).await.unwrap());
        let limit = || match &stream {
            LegStream::Tcp(tcp) => socket2::SockRef::from(tcp).tcp_user_timeout().unwrap(),
            LegStream::Other(_) => None,
        };
        assert_eq!(limit(), None);
        crate::connector::tune_leg(&stream);
        assert_eq!(limit(), Some(Duration::from_secs(60)));
    }

    #[tokio::test]
    async fn a_dead_address_costs_a_quarter_of_a_second_and_a_refused_one_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let closed = {
            let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let path = Path::system_route(Role::Primary);
        let began = std::time::Instant::now();
        race_addresses([closed, good].into(), &path).await.unwrap();
        assert!(began.elapsed() < ADDRESS_DELAY, "{:?}", began.elapsed());
    }
}
