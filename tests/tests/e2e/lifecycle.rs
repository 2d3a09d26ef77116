//! Apps that go to the background and come back.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;
use twinpath::{ErrorKind, Mode, Standby};
use twinpath_lab::End;
use twinpath_tests::{Client, Scene, Service, Twinpath, ms, soon};

const LEGS: [&str; 2] = [
    "twinpath_legs_open{role=\"primary\"}",
    "twinpath_legs_open{role=\"backup\"}",
];

#[test]
fn a_suspended_connection_uses_no_path_and_goes_on_when_it_is_resumed() {
    Scene::before(Service::Echo).play(async |scene| {
        for standby in [Standby::Cold, Standby::Warm] {
            let connector = scene.connector().standby(standby).build().unwrap();
            let address = scene.address().to_string();
            let connection = soon("the connect", connector.connect(&address)).await;
            let mut client = Client::new(connection.unwrap());
            client.chat("before").await;
            if standby == Standby::Warm {
                client.tale.until_warm().await;
            }
            connector.suspend();
            for leg in LEGS {
                scene.until(leg, 0.0).await;
            }
            // What is written waits, and nothing is sent for it.
            let before = [scene.wifi().counters(), scene.cellular().counters()];
            client.connection.write_all(b"meanwhile").await.unwrap();
            sleep(ms(1500)).await;
            scene.wifi().assert_payload_since(&before[0], 0);
            scene.cellular().assert_payload_since(&before[1], 0);
            assert_eq!(client.connection.unacknowledged(), 9);
            let resumed = Instant::now();
            connector.resume().unwrap();
            let mut echo = [0; 9];
            let reading = client.connection.read_exact(&mut echo);
            soon("the echo", reading).await.unwrap();
            assert_eq!(&echo, b"meanwhile");
            // A handshake and a JOIN, with the data behind it.
            assert!(resumed.elapsed() < ms(150), "{:?}", resumed.elapsed());
            client.chat("after").await;
            assert_eq!(client.connection.mode(), Mode::Emulated);
            if standby == Standby::Cold {
                scene.cellular().assert_payload_since(&before[1], 0);
            }
            client.close().await;
        }
        let sessions = scene.sample("twinpath_sessions_total").await;
        assert_eq!(sessions, 2.0);
    });
}

#[test]
fn one_that_is_suspended_while_it_is_made_uses_no_path_either() {
    Scene::before(Service::Echo).play(async |scene| {
        // Before the gateway's answer, while the backup is dialled, and when it has just joined.
        for delay in [0, 15, 30, 60, 90, 130] {
            let connector = scene.connector().standby(Standby::Warm).build().unwrap();
            let address = scene.address().to_string();
            let connection = soon("the connect", connector.connect(&address)).await;
            let mut client = Client::new(connection.unwrap());
            client.connection.write_all(b"early").await.unwrap();
            sleep(ms(delay)).await;
            connector.suspend();
            // What was on its way then.
            sleep(ms(400)).await;
            for leg in LEGS {
                scene.until(leg, 0.0).await;
            }
            let before = [scene.wifi().counters(), scene.cellular().counters()];
            sleep(ms(700)).await;
            scene.wifi().assert_payload_since(&before[0], 0);
            scene.cellular().assert_payload_since(&before[1], 0);
            connector.resume().unwrap();
            let mut echo = [0; 5];
            let reading = client.connection.read_exact(&mut echo);
            soon("the echo", reading).await.unwrap();
            assert_eq!(&echo, b"early", "after {delay} ms");
            client.chat("after").await;
            client.close().await;
        }
    });
}

#[test]
fn one_that_is_suspended_for_longer_than_it_lives_ends_typed() {
    Scene::before(Service::Echo).play(async |scene| {
        let builder = scene.connector().ttl(Duration::from_secs(2));
        let connector = builder.build().unwrap();
        let address = scene.address().to_string();
        let connection = soon("the connect", connector.connect(&address)).await;
        let mut client = Client::new(connection.unwrap());
        client.chat("before").await;
        connector.suspend();
        client.connection.write_all(b"lost").await.unwrap();
        scene.until("twinpath_sessions_open", 0.0).await;
        connector.resume().unwrap();
        let mut byte = [0];
        let reading = client.connection.read_exact(&mut byte);
        let error = soon("the error", reading).await.unwrap_err();
        let kind = ErrorKind::of_io(&error);
        assert!(
            matches!(kind, ErrorKind::TimedOut | ErrorKind::Interrupted),
            "{error:?}"
        );
        let stats = client.connection.stats();
        assert_eq!((stats.written, stats.acknowledged), (10, 6));
    });
}

#[test]
fn one_that_was_frozen_while_its_legs_were_reset_goes_on() {
    Scene::before(Service::Echo).play(async |scene| {
        let target = scene.address().to_string();
        let arguments = ["connect", target.as_str(), "--gateway", "--standby", "warm"];
        let mut frozen = Twinpath::start(scene.world.client(), &arguments);
        let mut input = frozen.input.take().unwrap();
        let mut output = frozen.output.take().unwrap();
        let mut echo = [0; 6];
        input.write_all(b"before").await.unwrap();
        soon("the echo", output.read_exact(&mut echo))
            .await
            .unwrap();
        scene.until(LEGS[1], 1.0).await;
        frozen.freeze().await;
        let reset = [scene.wifi(), scene.cellular()].map(|link| link.inject_rst(End::Both));
        assert_eq!(reset, [1, 1]);
        sleep(Duration::from_secs(10)).await;
        let began = Instant::now();
        frozen.thaw().await;
        input.write_all(b"after ").await.unwrap();
        soon("the echo", output.read_exact(&mut echo))
            .await
            .unwrap();
        assert_eq!(&echo, b"after ");
        assert!(began.elapsed() < ms(1000), "{:?}", began.elapsed());
        drop(input);
        assert_eq!(frozen.ends().await, 0, "{:#?}", frozen.said());
    });
}
