//! The `twinpath` command from outside.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath_lab::Direction;
use twinpath_proto::StaticKey;
use twinpath_tests::{Hash, Pattern, Scene, Service, Tally, Twinpath, events, ms, soon};

const SIZE: usize = 10_000_000;

fn names(events: &[serde_json::Value]) -> Vec<&str> {
    events
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect()
}

/// Starts `twinpath connect` to the gateway on the client's host.
fn connect(scene: &Scene, more: &[&str]) -> Twinpath {
    let target = scene.address().to_string();
    let mut arguments = vec!["connect", target.as_str(), "--gateway"];
    arguments.extend(more);
    Twinpath::start(scene.world.client(), &arguments)
}

#[test]
fn standard_input_and_output_survive_a_blackhole() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut twinpath = connect(scene, &["--standby", "warm", "--events", "-"]);
        let mut input = twinpath.input.take().unwrap();
        let mut output = twinpath.output.take().unwrap();
        let wifi = scene.wifi();
        let before = wifi.counters();
        let mut pattern = Pattern::new(6);
        let writing = async {
            let hash = pattern.write(SIZE as u64, &mut input).await?;
            // The end of standard input ends the direction.
            drop(input);
            std::io::Result::Ok(hash)
        };
        let mut tally = Tally::default();
        let reading = async {
            tally.read_to(SIZE as u64 / 4, &mut output).await?;
            wifi.blackhole(Direction::Both);
            tally.read_to_end(&mut output).await
        };
        let both = async { tokio::try_join!(writing, reading) };
        let (sent, ()) = soon("the exchange", both).await.unwrap();
        assert_eq!((tally.bytes, tally.hash()), (SIZE as u64, sent));
        assert!(tally.stall < ms(800), "{:?}", tally.stall);
        wifi.assert_dropped_since(&before);
        assert_eq!(twinpath.ends().await, 0, "{:#?}", twinpath.said());

        let events = twinpath.events();
        let names = names(&events);
        for name in ["leg_up", "hedge", "failover", "summary"] {
            assert!(names.contains(&name), "no {name}: {names:?}");
        }
        let failover = events.iter().find(|it| it["event"] == "failover").unwrap();
        assert_eq!(
            (&failover["from"], &failover["to"]),
            (&"wlan0".into(), &"wwan0".into())
        );
        assert_eq!((&failover["v"], &failover["conn"]), (&1.into(), &1.into()));
        let summary = events.last().unwrap();
        assert_eq!(summary["event"], "summary");
        assert_eq!(summary["reason"], "closed");
        assert!(summary["stall_ms"].as_u64().unwrap() < 800, "{summary}");
        assert!(
            summary["bytes"]["wwan0"][1].as_u64().unwrap() > 1_000_000,
            "{summary}"
        );
    });
}

#[test]
fn local_connections_are_carried_and_reset_when_they_cannot_be() {
    Scene::before(Service::Echo).play(async |scene| {
        let options = [
            "--listen",
            "127.0.0.1:0",
            "--standby",
            "warm",
            "--events",
            "-",
        ];
        let mut twinpath = connect(scene, &options);
        let line = twinpath.says("listening on ").await;
        let local = line.rsplit_once(' ').unwrap().1.to_owned();
        let lines = twinpath.told();
        let mut streams = Vec::new();
        for number in 0..3 {
            let mut stream = TcpStream::connect(&local).await.unwrap();
            stream.write_all(b"before").await.unwrap();
            let mut back = [0; 6];
            soon("the echo", stream.read_exact(&mut back))
                .await
                .unwrap();
            streams.push((number, stream));
        }
        let wifi = scene.wifi();
        let before = wifi.counters();
        wifi.blackhole(Direction::Both);
        for (number, stream) in &mut streams {
            let bytes = Pattern::new(*number).take(200_000);
            let mut back = Vec::new();
            let (mut read, mut write) = stream.split();
            let exchange = async {
                let writing = async {
                    write.write_all(&bytes).await?;
                    write.shutdown().await
                };
                tokio::try_join!(writing, read.read_to_end(&mut back))
            };
            soon("the exchange", exchange).await.unwrap();
            assert_eq!(Hash::of(&back), Hash::of(&bytes));
        }
        wifi.assert_dropped_since(&before);
        wifi.heal();
        drop(scene.take_gateway());
        let mut stream = TcpStream::connect(&local).await.unwrap();
        let error = soon("the reset", stream.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        twinpath.says("a local connection is reset").await;
        twinpath.terminate().await;
        assert_eq!(twinpath.ends().await, 0, "{:#?}", twinpath.said());

        let events = events(&lines.borrow());
        for number in 1..=3 {
            let of_this: Vec<_> = events
                .iter()
                .filter(|it| it["conn"] == number)
                .cloned()
                .collect();
            let names = names(&of_this);
            assert_eq!(names.last(), Some(&"summary"), "{names:?}");
            // One that was idle is told by the gateway at once, without a suspicion of its own.
            let told = names.contains(&"hedge") || names.contains(&"failover");
            assert!(told, "{number}: {names:?}");
        }
    });
}

#[test]
fn the_gateway_command_serves_drains_and_ends() {
    Scene::before(Service::Echo).play(async |scene| {
        drop(scene.take_gateway());
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let (listen, to) = (scene.address().to_string(), scene.service().to_string());
        let arguments = [
            "gateway",
            "--listen",
            &listen,
            "--to",
            &to,
            "--key",
            key.to_str().unwrap(),
        ];
        let mut gateway = Twinpath::start(scene.world.server(), &arguments);
        let line = gateway.says("public key").await;
        let public = line.rsplit_once(' ').unwrap().1.to_owned();
        gateway.says("listening on ").await;

        let mut right = connect(scene, &["--pin", &public]);
        let (mut input, mut output) = (right.input.take().unwrap(), right.output.take().unwrap());
        input.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        soon("the echo", output.read_exact(&mut back))
            .await
            .unwrap();

        // It drains while a session lives, and ends with it.
        gateway.terminate().await;
        let mut late = connect(scene, &[]);
        late.input
            .take()
            .unwrap()
            .write_all(b"hello")
            .await
            .unwrap();
        assert_eq!(late.ends().await, 2, "{:#?}", late.said());
        input.write_all(b"still").await.unwrap();
        soon("the echo", output.read_exact(&mut back))
            .await
            .unwrap();
        assert_eq!(&back, b"still");
        drop(input);
        assert_eq!(right.ends().await, 0, "{:#?}", right.said());
        assert_eq!(gateway.ends().await, 0, "{:#?}", gateway.said());
    });
}

#[test]
fn a_wrong_pin_ends_with_2() {
    let key = StaticKey::from_bytes([7; 32]);
    let gateway = Scene::before(Service::Echo).gateway(move |it| it.key(key.clone()));
    gateway.play(async |scene| {
        let mut twinpath = connect(scene, &["--pin", &"09".repeat(32)]);
        let mut input = twinpath.input.take().unwrap();
        input.write_all(b"hello").await.unwrap();
        assert_eq!(twinpath.ends().await, 2, "{:#?}", twinpath.said());
        let said = twinpath.said().concat();
        assert!(said.contains("pinned key"), "{said}");
        assert_eq!(
            scene
                .sample("twinpath_stream_bytes_total{direction=\"from_client\"}")
                .await,
            0.0
        );
    });
}

#[test]
fn a_connection_that_is_lost_ends_with_1() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut twinpath = connect(scene, &[]);
        let (mut input, mut output) = (
            twinpath.input.take().unwrap(),
            twinpath.output.take().unwrap(),
        );
        input.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        soon("the echo", output.read_exact(&mut back))
            .await
            .unwrap();
        drop(scene.take_gateway());
        scene.start_gateway();
        input.write_all(b"hello").await.unwrap();
        assert_eq!(twinpath.ends().await, 1, "{:#?}", twinpath.said());
        assert!(
            twinpath.said().concat().contains("no longer knows"),
            "{:#?}",
            twinpath.said()
        );
    });
}

#[test]
fn what_cannot_be_connected_ends_with_2_and_advice() {
    Scene::before(Service::Echo).play(async |scene| {
        let refused = scene.world.server_socket(9).to_string();
        let good = scene.address().to_string();
        for (arguments, words) in [
            (vec!["connect", &refused, "--gateway"], "refused"),
            (
                vec!["connect", &good, "--gateway", "--primary", "wlan7"],
                "wlan7",
            ),
            (
                vec!["connect", "nowhere.invalid:443", "--gateway"],
                "nowhere.invalid",
            ),
        ] {
            let mut twinpath = Twinpath::start(scene.world.client(), &arguments);
            assert_eq!(
                twinpath.ends().await,
                2,
                "{arguments:?}: {:#?}",
                twinpath.said()
            );
            let said = twinpath.said();
            assert_eq!(said.len(), 1, "{said:#?}");
            assert!(said[0].contains(words), "{said:#?}");
        }
    });
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_64() {
    Scene::before(Service::Echo).play(async |scene| {
        for arguments in [
            &["connect", "203.0.113.10:443", "--mode", "emulated"][..],
            &["connect", "203.0.113.10"],
            &[
                "connect",
                "203.0.113.10:443",
                "--gateway",
                "--primary",
                "wlan0",
                "--backup",
                "wlan0",
            ],
            &["gateway", "--listen", "203.0.113.10:443"],
            &["fly"],
        ] {
            let mut twinpath = Twinpath::start(scene.world.client(), arguments);
            assert_eq!(
                twinpath.ends().await,
                64,
                "{arguments:?}: {:#?}",
                twinpath.said()
            );
            assert_eq!(twinpath.said().len(), 1, "{:#?}", twinpath.said());
        }
    });
}

#[test]
fn a_reader_that_has_had_enough_ends_it_in_order() {
    Scene::before(Service::Source(SIZE as u64)).play(async |scene| {
        let mut twinpath = connect(scene, &[]);
        twinpath
            .input
            .as_mut()
            .unwrap()
            .write_all(b"!")
            .await
            .unwrap();
        let mut output = twinpath.output.take().unwrap();
        let mut start = vec![0; 100_000];
        soon("the start", output.read_exact(&mut start))
            .await
            .unwrap();
        assert_eq!(start[..16_384], Pattern::new(1).take(16_384));
        drop(output);
        assert_eq!(twinpath.ends().await, 0, "{:#?}", twinpath.said());
    });
}
