//! Every bound holds, and whoever runs into one leaves the others alone.

use std::time::Duration;

use crate::common::{
    Gateway, chat, echo, held_service, held_session, is_reset, service, session_error, soon,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use twinpath_gateway::Limits;
use twinpath_proto::{ClientConfig, Refusal, ResetCode, Role, SessionError, Standby};

fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}

#[tokio::test]
async fn a_silent_client_ends_at_the_handshake_limit() {
    let limits = limits(|limits| limits.handshake = Duration::from_millis(50));
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits));
    let mut silent = gateway.raw().await;
    assert_eq!(soon("the end", silent.read(&mut [0; 8])).await.unwrap(), 0);
    // So does one that begins like a session and then says no more.
    let mut stuck = gateway.raw().await;
    stuck.write_all(b"\xf5TWI").await.unwrap();
    let ended = soon("the end", stuck.read(&mut [0; 8])).await;
    assert!(ended.is_ok_and(|n| n == 0));
    assert_eq!(
        gateway
            .sample("twinpath_handshakes_failed_total{reason=\"timed_out\"}")
            .await,
        2.0
    );
}

#[tokio::test]
async fn one_address_holds_no_more_than_its_slots_and_joins_need_none() {
    let limits = limits(|limits| limits.per_address = 2);
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits));
    let config = ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    };
    let (mut session, handle) = held_session(gateway.address, config, &[Role::Primary]).await;
    chat(&mut session, "hello").await;

    let mut one = gateway.raw().await;
    chat(&mut one, "one").await;
    // The session's slot comes back once its client has proven itself; then there is one more.
    let mut two = loop {
        let mut two = gateway.raw().await;
        two.write_all(b"2").await.unwrap();
        match soon("an answer", two.read_u8()).await {
            Ok(_) => break two,
            Err(error) => assert!(is_reset(&error), "{error}"),
        }
    };
    let mut three = gateway.raw().await;
    three.write_all(b"3").await.unwrap();
    let error = soon("the refusal", three.read_u8()).await.unwrap_err();
    assert!(is_reset(&error), "{error}");
    assert!(
        gateway
            .sample("twinpath_caps_hit_total{cap=\"address\"}")
            .await
            >= 1.0
    );

    let mut refused = gateway.session().await;
    let error = soon("the refusal", refused.read_u8()).await.unwrap_err();
    assert_eq!(session_error(&error), &SessionError::Refused(Refusal::Busy));

    handle.with_session(|session, now| session.path_available(Role::Backup, true, now));
    gateway
        .until("twinpath_joins_total{result=\"ok\"}", 1.0)
        .await;
    chat(&mut session, "joined").await;
    chat(&mut one, "one").await;
    chat(&mut two, "two").await;

    drop(one);
    gateway.until("twinpath_raw_open", 1.0).await;
    let mut four = gateway.raw().await;
    chat(&mut four, "four").await;
}

#[tokio::test]
async fn no_more_sessions_than_allowed() {
    let limits = limits(|limits| limits.sessions = 1);
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits));
    let mut first = gateway.session().await;
    chat(&mut first, "first").await;
    let mut second = gateway.session().await;
    let error = soon("the refusal", second.read_u8()).await.unwrap_err();
    assert_eq!(session_error(&error), &SessionError::Refused(Refusal::Busy));
    assert_eq!(
        gateway
            .sample("twinpath_hellos_total{result=\"busy\"}")
            .await,
        1.0
    );
    soon("the end", first.close()).await;
    gateway.until("twinpath_sessions_open", 0.0).await;
    chat(&mut gateway.session().await, "third").await;
}

#[tokio::test]
async fn no_more_raw_connections_than_allowed() {
    let limits = limits(|limits| limits.raw = 1);
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits));
    let mut first = gateway.raw().await;
    chat(&mut first, "first").await;
    let mut second = gateway.raw().await;
    second.write_all(b"x").await.unwrap();
    let error = soon("the refusal", second.read_u8()).await.unwrap_err();
    assert!(is_reset(&error), "{error}");
    assert_eq!(
        gateway
            .sample("twinpath_raw_ended_total{end=\"refused\"}")
            .await,
        1.0
    );
    chat(&mut first, "still").await;
}

#[tokio::test]
async fn sessions_are_refused_while_buffers_are_full() {
    let limits = limits(|limits| limits.buffers = 64 * 1024);
    let (address, mut connections) = held_service().await;
    let gateway = Gateway::with(address, |builder| builder.limits(limits));
    // One that holds too much for long has to go: whoever comes too late for the refusal tries again.
    loop {
        let mut greedy = gateway.session().await;
        greedy.write_all(b"x").await.unwrap();
        let served = soon("the connection", connections.recv()).await.unwrap();
        // The service does not read: what the sockets do not take stays in the session.
        let writer = tokio::spawn(async move {
            greedy
                .write_all(&crate::common::pattern(20_000_000, 1))
                .await
                .unwrap_err()
        });
        gateway
            .until_that("twinpath_buffered_bytes", |held| held >= 65536.0)
            .await;
        let mut late = gateway.session().await;
        late.write_all(b"y").await.unwrap();
        let refused = tokio::select! {
            error = late.read_u8() => {
                let error = error.unwrap_err();
                assert_eq!(session_error(&error), &SessionError::Refused(Refusal::Busy));
                true
            }
            _ = connections.recv() => false,
        };
        let error = soon("the end", writer).await.unwrap();
        let SessionError::Reset { code, .. } = session_error(&error) else {
            panic!("{error}")
        };
        assert_eq!(*code, ResetCode::LimitReached);
        drop(served);
        if refused {
            break;
        }
    }
    assert!(
        gateway
            .sample("twinpath_caps_hit_total{cap=\"buffers\"}")
            .await
            >= 1.0
    );
    gateway
        .until_that("twinpath_buffered_bytes", |held| held < 65536.0)
        .await;
    let mut welcome = gateway.session().await;
    welcome.write_all(b"y").await.unwrap();
    let mut other = soon("the connection", connections.recv()).await.unwrap();
    assert_eq!(other.read_u8().await.unwrap(), b'y');
}

#[tokio::test]
async fn a_session_that_is_silent_for_too_long_ends() {
    let limits = limits(|limits| limits.idle = Duration::from_millis(500));
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits));
    let mut client = gateway.session().await;
    chat(&mut client, "hello").await;
    let error = soon("the end", client.read_u8()).await.unwrap_err();
    let SessionError::Reset { code, .. } = session_error(&error) else {
        panic!("{error}")
    };
    assert_eq!(*code, ResetCode::LimitReached);
    gateway
        .until("twinpath_sessions_ended_total{end=\"limit\"}", 1.0)
        .await;
}

#[cfg(unix)]
#[tokio::test]
async fn descriptors_that_are_short_are_kept_for_joins() {
    let config = ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    };
    let service = service(echo).await;
    let roomy = Gateway::before(service);
    // The number of a new descriptor tells how many are taken; here all numbers are beyond the bound.
    let short = limits(|limits| limits.descriptors = 4);
    let short = Gateway::with(service, |builder| builder.limits(short));
    let mut refused = short.session().await;
    let error = soon("the refusal", refused.read_u8()).await.unwrap_err();
    assert_eq!(session_error(&error), &SessionError::Refused(Refusal::Busy));
    let mut raw = short.raw().await;
    raw.write_all(b"x").await.unwrap();
    let error = soon("the refusal", raw.read_u8()).await.unwrap_err();
    assert!(is_reset(&error), "{error}");
    // What comes as a join is looked at: this one belongs to a session of the other gateway.
    let (mut session, handle) = held_session(roomy.address, config, &[Role::Primary]).await;
    chat(&mut session, "hello").await;
    crate::common::redirect(short.address);
    handle.with_session(|session, now| session.path_available(Role::Backup, true, now));
    short
        .until_that(
            "twinpath_joins_total{result=\"unknown_session\"}",
            |joins| joins >= 1.0,
        )
        .await;
}

#[tokio::test]
async fn silent_connections_of_one_address_do_not_keep_joins_out() {
    let limits = limits(|limits| limits.per_address = 1);
    let gateway = Gateway::with(service(echo).await, |builder| builder.limits(limits));
    let config = ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    };
    let (mut session, handle) = held_session(gateway.address, config, &[Role::Primary]).await;
    chat(&mut session, "hello").await;
    let mut silent = Vec::new();
    while silent.len() < 200 {
        silent.push(gateway.raw().await);
    }
    gateway
        .until_that("twinpath_caps_hit_total{cap=\"handshakes\"}", |hits| {
            hits >= 1.0
        })
        .await;
    // The oldest went, one in one out; nobody was refused at the door.
    let ended = soon("the end", silent[1].read(&mut [0; 8])).await;
    assert!(ended.is_ok_and(|n| n == 0));
    handle.with_session(|session, now| session.path_available(Role::Backup, true, now));
    gateway
        .until("twinpath_joins_total{result=\"ok\"}", 1.0)
        .await;
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let forwarder =
        || twinpath_gateway::Forwarder::builder(crate::common::loopback(), "127.0.0.1:1");
    assert!(
        forwarder()
            .limits(limits(|limits| limits.sessions = 0))
            .build()
            .is_err()
    );
    assert!(
        forwarder()
            .limits(limits(|limits| limits.handshake = Duration::ZERO))
            .build()
            .is_err()
    );
    assert!(
        forwarder()
            .limits(limits(|limits| limits.buffers = 65535))
            .build()
            .is_err()
    );
    for window in [0, 16 * 1024 - 1, 16 * 1024 * 1024 + 1] {
        assert!(forwarder().window(window).build().is_err(), "{window}");
    }
    assert!(forwarder().join_address("", 1).build().is_err());
    assert!(
        forwarder()
            .join_address("gateway.example", 0)
            .build()
            .is_err()
    );
    let nine = (0..9).fold(forwarder(), |builder, n| {
        builder.join_address("gateway.example", 7000 + n)
    });
    assert!(nine.build().is_err());
    let error = twinpath_gateway::Forwarder::builder(crate::common::loopback(), "nowhere")
        .build()
        .unwrap_err();
    assert_eq!(error.to_string(), "to is not HOST:PORT");
}
