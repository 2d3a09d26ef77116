//! Hostile bytes on the gateway's port, while others go about their business.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath::{Role, Standby};
use twinpath_gateway::{ForwarderBuilder, Limits};
use twinpath_tests::{Client, Pattern, Scene, Service, Tap, Tapping, ms, soon};

const MAGIC: &[u8] = b"\xf5TWINP\r\n";

/// Impatient with those who do not say what they are.
fn impatient(builder: ForwarderBuilder) -> ForwarderBuilder {
    let mut limits = Limits::default();
    limits.handshake = ms(500);
    builder.limits(limits)
}

/// Sends `bytes` and waits until the gateway has closed the connection.
async fn throw(scene: &Scene, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(scene.address()).await.unwrap();
    // The gateway may have had enough before everything is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = soon(
        "the gateway has had enough",
        stream.read_to_end(&mut answer),
    )
    .await;
    answer
}

/// A session with both legs up, and what it said first on them.
async fn bystander(scene: &Scene) -> (Client, Vec<u8>, Vec<u8>) {
    let tap = Tap::new(|_, _| ());
    let tapping = Arc::new(Tapping(Arc::clone(&tap)));
    let warm = scene.connector().standby(Standby::Warm).dialer(tapping);
    let mut client = scene.connect_with(warm).await;
    client.tale.until_warm().await;
    client.chat("hello").await;
    let first = |role| tap.flights(role).swap_remove(0);
    let (hello, join) = (first(Role::Primary), first(Role::Backup));
    assert!(hello.starts_with(MAGIC) && join.starts_with(MAGIC));
    (client, hello, join)
}

/// The bystander is as it was: the same legs, no suspicion, and its bytes come back.
async fn assert_unharmed(scene: &Scene, mut client: Client) {
    client.chat("unharmed").await;
    assert_eq!(
        scene.sample("twinpath_legs_open{role=\"primary\"}").await,
        1.0
    );
    assert_eq!(
        scene.sample("twinpath_legs_open{role=\"backup\"}").await,
        1.0
    );
    assert_eq!(scene.sample("twinpath_sessions_open").await, 1.0);
    client.assert_no_failover();
    client.close().await;
}

#[test]
fn garbage_behind_the_magic_harms_nobody() {
    let scene = Scene::before(Service::Echo).gateway(impatient);
    scene.play(async |scene| {
        let (client, ..) = bystander(scene).await;
        for round in 1..40_u8 {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([round % 4, round % 3, round.wrapping_mul(7) % 20, round]);
            bytes.extend(Pattern::new(round.into()).take(20_000));
            throw(scene, &bytes).await;
        }
        assert_eq!(scene.sample("twinpath_raw_total").await, 0.0);
        assert_unharmed(scene, client).await;
    });
}

#[test]
fn first_flights_cut_short_end_at_the_limit_and_harm_nobody() {
    let scene = Scene::before(Service::Echo).gateway(impatient);
    scene.play(async |scene| {
        let (client, hello, join) = bystander(scene).await;
        for flight in [&hello, &join] {
            for end in [1, 7, 8, 9, 11, 12, 13, 40] {
                let answer = throw(scene, &flight[..end.min(flight.len() - 1)]).await;
                assert!(!answer.starts_with(MAGIC), "it answered half a flight");
            }
        }
        assert_unharmed(scene, client).await;
    });
}

#[test]
fn lengths_beyond_reason_are_refused_before_they_are_believed() {
    let scene = Scene::before(Service::Echo).gateway(impatient);
    scene.play(async |scene| {
        let (client, hello, join) = bystander(scene).await;
        for flight in [&hello, &join] {
            for high in [0x40, 0x7f, 0xff] {
                let mut bytes = flight.clone();
                // The length of the body stands in the last two bytes of the header.
                bytes[10] = high;
                bytes[11] = 0xff;
                bytes.resize(100_000, 0xff);
                throw(scene, &bytes).await;
            }
        }
        let buffered = scene.sample("twinpath_buffered_bytes").await;
        assert!(buffered < 1_000_000.0, "{buffered}");
        assert_unharmed(scene, client).await;
    });
}

#[test]
fn a_join_replayed_altered_or_forged_is_refused() {
    let scene = Scene::before(Service::Echo).gateway(impatient);
    scene.play(async |scene| {
        let (client, _, join) = bystander(scene).await;
        throw(scene, &join).await;
        let refused = "twinpath_joins_total{result=\"counter_used\"}";
        assert_eq!(scene.sample(refused).await, 1.0);

        // The name of the session comes first in the body; behind it, everything is under the MAC.
        for at in [28, 29, 36, 44, 52, join.len() - 1] {
            let mut altered = join.clone();
            altered[at] ^= 1;
            throw(scene, &altered).await;
        }
        let refused = "twinpath_joins_total{result=\"unauthentic\"}";
        assert_eq!(scene.sample(refused).await, 6.0);

        let mut foreign = join.clone();
        foreign[12] ^= 1;
        throw(scene, &foreign).await;
        let refused = "twinpath_joins_total{result=\"unknown_session\"}";
        assert_eq!(scene.sample(refused).await, 1.0);
        assert_eq!(
            scene.sample("twinpath_joins_total{result=\"ok\"}").await,
            1.0
        );
        assert_unharmed(scene, client).await;
    });
}

#[test]
fn a_hello_replayed_makes_no_second_session() {
    let scene = Scene::before(Service::Echo).gateway(impatient);
    scene.play(async |scene| {
        let (client, hello, _) = bystander(scene).await;
        for _ in 0..5 {
            throw(scene, &hello).await;
        }
        assert_eq!(scene.sample("twinpath_sessions_total").await, 1.0);
        assert_eq!(scene.book.accepted(), 1);
        assert_unharmed(scene, client).await;
    });
}
