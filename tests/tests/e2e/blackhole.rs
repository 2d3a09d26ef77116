//! Wi-Fi falls silent without a word, and nothing was open on cellular.

use tokio::io::AsyncWriteExt as _;
use twinpath::EventKind;
use twinpath_lab::Direction;
use twinpath_tests::{Scene, Service, Tally, ms, soon};

const SIZE: u64 = 6_000_000;

#[test]
fn a_download_goes_on_over_a_cold_backup() {
    Scene::before(Service::Source(SIZE)).play(async |scene| {
        let mut client = scene.connect_cold().await;
        client.connection.write_all(b"!").await.unwrap();
        let mut tally = Tally::default();
        soon("a part", tally.read_to(SIZE / 4, &mut client.connection))
            .await
            .unwrap();
        let (wifi, cellular) = (scene.wifi(), scene.cellular());
        let (wifi_before, cellular_before) = (wifi.counters(), cellular.counters());
        assert_eq!(cellular_before.payload_offered(), 0, "it was not cold");
        wifi.blackhole(Direction::Both);
        soon("the rest", tally.read_to_end(&mut client.connection))
            .await
            .unwrap();
        let tale = client.tale.clone();
        let summary = client.close().await;
        let visit = scene.book.visit().await;
        assert_eq!(tally.bytes, SIZE);
        assert_eq!(Some(tally.hash()), visit.sent);
        wifi.assert_dropped_since(&wifi_before);
        let carried = (cellular.counters() - cellular_before).down.delivered;
        assert!(carried.tcp_payload > SIZE / 2, "{carried:?}");
        assert_eq!(summary.failovers, 1, "{tale:?}");
        assert_eq!(tale.count(EventKind::Failover), 1, "{tale:?}");
        assert!(tally.stall < ms(1000), "{:?}: {tale:?}", tally.stall);
    });
}
