//! Sessions that begin in order and go on against the rules: each ends by itself, and leaves nothing behind.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Gateway, chat, echo, pattern, service, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use twinpath_gateway::Limits;

const DATA: u8 = 0x81;
const ACK: u8 = 0x82;
const SWITCH: u8 = 0x85;
const FIN: u8 = 0x86;
const RESET: u8 = 0x87;
const CREDIT: u8 = 0x88;
const GOAWAY: u8 = 0x09;
const PROOF: u8 = 0x8a;
/// The type of RESET, its length, and "the receiver of this broke the protocol".
const BROKEN: [u8; 6] = [RESET, 0, 0, 12, 0, 1];
/// What the recorded client says at first.
const EARLY: &[u8] = b"early";

fn frame(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind][..], &length[1..], &body].concat()
}

fn at(offset: u64) -> [u8; 8] {
    offset.to_be_bytes()
}

/// What the gateway answers with a RESET.
fn violations() -> Vec<(&'static str, Vec<u8>)> {
    let gaps = (0..300).flat_map(|n| frame(DATA, &[&at(10 + 2 * n), b"x"]));
    vec![
        ("a frame too long", vec![DATA, 0xff, 0xff, 0xff]),
        ("an offset too large", frame(DATA, &[&at(u64::MAX), b"x"])),
        ("data beyond the limit", frame(DATA, &[&at(1 << 40), b"x"])),
        (
            "an ACK of what was never sent",
            frame(ACK, &[&at(1 << 20), &at(1 << 20)]),
        ),
        ("an ACK too short", frame(ACK, &[b"abc"])),
        (
            "two ends",
            [frame(FIN, &[&at(50)]), frame(FIN, &[&at(60)])].concat(),
        ),
        (
            "data behind the end",
            [frame(FIN, &[&at(5)]), frame(DATA, &[&at(5), b"x"])].concat(),
        ),
        ("an end beyond the limit", frame(FIN, &[&at(1 << 40)])),
        ("a type that must be known", frame(0xff, &[])),
        (
            "a third path",
            frame(SWITCH, &[&[0, 0, 0, 1, 7, 0, 0, 0], &at(0), &at(1 << 20)]),
        ),
        ("too many gaps", gaps.collect()),
    ]
}

/// What is odd and not forbidden, or ends a leg or the session without an answer.
fn oddities() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "the last of all epochs",
            frame(
                SWITCH,
                &[&[0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0], &at(0), &at(1 << 20)],
            ),
        ),
        ("a proof nobody asked for", frame(PROOF, &[&[7; 32]])),
        (
            "a reset that claims too much",
            frame(RESET, &[&[0; 4], &at(u64::MAX)]),
        ),
        ("a client that goes away", frame(GOAWAY, &[&[0, 0, 0, 1]])),
        ("credit without end", frame(CREDIT, &[&at(u64::MAX)])),
        ("a limit without end", frame(ACK, &[&at(0), &at(u64::MAX)])),
    ]
}

/// What a client says first.
async fn recorded_hello() -> Vec<u8> {
    let listener = TcpListener::bind(common::loopback()).await.unwrap();
    let mut client = common::session(listener.local_addr().unwrap()).await;
    client.write_all(EARLY).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut hello = Vec::new();
    soon("the hello", async {
        while !hello.windows(EARLY.len()).any(|words| words == EARLY) {
            assert!(stream.read_buf(&mut hello).await.unwrap() > 0);
        }
    })
    .await;
    client.abort();
    hello
}

/// The same of another client, which is forgotten a second after its last leg.
fn another(hello: &[u8], number: u64) -> Vec<u8> {
    let mut hello = hello.to_vec();
    // Behind magic and header: the key and the retry hash, then flags and window, then the time to live.
    hello[12..76].copy_from_slice(&pattern(64, 2 * number));
    hello[84..88].copy_from_slice(&1_u32.to_be_bytes());
    hello
}

/// Says `bytes` in a session that has begun, and gives what comes back up to the end.
async fn say(gateway: &Gateway, hello: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut stream = gateway.raw().await;
    stream.write_all(hello).await.unwrap();
    let mut answer = Vec::new();
    // The echo: this is the middle of a session.
    soon("the echo", async {
        while !answer.windows(EARLY.len()).any(|words| words == EARLY) {
            assert!(
                stream.read_buf(&mut answer).await.unwrap() > 0,
                "{answer:?}"
            );
        }
    })
    .await;
    answer.clear();
    // The gateway may be gone before everything is sent.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let _ = soon("the end", stream.read_to_end(&mut answer)).await;
    answer
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[tokio::test]
async fn violations_in_the_middle_of_a_session_end_it_and_harm_no_other() {
    /// Rounds that pay for what is made once, and rounds in which nothing may grow.
    const ROUNDS: [u64; 2] = [40, 30];
    let mut limits = Limits::default();
    limits.per_address = 10_000;
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits));
    let mut bystander = gateway.session().await;
    chat(&mut bystander, "hello").await;
    let hello = recorded_hello().await;
    let (mut number, mut resident) = (0, 0);
    for rounds in ROUNDS {
        resident = resident_kib();
        for _ in 0..rounds {
            for (what, bytes) in violations() {
                number += 1;
                let answer = say(&gateway, &another(&hello, number), &bytes).await;
                let told = answer.windows(BROKEN.len()).any(|bytes| bytes == BROKEN);
                assert!(told, "{what}: {answer:02x?}");
                chat(&mut bystander, "unharmed").await;
            }
            for (_, bytes) in oddities() {
                number += 1;
                say(&gateway, &another(&hello, number), &bytes).await;
                chat(&mut bystander, "unharmed").await;
            }
        }
        gateway.until("twinpath_sessions_open", 1.0).await;
        gateway.until("twinpath_buffered_bytes", 0.0).await;
        gateway
            .until("twinpath_legs_open{role=\"primary\"}", 1.0)
            .await;
    }
    assert_eq!(
        gateway.sample("twinpath_sessions_total").await,
        number as f64 + 1.0
    );
    let grown = resident_kib().saturating_sub(resident);
    // Five hundred sessions that stayed would be more than twice as much.
    assert!(grown < 3000, "{grown} KiB more");
}
