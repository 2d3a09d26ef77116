//! Both ends come to the same end at the same time, and their SWITCHes cross.

use std::io;

use tokio::io::AsyncWriteExt as _;
use twinpath::{Connection, Event, EventKind, FailoverReason, Standby};
use twinpath_gateway::{Accepted, Listener, ListenerConfig};
use twinpath_lab::Direction;
use twinpath_tests::{Client, Hash, Pattern, Scene, Service, Tale, Tally, ms, soon};

/// What is streamed in each direction.
const BOTH: u64 = 2_000_000;
/// Which of two ends hears of the other's SWITCH first is chance.
const ROUNDS: u32 = 12;
/// Of a server that ends sessions itself, so that it can tell what happened to them.
const PORT: u16 = 444;

/// What one end has sent, has got, and why it left Wi-Fi.
struct End {
    sent: Hash,
    got: Hash,
    reason: FailoverReason,
}

/// Streams in both directions; calls `midway` when a part has come.
async fn stream(connection: &mut Connection, number: u64, midway: impl FnOnce()) -> End {
    let tale = Tale::of(connection.events());
    let (read, write) = connection.split();
    let mut tally = Tally::default();
    let writing = async {
        let sent = Pattern::new(number).write(BOTH, write).await?;
        write.shutdown().await?;
        io::Result::Ok(sent)
    };
    let reading = async {
        tally.read_to(BOTH / 4, read).await?;
        midway();
        tally.read_to_end(read).await
    };
    let both = async { tokio::try_join!(writing, reading) };
    let (sent, ()) = soon("both streams", both).await.unwrap();
    let Event::Failover { reason, .. } = tale.until_kind(EventKind::Failover).await else {
        unreachable!("it is one")
    };
    let got = tally.hash();
    End { sent, got, reason }
}

/// Lets Wi-Fi fall silent between two ends that both have bytes under way.
async fn round(scene: &Scene) -> [End; 2] {
    let address = scene.world.server_socket(PORT);
    let (ready, is_ready) = std::sync::mpsc::channel();
    let serve = move || async move {
        let mut listener = Listener::bind(address, ListenerConfig::default()).unwrap();
        ready.send(()).unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let Accepted::Session(mut connection) = accepted else {
            panic!("not a session")
        };
        let end = stream(&mut connection, 1, || {}).await;
        connection.close().await;
        end
    };
    let serving = scene.world.server().spawn(serve).unwrap();
    is_ready.recv().unwrap();
    let connector = scene.connector().standby(Standby::Warm).build().unwrap();
    let target = address.to_string();
    let connection = soon("the connect", connector.connect(&target)).await;
    let mut client = Client::new(connection.unwrap());
    client.tale.until_warm().await;
    let wifi = scene.wifi();
    let before = wifi.counters();
    let strike = || wifi.blackhole(Direction::Both);
    let ours = stream(&mut client.connection, 2, strike).await;
    wifi.assert_dropped_since(&before);
    let tale = client.tale.clone();
    let summary = client.close().await;
    assert_eq!((summary.failovers, summary.failbacks), (1, 0), "{tale:?}");
    let theirs = soon("the other end", serving.wait()).await;
    wifi.heal();
    [ours, theirs]
}

#[test]
fn switches_of_both_ends_that_cross_agree_on_one_path() {
    Scene::before(Service::Echo).play(async |scene| {
        let mut seen = Vec::new();
        for _ in 0..ROUNDS {
            let [ours, theirs] = round(scene).await;
            assert_eq!((ours.sent, theirs.sent), (theirs.got, ours.got));
            let reasons = [ours.reason, theirs.reason];
            log::info!("{reasons:?}");
            if reasons == [FailoverReason::Silent; 2] {
                return;
            }
            seen.push(reasons);
            // The old listener's port has to be free again.
            tokio::time::sleep(ms(50)).await;
        }
        panic!("no two SWITCHes crossed: {seen:?}");
    });
}
