//! Memory is short: those who take it have to go, and nobody else notices.

use crate::common::{Gateway, LONG, chat, echo, raw_data, raw_hello, service, session_error, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twinpath_gateway::Limits;
use twinpath_proto::{Refusal, SessionError};

const BUFFERS: u64 = 4 << 20;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.buffers = BUFFERS;
    limits
}

/// Sends without end to clients that ask for it, and echoes to others.
async fn pour_or_echo(mut stream: TcpStream) {
    if stream.peek(&mut [0]).await.is_ok_and(|n| n == 1) {
        let mut first = [0];
        let _ = stream.peek(&mut first).await;
        if first == *b"!" {
            let block = vec![7; 65536];
            while stream.write_all(&block).await.is_ok() {}
            return;
        }
    }
    echo(stream).await;
}

/// A session whose client asks for everything and acknowledges nothing.
async fn greedy(gateway: &Gateway, number: u32) -> TcpStream {
    let mut stream = gateway.raw().await;
    let mut bytes = raw_hello(number);
    bytes.extend(raw_data(0, b"!"));
    stream.write_all(&bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn those_who_fill_the_memory_go_and_the_others_do_not_wait() {
    let address = service(pour_or_echo).await;
    let gateway = Gateway::with(address, |builder| builder.limits(limits()));
    let mut good = gateway.session().await;
    chat(&mut good, "hello").await;
    let mut held = Vec::new();
    for number in 0..40 {
        held.push(greedy(&gateway, number).await);
    }
    gateway
        .until_that("twinpath_caps_hit_total{cap=\"buffers\"}", |hits| {
            hits >= 1.0
        })
        .await;
    chat(&mut good, "still there").await;
    gateway
        .until_that("twinpath_sessions_ended_total{end=\"limit\"}", |ended| {
            ended >= 1.0
        })
        .await;
    gateway
        .until_that("twinpath_buffered_bytes", |held| held < BUFFERS as f64)
        .await;
    chat(&mut good, "and now").await;
}

#[tokio::test]
async fn a_session_that_holds_little_is_served_while_the_memory_is_full() {
    let address = service(pour_or_echo).await;
    let gateway = Gateway::with(address, |builder| builder.limits(limits()));
    let mut good = gateway.session().await;
    chat(&mut good, "hello").await;
    // The flood goes on, so that the memory fills again as soon as somebody has gone.
    let flood = async {
        let mut held = Vec::new();
        for number in 0.. {
            held.push(greedy(&gateway, number).await);
            if held.len() > 100 {
                held.remove(0);
            }
        }
    };
    let talk = async {
        gateway
            .until_that("twinpath_buffered_bytes", |held| held >= BUFFERS as f64)
            .await;
        let began = tokio::time::Instant::now();
        for _ in 0..20 {
            chat(&mut good, "still there").await;
        }
        assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
    };
    tokio::select! {
        () = flood => {}
        () = talk => {}
    }
}

/// The window that WELCOME promises.
async fn promised(stream: &mut TcpStream) -> u32 {
    let mut welcome = [0; 64];
    soon("WELCOME", stream.read_exact(&mut welcome))
        .await
        .unwrap();
    assert_eq!(&welcome[..9], b"\xf5TWING\r\n\x81");
    u32::from_be_bytes(welcome[60..].try_into().unwrap())
}

#[tokio::test]
async fn no_more_is_promised_than_there_is() {
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits()));
    let mut held = Vec::new();
    let mut sum = 0;
    for number in 0..128 {
        let mut stream = gateway.raw().await;
        stream.write_all(&raw_hello(number)).await.unwrap();
        let window = promised(&mut stream).await;
        assert_eq!(
            window,
            if number < 8 { 262_144 } else { 16_384 },
            "{number}"
        );
        sum += u64::from(window);
        held.push(stream);
    }
    assert!(sum <= BUFFERS, "{sum}");
    let mut refused = gateway.session().await;
    let error = soon("the refusal", refused.read_u8()).await.unwrap_err();
    assert_eq!(session_error(&error), &SessionError::Refused(Refusal::Busy));
}
