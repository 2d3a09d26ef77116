//! How the end of a connection is accounted for.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the support is shared with other tests"
)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use support::{Gateway, seed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use twinpath::driver::Setup;
use twinpath::{Connection, ErrorKind, Event, Role, clock};
use twinpath_proto::{ClientConfig, ResetCode, Session};

const LIMIT: Duration = Duration::from_secs(20);

async fn connect(gateway: &Gateway) -> Connection {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let now = clock::now();
    let mut session = Session::client(ClientConfig::default(), seed(), now);
    let leg = session.leg_opened(Role::Primary, None, now);
    Setup::new(session).leg(leg, stream, Bytes::new()).spawn().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_ends_is_cut_off_and_the_account_is_in_order() {
    let mut gateway = Gateway::start().await;
    let mut client = connect(&gateway).await;
    let mut events = client.events();
    client.write_all(b"all of it").await.unwrap();
    let (mut served, _) = gateway.accept().await;
    let mut got = [0; 9];
    served.read_exact(&mut got).await.unwrap();
    let summary = timeout(LIMIT, client.close()).await.unwrap();
    assert_eq!(summary.error, None);
    let mut closed = None;
    while let Some(event) = timeout(LIMIT, events.next()).await.unwrap() {
        match event {
            Event::Closed(result) => closed = Some(result),
            Event::Summary(told) => assert_eq!(told.error, None),
            _ => {}
        }
    }
    assert_eq!(closed, Some(Ok(())));
    // The end of what was written comes first, then the peer is told that nobody reads its answer.
    assert_eq!(served.read(&mut [0]).await.unwrap(), 0);
    let writing = async {
        loop {
            if let Err(error) = served.write_all(b"x").await {
                return error;
            }
            tokio::task::yield_now().await;
        }
    };
    let error = timeout(LIMIT, writing).await.unwrap();
    assert_eq!(ErrorKind::of_io(&error), ErrorKind::Reset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_by_the_peer_while_closing_is_an_error() {
    let mut gateway = Gateway::start().await;
    let mut client = connect(&gateway).await;
    client.write_all(b"all of it").await.unwrap();
    let (served, _) = gateway.accept().await;
    let (summary, ()) = tokio::join!(timeout(LIMIT, client.close()), async {
        served.abort_with(ResetCode::UpstreamReset);
    });
    assert_eq!(summary.unwrap().error, Some(ErrorKind::Reset));
}
