//! The listener of Rust servers: both kinds of connection come out alike.

use crate::common::{chat, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twinpath_gateway::{Accepted, Listener, ListenerConfig};

#[tokio::test]
async fn both_kinds_are_accepted_read_and_written_alike() {
    let mut listener =
        Listener::bind(crate::common::loopback(), ListenerConfig::default()).unwrap();
    let address = listener.local_addr();
    for protected in [true, false] {
        let client = tokio::spawn(async move {
            if protected {
                chat(&mut crate::common::session(address).await, "word").await;
            } else {
                chat(&mut TcpStream::connect(address).await.unwrap(), "word").await;
            }
        });
        let (mut connection, peer) = soon("a connection", listener.accept()).await.unwrap();
        assert_eq!(connection.is_protected(), protected);
        assert_eq!(matches!(connection, Accepted::Session(_)), protected);
        assert_eq!(peer.local, address);
        assert!(peer.remote.ip().is_loopback());
        let mut word = [0; 4];
        soon("the word", connection.read_exact(&mut word))
            .await
            .unwrap();
        connection.write_all(&word).await.unwrap();
        client.await.unwrap();
    }
    let text = listener.metrics();
    assert!(
        text.contains("twinpath_sessions_total 1\n") && text.contains("twinpath_raw_total 1\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_raw_connection_counts_until_it_is_dropped() {
    let mut listener =
        Listener::bind(crate::common::loopback(), ListenerConfig::default()).unwrap();
    let mut client = TcpStream::connect(listener.local_addr()).await.unwrap();
    client.write_all(b"prefix").await.unwrap();
    let (connection, _) = soon("a connection", listener.accept()).await.unwrap();
    let Accepted::Raw(stream) = &connection else {
        panic!("{connection:?}")
    };
    assert_eq!(stream.prefix(), b"prefix");
    // A client that pauses reading for as long as it likes is in order.
    #[cfg(target_os = "linux")]
    assert_eq!(
        socket2::SockRef::from(stream.get_ref())
            .tcp_user_timeout()
            .unwrap(),
        None
    );
    assert!(listener.metrics().contains("twinpath_raw_open 1\n"));
    drop(connection);
    assert!(listener.metrics().contains("twinpath_raw_open 0\n"));
}

#[tokio::test]
async fn a_stopped_listener_says_so() {
    let mut listener =
        Listener::bind(crate::common::loopback(), ListenerConfig::default()).unwrap();
    listener.shutdown_handle().drain();
    assert!(soon("the end", listener.ended()).await.clean);
    let error = soon("the end", listener.accept()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let listener = Listener::bind(crate::common::loopback(), ListenerConfig::default()).unwrap();
    let error = Listener::bind(listener.local_addr(), ListenerConfig::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {}", listener.local_addr())),
        "{error}"
    );
    assert_eq!(
        error.io().map(std::io::Error::kind),
        Some(std::io::ErrorKind::AddrInUse)
    );
}
