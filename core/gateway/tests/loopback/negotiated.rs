//! What clients have negotiated is counted, whatever they are and whatever the kernel can do.

use std::io::Write as _;

use crate::common::{Gateway, chat, echo, service};
use tokio::net::TcpStream;
use twinpath_gateway::{Accepted, Listener, ListenerConfig};
use twinpath_socket::ConnectOptions;
use twinpath_socket::mptcp::is_available;

const TCP: &str = "twinpath_raw_negotiated_total{transport=\"tcp\"}";
const MPTCP: &str = "twinpath_raw_negotiated_total{transport=\"mptcp\"}";

/// A client that asks for MPTCP; `None`, and said aloud, where the kernel makes none.
async fn mptcp_client(gateway: std::net::SocketAddr) -> Option<TcpStream> {
    if let Err(error) = is_available() {
        // Not by eprintln, which is captured when a test passes.
        let line = format!("SKIPPED negotiated: no MPTCP: {error}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        return None;
    }
    let mut options = ConnectOptions::default();
    options.mptcp = true;
    Some(twinpath_socket::connect(gateway, &options).await.unwrap())
}

#[tokio::test]
async fn a_client_of_plain_tcp_is_counted_as_one() {
    let gateway = Gateway::before(service(echo).await);
    let mut client = gateway.raw().await;
    chat(&mut client, "hello").await;
    drop(client);
    gateway.until("twinpath_raw_open", 0.0).await;
    assert_eq!(gateway.sample(TCP).await, 1.0);
    assert_eq!(gateway.sample(MPTCP).await, 0.0);
    assert_eq!(gateway.sample("twinpath_raw_fallbacks_total").await, 0.0);
}

#[tokio::test]
async fn a_client_of_mptcp_is_counted_as_one_however_it_ends() {
    let gateway = Gateway::before(service(echo).await);
    for (number, abrupt) in [(1.0, false), (2.0, true)] {
        let Some(mut client) = mptcp_client(gateway.address).await else {
            return;
        };
        chat(&mut client, "hello").await;
        assert_eq!(gateway.sample(MPTCP).await, number);
        if abrupt {
            twinpath_socket::abort(client);
        } else {
            drop(client);
        }
        gateway.until("twinpath_raw_open", 0.0).await;
    }
    assert_eq!(gateway.sample(TCP).await, 0.0);
    assert_eq!(gateway.sample("twinpath_raw_fallbacks_total").await, 0.0);
    assert_eq!(gateway.sample("twinpath_raw_multipath_total").await, 0.0);
}

#[tokio::test]
async fn a_listener_of_ones_own_counts_as_well() {
    let mut listener =
        Listener::bind(crate::common::loopback(), ListenerConfig::default()).unwrap();
    let Some(client) = mptcp_client(listener.local_addr()).await else {
        return;
    };
    client.try_write(b"hello").unwrap();
    let (connection, _) = listener.accept().await.unwrap();
    assert!(matches!(connection, Accepted::Raw(_)));
    let page = listener.metrics();
    assert!(page.contains(&format!("{MPTCP} 1\n")), "{page}");
}

#[tokio::test]
async fn a_leg_is_counted_by_what_it_is() {
    let gateway = Gateway::before(service(echo).await);
    chat(&mut gateway.session().await, "hello").await;
    let legs = |transport| format!("twinpath_legs_negotiated_total{{transport=\"{transport}\"}}");
    assert_eq!(gateway.sample(&legs("tcp")).await, 1.0);
    assert_eq!(gateway.sample(&legs("mptcp")).await, 0.0);
    assert_eq!(gateway.sample(TCP).await, 0.0);
}
