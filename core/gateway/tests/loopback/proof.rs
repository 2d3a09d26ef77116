//! Clients that do not prove themselves hold nothing for long, and silence is no lack of proof.

use std::time::Duration;

use crate::common::{Gateway, chat, echo, raw_hello, service, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use twinpath_gateway::Limits;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.per_address = 2;
    limits.handshake = Duration::from_secs(2);
    limits
}

#[tokio::test]
async fn a_client_that_never_answers_gives_its_slot_back_soon() {
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits()));
    // One stays and says nothing, one has gone; both would have a minute to come back.
    let mut silent = gateway.raw().await;
    silent.write_all(&raw_hello(1)).await.unwrap();
    let mut gone = gateway.raw().await;
    gone.write_all(&raw_hello(2)).await.unwrap();
    soon("WELCOME", gone.read_u8()).await.unwrap();
    drop(gone);
    gateway
        .until("twinpath_sessions_ended_total{end=\"unproven\"}", 2.0)
        .await;
    gateway.until("twinpath_sessions_open", 0.0).await;
    chat(&mut gateway.session().await, "welcome").await;
}

#[tokio::test]
async fn a_client_that_waits_in_silence_is_asked_and_stays() {
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits()));
    let mut quiet = gateway.session().await;
    let mut silent = gateway.raw().await;
    silent.write_all(&raw_hello(1)).await.unwrap();
    gateway
        .until("twinpath_sessions_ended_total{end=\"unproven\"}", 1.0)
        .await;
    chat(&mut quiet, "still there").await;
}
