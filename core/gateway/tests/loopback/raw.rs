//! Clients that know nothing of sessions are passed through untouched.

use std::time::Duration;

use crate::common::{Gateway, echo, held_service, pattern, service, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twinpath_gateway::ProxyProtocol;

fn reset(stream: TcpStream) {
    twinpath_socket::abort(stream);
}

#[tokio::test]
async fn one_byte_is_enough() {
    let gateway = Gateway::before(service(echo).await);
    for byte in [b'x', 0x16, 0x00, 0xff] {
        let mut client = gateway.raw().await;
        client.write_all(&[byte]).await.unwrap();
        assert_eq!(soon("the echo", client.read_u8()).await.unwrap(), byte);
    }
    assert_eq!(gateway.sample("twinpath_raw_total").await, 4.0);
}

#[tokio::test]
async fn bytes_and_ends_pass_in_both_directions() {
    let gateway = Gateway::before(service(echo).await);
    let mut client = gateway.raw().await;
    let sent = pattern(5_000_000, 7);
    let (mut read, mut write) = client.split();
    let mut received = Vec::new();
    let (written, ended) = soon("the echo", async {
        tokio::join!(
            async {
                write.write_all(&sent).await?;
                write.shutdown().await
            },
            read.read_to_end(&mut received)
        )
    })
    .await;
    written.unwrap();
    ended.unwrap();
    assert!(received == sent);
    drop(client);
    gateway
        .until("twinpath_raw_ended_total{end=\"finished\"}", 1.0)
        .await;
    assert_eq!(
        gateway
            .sample("twinpath_raw_bytes_total{direction=\"from_client\"}")
            .await,
        5e6
    );
    assert_eq!(
        gateway
            .sample("twinpath_raw_bytes_total{direction=\"to_client\"}")
            .await,
        5e6
    );
    assert_eq!(gateway.sample("twinpath_raw_open").await, 0.0);
}

#[tokio::test]
async fn a_half_close_leaves_the_other_direction_open() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    let mut client = gateway.raw().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    let mut question = String::new();
    soon("the question", served.read_to_string(&mut question))
        .await
        .unwrap();
    assert_eq!(question, "question");
    served.write_all(b"answer").await.unwrap();
    drop(served);
    let mut answer = String::new();
    soon("the answer", client.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn http_goes_through() {
    let address = service(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"GET /x HTTP/1.1\r\n"));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
    })
    .await;
    let gateway = Gateway::before(address);
    let (status, body) = crate::common::http(gateway.address, "/x").await;
    assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", "ok"));
}

#[tokio::test]
async fn a_server_may_speak_first_when_told_so() {
    let address = service(|mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        echo(stream).await;
    })
    .await;
    let gateway = Gateway::with(address, |builder| {
        builder.raw_after(Duration::from_millis(50))
    });
    let mut client = gateway.raw().await;
    let mut greeting = [0; 11];
    soon("the greeting", client.read_exact(&mut greeting))
        .await
        .unwrap();
    assert_eq!(&greeting, b"220 ready\r\n");
    client.write_all(b"HELO").await.unwrap();
    let mut back = [0; 4];
    soon("the echo", client.read_exact(&mut back))
        .await
        .unwrap();
    assert_eq!(&back, b"HELO");
}

#[tokio::test]
async fn a_reset_of_the_client_reaches_the_service() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    for half_closed in [false, true] {
        let mut client = gateway.raw().await;
        client.write_all(b"x").await.unwrap();
        let mut served = soon("the connection", connections.recv()).await.unwrap();
        assert_eq!(served.read_u8().await.unwrap(), b'x');
        if half_closed {
            client.shutdown().await.unwrap();
            assert_eq!(soon("the end", served.read(&mut [0; 8])).await.unwrap(), 0);
        }
        reset(client);
        let error = soon("the reset", crate::common::broken(&served)).await;
        assert!(crate::common::is_reset(&error), "{error}");
    }
    gateway
        .until("twinpath_raw_ended_total{end=\"client_reset\"}", 2.0)
        .await;
}

#[tokio::test]
async fn a_reset_of_the_service_reaches_the_client() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    for half_closed in [false, true] {
        let mut client = gateway.raw().await;
        client.write_all(b"x").await.unwrap();
        let mut served = soon("the connection", connections.recv()).await.unwrap();
        assert_eq!(served.read_u8().await.unwrap(), b'x');
        if half_closed {
            served.shutdown().await.unwrap();
            assert_eq!(soon("the end", client.read(&mut [0; 8])).await.unwrap(), 0);
        }
        reset(served);
        let error = soon("the reset", crate::common::broken(&client)).await;
        assert!(crate::common::is_reset(&error), "{error}");
    }
    gateway
        .until("twinpath_raw_ended_total{end=\"upstream_reset\"}", 2.0)
        .await;
}

#[tokio::test]
async fn a_service_that_is_not_there_is_a_reset() {
    // A port that was free a moment ago and is not listened on.
    let address = tokio::net::TcpListener::bind(crate::common::loopback())
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gateway = Gateway::before(address);
    let mut client = gateway.raw().await;
    client.write_all(b"x").await.unwrap();
    let error = soon("the reset", client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(
        gateway
            .sample("twinpath_upstream_failures_total{reason=\"refused\"}")
            .await,
        1.0
    );
    gateway
        .until(
            "twinpath_raw_ended_total{end=\"upstream_unreachable\"}",
            1.0,
        )
        .await;
}

#[tokio::test]
async fn the_service_learns_who_the_client_is() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::with(address, |builder| builder.proxy_protocol(ProxyProtocol::V2));
    let mut client = gateway.raw().await;
    client.write_all(b"after").await.unwrap();
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    let expected = ProxyProtocol::V2.header(client.local_addr().unwrap(), gateway.address);
    let mut header = vec![0; expected.len() + 5];
    soon("the header", served.read_exact(&mut header))
        .await
        .unwrap();
    assert_eq!(header, [&expected[..], b"after"].concat());
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_holds_nobody_up() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    let mut client = gateway.raw().await;
    client.write_all(b"x").await.unwrap();
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    let sent = pattern(30_000_000, 3);
    let serving = tokio::spawn({
        let sent = sent.clone();
        async move {
            let (mut read, mut write) = served.split();
            let mut heard = vec![0; 11];
            let (heard_all, wrote_all) =
                tokio::join!(read.read_exact(&mut heard), write.write_all(&sent));
            heard_all.unwrap();
            wrote_all.unwrap();
            assert_eq!(heard, b"xstill here");
        }
    });
    // The other direction works while this one is stuck.
    client.write_all(b"still here").await.unwrap();
    let mut received = vec![0; sent.len()];
    soon("all of it", client.read_exact(&mut received))
        .await
        .unwrap();
    serving.await.unwrap();
    assert!(received == sent);
}

#[tokio::test]
async fn what_waits_for_a_slow_service_is_counted_until_it_is_taken() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    let client = gateway.raw().await;
    let (mut read, mut write) = client.into_split();
    let writer = tokio::spawn(async move {
        write.write_all(&pattern(40_000_000, 3)).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    gateway
        .until_that("twinpath_buffered_bytes", |held| held > 0.0)
        .await;
    let mut taken = Vec::new();
    soon("all of it", served.read_to_end(&mut taken))
        .await
        .unwrap();
    assert!(taken == pattern(40_000_000, 3));
    writer.await.unwrap();
    gateway.until("twinpath_buffered_bytes", 0.0).await;
    drop(served);
    assert_eq!(read.read(&mut [0]).await.unwrap(), 0);
}
