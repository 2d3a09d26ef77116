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
    /// attempt. Names are to be resolved over the path itself, and a further leg of a connection goes to the server that
    /// the first one reached: see [`Target::reached_at`].
    fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>>;
}

/// TCP sockets bound to the path's interface, names resolved per path, its addresses raced as RFC 8305 says.
///
/// A further leg of a connection goes to the address that the first one reached, if a lookup on its path finds it or the
/// path has that address family; only where neither is so (as behind NAT64 with a name whose servers have changed) are
/// all addresses of the lookup tried.
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
                twinpath_socket::resolve(target.host(), target.port(), &path.binding()).await;
            let Some(reached) = target.reached_at() else {
                let addresses = permitted(found?, &path, &target)?;
                return race_addresses(addresses, &path).await.map(LegStream::Tcp);
            };
            let reached = SocketAddr::new(reached, target.port());
            let same = addresses_of(reached, found.as_deref().unwrap_or_default(), &path);
            if !same.is_empty() {
                let addresses = permitted(same, &path, &target)?;
                match race_addresses(addresses, &path).await {
                    // The path does not lead to that address, whatever its interface has.
                    Err(error) if leads_nowhere(&error) && found.is_ok() => {}
                    result => return result.map(LegStream::Tcp),
                }
            }
            let addresses = permitted(found?, &path, &target)?;
            race_addresses(addresses, &path).await.map(LegStream::Tcp)
        })
    }
}

/// How the server at `reached` is written among the addresses that a lookup on `path` found. If it is not among them,
/// the address itself, if the path has that family; else nothing.
///
/// A lookup gives the addresses of several servers, not always the same ones nor in the same order; another server would
/// not know the session, and might begin a second one with the same data.
fn addresses_of(reached: SocketAddr, found: &[SocketAddr], path: &Path) -> Vec<SocketAddr> {
    let same: Vec<_> = found
        .iter()
        .copied()
        .filter(|address| is_same_server(address.ip(), reached.ip()))
        .collect();
    if !same.is_empty() {
        return same;
    }
    let direct = untranslated(reached.ip());
    if has_family_of(path, direct) {
        vec![SocketAddr::new(direct, reached.port())]
    } else {
        Vec::new()
    }
}

/// Whether two addresses are one server's: equal, or one the other's translation (NAT64, RFC 6052: with the usual
/// prefixes of 96 bits, the last 32 are the IPv4 address; the prefix is the network's own choice).
pub(crate) fn is_same_server(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(v4), IpAddr::V6(v6)) | (IpAddr::V6(v6), IpAddr::V4(v4)) => {
            v6.octets()[12..] == v4.octets()
        }
        (one, other) => one == other,
    }
}

/// The IPv4 address in one with NAT64's well-known prefix, which leads nowhere in another network.
fn untranslated(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
                let [.., a, b, c, d] = v6.octets();
                [a, b, c, d].into()
            }
            _ => address,
        },
        IpAddr::V4(_) => address,
    }
}

fn has_family_of(path: &Path, address: IpAddr) -> bool {
    // What the system's own route can reach, its errors tell.
    path.interface().is_none_or(|interface| {
        interface.addresses.iter().any(|own| match own {
            IpAddr::V4(_) => address.is_ipv4(),
            IpAddr::V6(v6) => address.is_ipv6() && !v6.is_unicast_link_local(),
        })
    })
}

fn leads_nowhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable
    )
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

    fn interface(list: &[&str]) -> Path {
        let mut wwan0 = Interface::new("wwan0", 3, InterfaceKind::Cellular);
        wwan0.addresses = list.iter().map(|text| text.parse().unwrap()).collect();
        Path::over(Role::Backup, Arc::new(wwan0), true)
    }

    #[test]
    fn a_further_leg_goes_to_the_server_of_the_first() {
        let both = interface(&["10.9.9.9", "2001:db8::9"]);
        let only_v6 = interface(&["2001:db8::9", "fe80::9"]);
        let only_v4 = interface(&["10.9.9.9", "fe80::9"]);
        let towards = |reached: &str, found: &[&str], path: &Path| {
            addresses_of(reached.parse().unwrap(), &addresses(found), path)
        };
        // Among several, whatever their order.
        assert_eq!(
            towards(
                "192.0.2.2:1",
                &["192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.2:1"],
                &both
            ),
            addresses(&["192.0.2.2:1"])
        );
        // A lookup that finds others, or nothing.
        for found in [&["192.0.2.1:1"][..], &[]] {
            assert_eq!(
                towards("192.0.2.2:1", found, &both),
                addresses(&["192.0.2.2:1"])
            );
        }
        // Behind NAT64, with any prefix, and back.
        let translated = ["[64:ff9b::192.0.2.1]:1", "[2001:db8:64::192.0.2.2]:1"];
        assert_eq!(
            towards("192.0.2.2:1", &translated, &only_v6),
            addresses(&translated[1..])
        );
        assert_eq!(
            towards(
                "[2001:db8:64::192.0.2.2]:1",
                &["192.0.2.1:1", "192.0.2.2:1"],
                &only_v4
            ),
            addresses(&["192.0.2.2:1"])
        );
        assert_eq!(
            towards("[64:ff9b::192.0.2.2]:1", &[], &only_v4),
            addresses(&["192.0.2.2:1"])
        );
        // Not to be reached there: the whole lookup has to do.
        assert_eq!(towards("192.0.2.2:1", &translated[..1], &only_v6), []);
        assert_eq!(towards("[2001:db8::2]:1", &["192.0.2.1:1"], &only_v4), []);
    }

    #[tokio::test]
    async fn a_name_of_two_servers_leads_to_the_one_that_was_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await;
        // Only Linux has the whole of 127.0.0.0/8.
        let Ok(listener) = listener else { return };
        let port = listener.local_addr().unwrap().port();
        let _other = tokio::net::TcpListener::bind(("127.0.0.1", port))
            .await
            .unwrap();
        let reached = "127.0.0.2".parse().ok();
        let target = Target::new("localhost", port).with_reached_at(reached);
        let path = Path::system_route(Role::Primary);
        let stream = SocketDialer::new().dial(&path, &target).await.unwrap();
        assert_eq!(stream.peer_address(), reached);
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
