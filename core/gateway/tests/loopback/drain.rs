//! Ending: gently, in time, and at once.

use std::time::Duration;

use crate::common::{Gateway, chat, echo, held_session, is_reset, service, session_error, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use twinpath::{Event, EventKind};
use twinpath_proto::{ClientConfig, Refusal, ResetCode, Role, SessionError, Standby};

#[tokio::test]
async fn an_empty_gateway_ends_at_once() {
    let gateway = Gateway::before(service(echo).await);
    gateway.shutdown.drain();
    let report = gateway.end().await;
    assert!(report.clean);
    assert!(report.drained_for < Duration::from_secs(5));
}

#[tokio::test]
async fn while_draining_nothing_new_is_taken_but_joins_are() {
    let gateway = Gateway::before(service(echo).await);
    let config = ClientConfig {
        standby: Standby::Warm,
        ..ClientConfig::default()
    };
    let (mut session, handle) = held_session(gateway.address, config, &[Role::Primary]).await;
    let mut events = session.events();
    chat(&mut session, "before").await;
    let mut raw = gateway.raw().await;
    chat(&mut raw, "before").await;
    assert_eq!(
        crate::common::http(gateway.page, "/healthz").await.0,
        "HTTP/1.1 200 OK"
    );

    gateway.shutdown.advance();
    soon("the announcement", async {
        loop {
            let event: Event = events.next().await.unwrap();
            if event.kind() == EventKind::GoingAway {
                break;
            }
        }
    })
    .await;
    assert_eq!(
        crate::common::http(gateway.page, "/healthz").await.0,
        "HTTP/1.1 503 Service Unavailable"
    );
    assert_eq!(gateway.sample("twinpath_draining").await, 1.0);

    let mut refused = gateway.session().await;
    let error = soon("the refusal", refused.read_u8()).await.unwrap_err();
    assert_eq!(
        session_error(&error),
        &SessionError::Refused(Refusal::GoingAway)
    );
    let mut late = gateway.raw().await;
    late.write_all(b"x").await.unwrap();
    let error = soon("the refusal", late.read_u8()).await.unwrap_err();
    assert!(is_reset(&error), "{error}");

    handle.with_session(|session, now| session.path_available(Role::Backup, true, now));
    gateway
        .until("twinpath_joins_total{result=\"ok\"}", 1.0)
        .await;
    chat(&mut session, "after").await;
    chat(&mut raw, "after").await;

    assert!(!gateway.task.is_finished());
    soon("the end", session.close()).await;
    drop(raw);
    let report = gateway.end().await;
    assert!(report.clean, "{report:?}");
}

#[tokio::test]
async fn whoever_outlives_the_drain_is_cut_off() {
    let gateway = Gateway::with(service(echo).await, |builder| {
        builder.drain_timeout(Duration::from_millis(100))
    });
    let mut session = gateway.session().await;
    chat(&mut session, "before").await;
    let mut raw = gateway.raw().await;
    chat(&mut raw, "before").await;
    gateway.shutdown.drain();
    let error = soon("the reset", session.read_u8()).await.unwrap_err();
    let SessionError::Reset { code, .. } = session_error(&error) else {
        panic!("{error}")
    };
    assert_eq!(*code, ResetCode::GoingAway);
    let error = soon("the reset", raw.read_u8()).await.unwrap_err();
    assert!(is_reset(&error), "{error}");
    let report = gateway.end().await;
    assert!(!report.clean);
    assert_eq!((report.sessions_cut, report.raw_cut), (1, 1));
    assert!(report.drained_for >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let gateway = Gateway::with(service(echo).await, |builder| {
        builder.drain_timeout(Duration::from_secs(3600))
    });
    let mut session = gateway.session().await;
    chat(&mut session, "before").await;
    gateway.shutdown.advance();
    chat(&mut session, "during").await;
    gateway.shutdown.advance();
    let error = soon("the reset", session.read_u8()).await.unwrap_err();
    assert!(matches!(
        session_error(&error),
        SessionError::Reset {
            code: ResetCode::GoingAway,
            ..
        }
    ));
    assert_eq!(gateway.end().await.sessions_cut, 1);
}

#[tokio::test]
async fn a_silent_client_does_not_delay_the_end() {
    let gateway = Gateway::before(service(echo).await);
    let _silent = gateway.raw().await;
    // A connection that came later has been served: the silent one is being waited for.
    chat(&mut gateway.raw().await, "word").await;
    let began = std::time::Instant::now();
    gateway.shutdown.advance();
    gateway.shutdown.advance();
    gateway.end().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}
