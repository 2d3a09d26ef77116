//! Connections to servers that are no gateways: what they tell of themselves.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use twinpath::{
    Connection, ConnectionSummary, Connector, ErrorKind, Event, Events, Protection, Unprotected,
};

const LIMIT: Duration = Duration::from_secs(20);

/// A plain connection, and the server's end of it.
async fn pair() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connector = Connector::builder().build().unwrap();
    let (connection, accepted) = tokio::join!(connector.connect(&address), listener.accept());
    (connection.unwrap(), accepted.unwrap().0)
}

/// Makes the server's end go away with a reset.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

async fn summary_of(mut events: Events) -> ConnectionSummary {
    let mut last = None;
    while let Some(event) = timeout(LIMIT, events.next()).await.unwrap() {
        last = Some(event);
    }
    match last {
        Some(Event::Summary(summary)) => *summary,
        other => panic!("the last event is {other:?}"),
    }
}

#[tokio::test]
async fn a_plain_connection_tells_its_leg_and_that_it_is_unprotected() {
    let (connection, _server) = pair().await;
    let mut events = connection.events();
    assert!(matches!(events.try_next(), Some(Event::LegUp { .. })));
    let told = events.try_next();
    let expected = Protection::Unprotected {
        reason: Unprotected::NotAGateway,
    };
    assert!(
        matches!(told, Some(Event::Protection(told)) if told == expected),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_reset_by_the_server_is_in_the_account() {
    let (mut connection, server) = pair().await;
    let events = connection.events();
    reset(server);
    let error = timeout(LIMIT, connection.read_u8())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let monitor = connection.monitor();
    drop(connection);
    assert_eq!(summary_of(events).await.error, Some(ErrorKind::Reset));
    assert_eq!(monitor.summary(), monitor.summary(), "it is final");
}

#[tokio::test]
async fn a_reset_after_the_servers_end_is_in_the_account() {
    let (mut connection, mut server) = pair().await;
    server.shutdown().await.unwrap();
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
    reset(server);
    let writing = async {
        loop {
            if let Err(error) = connection.write_all(&[0; 4096]).await {
                return error;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, writing).await.unwrap();
    assert_eq!(connection.close().await.error, Some(ErrorKind::Reset));
}

#[tokio::test]
async fn an_abort_is_no_orderly_end() {
    let (connection, mut server) = pair().await;
    let events = connection.events();
    connection.abort();
    assert_eq!(summary_of(events).await.error, Some(ErrorKind::Reset));
    let error = timeout(LIMIT, server.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_orderly_end_has_no_error() {
    let (mut connection, mut server) = pair().await;
    connection.write_all(b"bye").await.unwrap();
    connection.shutdown().await.unwrap();
    let mut got = String::new();
    server.read_to_string(&mut got).await.unwrap();
    drop(server);
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
    // Closing shuts down once more, which the system may refuse.
    assert_eq!(connection.close().await.error, None);
    assert_eq!(got, "bye");
}
