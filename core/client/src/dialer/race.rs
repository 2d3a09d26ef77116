//! The addresses of one path, raced.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use twinpath_socket::{Binding, ConnectOptions, is_local_scope};

use super::Path;
use crate::connector::race::{BACKUP_DELAY, first_of};
use crate::driver::BoxFuture;

/// The next address of a path is tried when the one before has not answered for this long: the least that RFC 8305 §8
/// allows, so that a path on which one family is broken is not taken for dead.
const ADDRESS_DELAY: Duration = Duration::from_millis(100);
// A round trip of the path's second family has to fit in before the backup starts.
const _: () = assert!(2 * ADDRESS_DELAY.as_millis() <= BACKUP_DELAY.as_millis());
/// A further leg tries other addresses than the nearest when those have not answered for this long.
const OTHERS_DELAY: Duration = Duration::from_millis(250);
/// Little may wait in the kernel unsent: what is there cannot go to another leg without being sent twice. This is 0.5 ms
/// at 500 Mbit/s, about what the driver needs to be woken and to write again, and 13 ms at 20 Mbit/s.
const NOTSENT: u32 = 32 * 1024;

/// Connects to the first of the addresses that answers, each tried a little after the one before.
pub(super) async fn race_addresses(
    addresses: Vec<SocketAddr>,
    path: &Path,
) -> io::Result<TcpStream> {
    let attempt = |address: SocketAddr| -> BoxFuture<io::Result<TcpStream>> {
        Box::pin(connect(address, options(path, address.ip())))
    };
    first_of(addresses.into_iter().map(attempt), ADDRESS_DELAY).await
}

/// Connects to the nearest addresses at once. A lookup, which may take as long as its resolver is dead, begins only when
/// they have not answered for a while, and is waited for only when they lead nowhere. `others` makes addresses of what it
/// found: told whether they come instead of the nearest or beside them.
pub(super) async fn race_nearest(
    nearest: Vec<SocketAddr>,
    lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
    others: impl FnOnce(Vec<SocketAddr>, bool) -> io::Result<Vec<SocketAddr>>,
    path: &Path,
) -> io::Result<TcpStream> {
    let began = Instant::now();
    let mut direct = pin!(race_addresses(nearest, path));
    let mut lookup = pin!(lookup);
    let mut found = None;
    let nowhere = {
        let beside = async {
            sleep(ADDRESS_DELAY).await;
            found = Some(lookup.as_mut().await);
            sleep_until(began + OTHERS_DELAY).await;
        };
        tokio::select! {
            biased;
            result = &mut direct => match result {
                Err(error) if leads_nowhere(&error) => Some(error),
                result => return result,
            },
            () = beside => None,
        }
    };
    let found = match found {
        Some(found) => found,
        None => lookup.await,
    };
    let found = found.and_then(|found| others(found, nowhere.is_some()));
    match (nowhere, found) {
        (None, Ok(found)) if !found.is_empty() => {
            either(direct, pin!(race_addresses(found, path))).await
        }
        (None, _) => direct.await,
        (Some(_), Ok(found)) if !found.is_empty() => race_addresses(found, path).await,
        (Some(error), _) => Err(error),
    }
}

/// The first of two attempts to succeed, or the failure of the one that held out longer.
async fn either(
    mut one: impl Future<Output = io::Result<TcpStream>> + Unpin,
    mut other: impl Future<Output = io::Result<TcpStream>> + Unpin,
) -> io::Result<TcpStream> {
    tokio::select! {
        biased;
        result = &mut one => match result {
            Err(_) => other.await,
            stream => stream,
        },
        result = &mut other => match result {
            Err(_) => one.await,
            stream => stream,
        },
    }
}

/// The path does not lead to that address, whatever its interface has.
fn leads_nowhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable
    )
}

fn options(path: &Path, address: IpAddr) -> ConnectOptions {
    // A network beside this device may be reached by a tunnel of its own, which a bound socket would bypass.
    let by_system = path.near_by_system && is_local_scope(address);
    let mut options = ConnectOptions::bound_to(if by_system {
        Binding::Unbound
    } else {
        path.binding()
    });
    options.mptcp = path.mptcp;
    // The kernel moves what it has to another subflow by itself.
    options.notsent_lowat = (!path.mptcp).then_some(NOTSENT);
    options
}

async fn connect(address: SocketAddr, options: ConnectOptions) -> io::Result<TcpStream> {
    twinpath_socket::connect(address, &options).await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::net::TcpListener;
    use tokio::time::timeout;
    use twinpath_proto::Role;

    use super::*;
    use crate::driver::LegStream;

    static PATH: Path = Path::system_route(Role::Primary);
    const LIMIT: Duration = Duration::from_secs(20);

    /// A listener whose queue is full: further handshakes are not answered (elsewhere they may be refused).
    #[cfg(target_os = "linux")]
    async fn silent() -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        // How many fit is the system's choice.
        while let Ok(Ok(stream)) =
            timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            queued.push(stream);
        }
        (socket, queued, address)
    }

    #[tokio::test]
    async fn the_server_that_was_reached_is_dialled_without_waiting_for_a_lookup() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = vec![listener.local_addr().unwrap()];
        let dial = race_nearest(near, pending(), |found, _| Ok(found), &PATH);
        timeout(LIMIT, dial).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_refusal_is_told_without_waiting_for_a_lookup() {
        let closed = {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let dial = race_nearest(vec![closed], pending(), |found, _| Ok(found), &PATH);
        let error = timeout(LIMIT, dial).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_server_that_does_not_answer_is_sought_at_its_other_address() {
        let (_socket, _queued, dead) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = listener.local_addr().unwrap();
        let began = Instant::now();
        let dial = race_nearest(
            vec![dead],
            ready(Ok(vec![other])),
            |found, instead| {
                assert!(!instead);
                Ok(found)
            },
            &PATH,
        );
        let stream = timeout(LIMIT, dial).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), other);
        assert!(began.elapsed() >= OTHERS_DELAY, "{:?}", began.elapsed());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_silent_first_address_does_not_hold_up_the_second() {
        let (_socket, _queued, dead) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let began = Instant::now();
        let race = race_addresses(vec![dead, good], &PATH);
        let stream = timeout(LIMIT, race).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(began.elapsed() >= ADDRESS_DELAY, "{:?}", began.elapsed());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_plain_connection_may_stand_still_and_a_leg_may_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![listener.local_addr().unwrap()];
        let stream = LegStream::from(race_addresses(addresses, &PATH).await.unwrap());
        let limit = || match &stream {
            LegStream::Tcp(tcp) => socket2::SockRef::from(&**tcp).tcp_user_timeout().unwrap(),
            LegStream::Other(_) => None,
        };
        assert_eq!(limit(), None);
        crate::connector::tune_leg(&stream);
        assert_eq!(limit(), Some(Duration::from_secs(60)));
    }

    #[tokio::test]
    async fn a_refused_address_costs_no_delay() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let closed = {
            let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
            closed.local_addr().unwrap()
        };
        let began = std::time::Instant::now();
        race_addresses(vec![closed, good], &PATH).await.unwrap();
        assert!(began.elapsed() < ADDRESS_DELAY, "{:?}", began.elapsed());
    }
}
