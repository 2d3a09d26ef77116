//! Connections that are ended from outside of them.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use twinpath_socket::mptcp::{Subflow, end_subflow};
use twinpath_socket::{Binding, ConnectOptions, ListenOptions, connect, listen};

use crate::SOON;
use crate::world::{self, ip};

/// Accepts a connection with these options and ends it; what its reader is told.
async fn ended(on: SocketAddr, binding: Binding) -> io::Error {
    let listener = listen(on, &ListenOptions::default()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut client = connect(to, &ConnectOptions::bound_to(binding))
        .await
        .unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    let (local, remote) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    // As the kernel tells of subflows: IPv4 whatever the socket is.
    end_subflow(&Subflow::new(remote, local)).unwrap();
    let reading = timeout(SOON, accepted.read_u8()).await.unwrap();
    let told = timeout(SOON, client.read_u8()).await.unwrap();
    assert_eq!(told.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let again = end_subflow(&Subflow::new(remote, local)).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    reading.unwrap_err()
}

#[test]
fn a_connection_is_ended_whatever_its_socket_is_bound_to_and_of_whichever_family() {
    world::run(|| async {
        ip("link set lo up");
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let lo = || Binding::Interface {
            name: "lo".into(),
            index: 0,
        };
        for (on, binding) in [(v4, Binding::Unbound), (both, Binding::Unbound), (v4, lo())] {
            let error = ended(on, binding).await;
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{on}: {error}");
        }
    });
}
