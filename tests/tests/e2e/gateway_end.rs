//! The gateway's end: a restart, and a drain.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath::{ErrorKind, Event, EventKind, SessionError};
use twinpath_lab::Direction;
use twinpath_tests::{Hash, Pattern, Scene, Service, Tally, ms, soon};

#[test]
fn a_restarted_gateway_is_told_at_once() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut client = scene.connect().await;
        client.chat("before").await;
        drop(scene.take_gateway());
        scene.start_gateway();
        let began = Instant::now();
        client.connection.write_all(b"after").await.unwrap();
        let error = soon("the error", client.connection.read_u8()).await;
        let error = error.unwrap_err();
        assert!(began.elapsed() < ms(1500), "{:?}", began.elapsed());
        let inner = error.get_ref().and_then(|it| it.downcast_ref());
        let Some(SessionError::SessionLost { sent, acknowledged }) = inner else {
            panic!("{error:?}: {:?}", client.tale)
        };
        assert_eq!((*sent, *acknowledged), (11, 6));
        assert_eq!(ErrorKind::of_io(&error), ErrorKind::Interrupted);
        // The next connection is served.
        let mut next = scene.connect().await;
        next.chat("again").await;
        next.close().await;
    });
}

#[test]
fn a_draining_gateway_takes_joins_and_nothing_new_and_ends_with_the_last_session() {
    const SIZE: u64 = 4_000_000;
    Scene::before(Service::Source(SIZE)).play(async |scene| {
        let mut client = scene.connect_cold().await;
        client.connection.write_all(b"!").await.unwrap();
        let mut tally = Tally::default();
        soon("a part", tally.read_to(SIZE / 4, &mut client.connection))
            .await
            .unwrap();
        let gateway = scene.take_gateway();
        gateway.shutdown.drain();
        client.tale.until_kind(EventKind::GoingAway).await;

        let refused = scene.connect_with(scene.connector()).await;
        let error = soon("the refusal", refused.connection.established()).await;
        let error = error.unwrap_err();
        assert_eq!(ErrorKind::of_io(&error), ErrorKind::GatewayRefused, "{error}");

        let before = scene.wifi().counters();
        scene.wifi().blackhole(Direction::Both);
        soon("the rest", tally.read_to_end(&mut client.connection))
            .await
            .unwrap();
        scene.wifi().assert_dropped_since(&before);
        assert_eq!(Some(tally.hash()), scene.book.visit().await.sent);
        let joined = |event: &Event| matches!(event, Event::LegUp { path } if path.interface.as_deref() == Some("wwan0"));
        client.tale.until("the join", joined).await;
        client.close().await;
        let report = gateway.ended().await;
        assert!(report.clean, "{report:?}");
        assert_eq!(report.sessions_cut, 0);
    });
}

#[test]
fn a_gateway_that_drains_for_too_long_cuts_off_and_says_why() {
    let short = Scene::before(Service::Echo).gateway(|it| it.drain_timeout(ms(500)));
    short.play(async |scene| {
        let mut client = scene.connect().await;
        client.chat("before").await;
        let gateway = scene.take_gateway();
        gateway.shutdown.drain();
        let error = soon("the reset", client.connection.read_u8()).await;
        let error = error.unwrap_err();
        assert_eq!(ErrorKind::of_io(&error), ErrorKind::Reset, "{error}");
        assert!(error.to_string().contains("going away"), "{error}");
        let report = gateway.ended().await;
        assert_eq!((report.clean, report.sessions_cut), (false, 1));
    });
}

#[test]
fn what_was_written_before_the_end_arrives_although_wifi_dies_at_the_last_byte() {
    Scene::before(Service::Sink).play(async |scene| {
        let mut client = scene.connect().await;
        let bytes = Pattern::new(2).take(300_000);
        client.connection.write_all(&bytes).await.unwrap();
        let before = scene.wifi().counters();
        scene.wifi().blackhole(Direction::Both);
        let began = Instant::now();
        client.close().await;
        assert!(began.elapsed() < ms(2500), "{:?}", began.elapsed());
        let visit = scene.book.visit().await;
        assert_eq!((visit.bytes, visit.received), (300_000, Hash::of(&bytes)));
        scene.wifi().assert_dropped_since(&before);
    });
}
