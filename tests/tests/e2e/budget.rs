//! Cellular bytes cost money.

use tokio::io::AsyncWriteExt as _;
use twinpath::{EventKind, Standby};
use twinpath_lab::Direction;
use twinpath_tests::{Client, Scene, Service, Tally, ms, soon};

#[test]
fn a_spent_budget_ends_cellular_and_raising_it_resumes() {
    const SIZE: u64 = 4_000_000;
    const BUDGET: u64 = 1_000_000;
    Scene::before(Service::Source(SIZE)).play(async |scene| {
        let warm = scene.connector().standby(Standby::Warm);
        let connector = warm.budget(Some(BUDGET)).build().unwrap();
        let connecting = connector.connect(&scene.address().to_string()).await;
        let mut client = Client::new(connecting.unwrap());
        client.tale.until_warm().await;
        client.connection.write_all(b"!").await.unwrap();
        let mut tally = Tally::default();
        soon("a part", tally.read_to(SIZE / 4, &mut client.connection))
            .await
            .unwrap();
        let (wifi, cellular) = (scene.wifi(), scene.cellular());
        let before = wifi.counters();
        wifi.blackhole(Direction::Both);
        let tale = client.tale.clone();
        let spent = async {
            tale.until_kind(EventKind::BudgetExhausted).await;
            // What is on the way arrives; then nothing moves.
            tokio::time::sleep(ms(500)).await;
            let spent = cellular.counters().payload_offered();
            tokio::time::sleep(ms(500)).await;
            assert!(cellular.counters().payload_offered() <= spent + 2000);
            // The kernel may have sent some segments twice.
            assert!(spent > BUDGET / 3 && spent < BUDGET + BUDGET / 5, "{spent}");
            let rest = connector.budget().remaining().unwrap();
            assert!(
                rest < BUDGET / 4,
                "{rest} are left of the budget, {spent} were carried"
            );
            connector.set_budget(None);
        };
        let reading = tally.read_to_end(&mut client.connection);
        let (read, ()) = soon("the rest", async { tokio::join!(reading, spent) }).await;
        read.unwrap();
        wifi.assert_dropped_since(&before);
        assert_eq!(Some(tally.hash()), scene.book.visit().await.sent);
        client.close().await;
    });
}

#[test]
fn a_cold_backup_costs_nothing_while_wifi_is_good() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut client = scene.connect_cold().await;
        // On a busy machine an answer may be late, and Wi-Fi is suspected: then it is not good. A quiet second will come.
        for round in 0.. {
            let before = (
                client.tale.count(EventKind::Hedge),
                scene.cellular().counters(),
            );
            for _ in 0..100 {
                client.chat("all is well").await;
                tokio::time::sleep(ms(10)).await;
            }
            if client.tale.count(EventKind::Hedge) == before.0
                && client.tale.count(EventKind::LegUp) == 1
            {
                let cellular = scene.cellular().counters() - before.1;
                assert_eq!(cellular.up.offered.syns, 0);
                assert_eq!(cellular.payload_offered(), 0);
                break;
            }
            log::info!("round {round} was not quiet");
            client.close().await;
            client = scene.connect_cold().await;
            assert!(round < 10, "no second was quiet: {:?}", client.tale);
        }
        client.close().await;
    });
}

#[test]
fn a_warm_backup_costs_next_to_nothing_while_wifi_is_good() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut client = scene.connect().await;
        for _ in 0..100 {
            client.chat("all is well").await;
            tokio::time::sleep(ms(10)).await;
        }
        let tale = client.tale.clone();
        client.close().await;
        assert_eq!(tale.count(EventKind::Failover), 0, "{tale:?}");
        let spent = scene.cellular().counters().payload_offered();
        assert!(spent < 4096, "{spent}: {tale:?}");
    });
}
