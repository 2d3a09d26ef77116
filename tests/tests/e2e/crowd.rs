//! Many connections at once.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use twinpath::Standby;
use twinpath_lab::Direction;
use twinpath_tests::{Client, Pattern, Scene, Service, ms, soon};

const CLIENTS: u64 = 100;
const EVERY: Duration = ms(100);
const MESSAGE: usize = 500;
/// Messages after the blackhole.
const AFTER: usize = 15;

/// Chats until it is told to end and a little longer; says how long it waited at worst.
async fn chat(number: u64, mut client: Client, mut struck: watch::Receiver<bool>) -> Duration {
    let mut pattern = Pattern::new(number);
    let (mut worst, mut after) = (Duration::ZERO, 0);
    let mut back = vec![0; MESSAGE];
    while after < AFTER {
        let message = pattern.take(MESSAGE);
        let began = Instant::now();
        client.connection.write_all(&message).await.unwrap();
        let reading = client.connection.read_exact(&mut back);
        soon("the echo", reading).await.unwrap();
        assert_eq!(back, message, "client {number} got another's bytes");
        worst = worst.max(began.elapsed());
        after += usize::from(*struck.borrow_and_update());
        tokio::time::sleep(EVERY).await;
    }
    client.close().await;
    worst
}

#[test]
fn a_hundred_connections_survive_a_blackhole_together() {
    Scene::before(Service::Echo).play(async |scene| {
        let connector = scene.connector().standby(Standby::Warm).build().unwrap();
        let target = scene.address().to_string();
        let (strike, struck) = watch::channel(false);
        let mut crowd = JoinSet::new();
        for number in 0..CLIENTS {
            let (connector, target, struck) = (connector.clone(), target.clone(), struck.clone());
            crowd.spawn(async move {
                let connection = connector.connect(&target).await.unwrap();
                let client = Client::new(connection);
                client.tale.until_warm().await;
                chat(number, client, struck).await
            });
        }
        scene
            .until("twinpath_legs_open{role=\"backup\"}", 100.0)
            .await;
        tokio::time::sleep(ms(500)).await;
        let before = scene.wifi().counters();
        scene.wifi().blackhole(Direction::Both);
        strike.send_replace(true);
        let mut waits = soon("all are done", crowd.join_all()).await;
        scene.wifi().assert_dropped_since(&before);
        waits.sort_unstable();
        let (median, worst) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        log::info!("a hundred connections: median {median:?}, worst {worst:?}");
        assert!(median < ms(500), "{median:?}");
        assert!(worst < ms(1500), "{worst:?}");
        assert_eq!(scene.sample("twinpath_sessions_total").await, 100.0);
        assert_eq!(scene.book.accepted(), 100);
    });
}
