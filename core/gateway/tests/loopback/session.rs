//! Sessions are carried to the service and back, whatever happens to their legs.

use crate::common::{
    Gateway, echo, hash, held_service, is_reset, pattern, service, session_error, session_with,
    soon,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use twinpath_gateway::{Connection, KeyFile, ProxyProtocol};
use twinpath_proto::{ClientConfig, ResetCode, Role, SessionError, Standby};

#[tokio::test]
async fn a_word_comes_back() {
    let gateway = Gateway::before(service(echo).await);
    let mut client = gateway.session().await;
    client.write_all(b"word").await.unwrap();
    let mut back = [0; 4];
    soon("the echo", client.read_exact(&mut back))
        .await
        .unwrap();
    assert_eq!(&back, b"word");
    soon("the end", client.close()).await;
    gateway
        .until("twinpath_sessions_ended_total{end=\"finished\"}", 1.0)
        .await;
    assert_eq!(gateway.sample("twinpath_sessions_open").await, 0.0);
    assert_eq!(
        gateway
            .sample("twinpath_hellos_total{result=\"accepted\"}")
            .await,
        1.0
    );
    assert_eq!(
        gateway
            .sample("twinpath_stream_bytes_total{direction=\"from_client\"}")
            .await,
        4.0
    );
    assert!(
        gateway
            .sample("twinpath_leg_bytes_total{role=\"primary\",direction=\"to_client\"}")
            .await
            > 4.0
    );
}

async fn exchange(client: Connection, sent: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = client.into_split();
    let mut received = Vec::new();
    let (written, ended) = tokio::join!(
        async {
            write.write_all(sent).await?;
            write.finish();
            std::io::Result::Ok(())
        },
        read.read_to_end(&mut received)
    );
    written.unwrap();
    ended.unwrap();
    received
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_megabytes_arrive_whole_in_both_directions() {
    let gateway = Gateway::before(service(echo).await);
    let sent = pattern(20_000_000, 11);
    let received = soon("the exchange", exchange(gateway.session().await, &sent)).await;
    assert_eq!(hash(&received), hash(&sent));
}

#[tokio::test]
async fn a_half_close_leaves_the_other_direction_open() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    let (mut read, mut write) = gateway.session().await.into_split();
    write.write_all(b"question").await.unwrap();
    write.finish();
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    let mut question = String::new();
    soon("the question", served.read_to_string(&mut question))
        .await
        .unwrap();
    assert_eq!(question, "question");
    served.write_all(b"answer").await.unwrap();
    served.shutdown().await.unwrap();
    let mut answer = String::new();
    soon("the answer", read.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn the_service_may_finish_first() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    let (mut read, mut write) = gateway.session().await.into_split();
    write.write_all(b"x").await.unwrap();
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    served.write_all(b"bye").await.unwrap();
    served.shutdown().await.unwrap();
    let mut heard = String::new();
    soon("the end", read.read_to_string(&mut heard))
        .await
        .unwrap();
    assert_eq!(heard, "bye");
    write.write_all(b"yz").await.unwrap();
    write.finish();
    let mut rest = String::new();
    soon("the rest", served.read_to_string(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, "xyz");
    gateway
        .until("twinpath_sessions_ended_total{end=\"finished\"}", 1.0)
        .await;
}

#[tokio::test]
async fn a_reset_of_the_service_reaches_the_client_behind_its_last_words() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    let mut client = gateway.session().await;
    client.write_all(b"x").await.unwrap();
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    served.read_u8().await.unwrap();
    served.write_all(b"last words").await.unwrap();
    let mut words = [0; 10];
    soon("the words", client.read_exact(&mut words))
        .await
        .unwrap();
    twinpath_socket::abort(served);
    let error = soon("the reset", client.read_u8()).await.unwrap_err();
    let SessionError::Reset { code, .. } = session_error(&error) else {
        panic!("{error}")
    };
    assert_eq!(*code, ResetCode::UpstreamReset);
    gateway
        .until("twinpath_sessions_ended_total{end=\"upstream_reset\"}", 1.0)
        .await;
}

#[tokio::test]
async fn a_reset_tells_what_the_service_has_got_and_no_more() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    let client = gateway.session().await;
    let (mut read, mut write) = client.into_split();
    // Nobody reads it: buffers of two sockets and of the gateway fill up, and a chunk waits to be written.
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&pattern(64_000_000, 3)).await;
        write
    });
    let _served = soon("the connection", connections.recv()).await.unwrap();
    let from_client = "twinpath_stream_bytes_total{direction=\"from_client\"}";
    let mut read_by_gateway = 0.0;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let bytes = gateway.sample(from_client).await;
        if bytes > 0.0 && bytes == read_by_gateway {
            break;
        }
        read_by_gateway = bytes;
    }
    gateway.shutdown.stop();
    let error = soon("the reset", read.read_u8()).await.unwrap_err();
    let SessionError::Reset {
        delivered: Some(delivered),
        ..
    } = session_error(&error)
    else {
        panic!("{error}")
    };
    writing.abort();
    let waited = read_by_gateway as u64 - delivered;
    assert!((1..=64 * 1024).contains(&waited), "{waited}");
}

#[tokio::test]
async fn a_reset_of_the_client_reaches_the_service() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::before(address);
    let mut client = gateway.session().await;
    client.write_all(b"x").await.unwrap();
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    assert_eq!(served.read_u8().await.unwrap(), b'x');
    client.abort();
    let error = soon("the reset", crate::common::broken(&served)).await;
    assert!(is_reset(&error), "{error}");
    gateway
        .until("twinpath_sessions_ended_total{end=\"client_reset\"}", 1.0)
        .await;
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told() {
    let address = tokio::net::TcpListener::bind(crate::common::loopback())
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let gateway = Gateway::before(address);
    let mut client = gateway.session().await;
    client.write_all(b"x").await.unwrap();
    let error = soon("the reset", client.read_u8()).await.unwrap_err();
    let SessionError::Reset { code, .. } = session_error(&error) else {
        panic!("{error}")
    };
    assert_eq!(*code, ResetCode::UpstreamUnreachable);
    gateway
        .until(
            "twinpath_sessions_ended_total{end=\"upstream_unreachable\"}",
            1.0,
        )
        .await;
}

#[tokio::test]
async fn the_service_learns_who_the_client_is() {
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::with(address, |builder| builder.proxy_protocol(ProxyProtocol::V2));
    let mut client = gateway.session().await;
    client.write_all(b"after").await.unwrap();
    let mut served = soon("the connection", connections.recv()).await.unwrap();
    let mut header = [0; 33];
    soon("the header", served.read_exact(&mut header))
        .await
        .unwrap();
    let source =
        std::net::SocketAddr::from(([127, 0, 0, 1], u16::from_be_bytes([header[24], header[25]])));
    assert_eq!(
        header[..28],
        ProxyProtocol::V2.header(source, gateway.address)
    );
    assert_ne!(source.port(), 0);
    assert_eq!(&header[28..], b"after");
}

#[tokio::test]
async fn a_warm_backup_joins_and_is_counted() {
    let gateway = Gateway::before(service(echo).await);
    let config = ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    };
    let mut client = session_with(gateway.address, config, &Role::ALL).await;
    client.write_all(b"word").await.unwrap();
    let mut back = [0; 4];
    soon("the echo", client.read_exact(&mut back))
        .await
        .unwrap();
    gateway
        .until("twinpath_joins_total{result=\"ok\"}", 1.0)
        .await;
    gateway
        .until("twinpath_legs_open{role=\"backup\"}", 1.0)
        .await;
    assert_eq!(
        gateway.sample("twinpath_legs_open{role=\"primary\"}").await,
        1.0
    );
}

#[tokio::test]
async fn a_pinned_key_is_proven() {
    let folder = tempfile::tempdir().unwrap();
    let file = KeyFile::open(folder.path().join("key")).unwrap();
    let gateway = Gateway::with(service(echo).await, |builder| builder.key(file.key.clone()));
    let pinned = |pin| ClientConfig {
        pin: Some(pin),
        ..ClientConfig::default()
    };
    let mut client = session_with(gateway.address, pinned(file.public().0), &[Role::Primary]).await;
    client.write_all(b"word").await.unwrap();
    let mut back = [0; 4];
    soon("the echo", client.read_exact(&mut back))
        .await
        .unwrap();

    let client = session_with(gateway.address, pinned([9; 32]), &[Role::Primary]).await;
    let error = soon("the refusal", client.established()).await.unwrap_err();
    assert!(
        matches!(session_error(&error), SessionError::PinMismatch),
        "{error}"
    );
}
