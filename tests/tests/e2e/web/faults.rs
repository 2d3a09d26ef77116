//! Every fault of the lab, at every phase of requests: no byte is wrong, nothing is applied twice.

use std::time::Instant;

use twinpath::http::{Client, Error, RequestSummary};
use twinpath::{Role, Standby};
use twinpath_tests::{
    Entry, Failover, Fault, Hash, Scene, Service, Strike, WebServer, content, ms, soon,
};

use super::WebScene;
use super::scene::Came;

/// When the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before there is a connection.
    Connect,
    /// TCP is up, TLS is not.
    Tls,
    /// A body is being sent.
    Sending,
    /// The request was read and is not answered.
    Head,
    /// The answer comes.
    Body,
}

const PHASES: [Phase; 5] = [
    Phase::Connect,
    Phase::Tls,
    Phase::Sending,
    Phase::Head,
    Phase::Body,
];

const SIZE: usize = 3_000_000;
const UPLOAD: usize = 1_000_000;

/// One request of each kind in a world of its own, struck at that phase.
fn under(fault: Fault, phase: Phase) {
    if !fault.can_be_had() {
        return;
    }
    fault
        .prepare(Scene::before(Service::Echo))
        .play(async |scene| {
            let server = WebServer::start(&scene.world);
            let scene = WebScene { scene, server };
            let client = scene.client(Standby::Cold);
            let strike = Strike::new(scene.scene, fault);
            let began = Instant::now();
            let book = &scene.server.book;
            let at = async {
                match phase {
                    Phase::Connect => {}
                    Phase::Tls => book.until_connected(0).await,
                    Phase::Sending => {
                        let wifi = scene.wifi();
                        let most = (UPLOAD / 4) as u64;
                        // Where no connection can be made over Wi-Fi, cellular carries it.
                        while wifi.counters().up.delivered.tcp_payload < most
                            && scene.cellular().counters().up.delivered.tcp_payload < most
                        {
                            tokio::time::sleep(ms(2)).await;
                        }
                    }
                    Phase::Head => {
                        let read = |entries: &[Entry]| entries.iter().any(|it| it.body.is_some());
                        book.until("the request was read", read).await;
                    }
                    Phase::Body => {
                        let some = |entries: &[Entry]| {
                            entries.iter().any(|it| it.served >= (SIZE / 4) as u64)
                        };
                        book.until("a quarter was served", some).await;
                    }
                }
                strike.now();
            };
            let request = request(&scene, &client, phase);
            let both = async { tokio::join!(request, at) };
            let (began_on_wifi, ()) = soon("the request", both).await;
            log::info!("{fault:?} at {phase:?}: {:?}", began.elapsed());
            if began_on_wifi
                && fault.failover() == Failover::False
                && fault != Fault::SynDrop
                && fault != Fault::FullQueue
            {
                let cellular = scene.cellular().counters();
                assert_eq!(
                    cellular.payload_offered(),
                    0,
                    "cellular was used without need"
                );
            }
            strike.over().await;
            // What chance drops may come later; traffic of our own finds out.
            for _ in 0..50 {
                if strike.is_felt() {
                    break;
                }
                let _ = client
                    .get(scene.url(false, "file?size=100000"))
                    .send()
                    .await;
            }
            strike.prove().await;
        });
}

/// Whether everything began on Wi-Fi, as it does unless the machine itself is late.
async fn request(scene: &WebScene<'_>, client: &Client, phase: Phase) -> bool {
    let on_wifi = |account: &RequestSummary| {
        let first = account.paths.first();
        first.is_some_and(|path| path.role == Role::Primary)
    };
    let book = &scene.server.book;
    match phase {
        Phase::Connect | Phase::Tls | Phase::Head => {
            // Slow enough to be struck.
            let wait = if phase == Phase::Head { 300 } else { 0 };
            let get = client
                .get(scene.url(true, &format!("file?size=10000&seed=4&head={wait}")))
                .send();
            let post = client
                .post(scene.url(false, &format!("apply?id=1&head={wait}")))
                .body("x")
                .send();
            let (get, post) = tokio::join!(get, post);
            let get = get.unwrap();
            let began = on_wifi(&get.report().summary());
            assert_eq!(get.bytes(20_000).await.unwrap(), content(4, 10_000));
            let applied = book.applied("id=1");
            match post {
                Ok(answer) => {
                    assert!(answer.status().is_success());
                    assert_eq!(applied, 1);
                    began && on_wifi(&answer.report().summary())
                }
                Err(Error::NotReplayable { .. }) => {
                    assert!(applied <= 1, "applied {applied} times");
                    began
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        Phase::Sending => {
            let put = client
                .put(scene.url(true, "apply?id=1"))
                .body(content(8, UPLOAD))
                .send();
            let answer = put.await.unwrap();
            assert!(answer.status().is_success());
            let whole = Some(Hash::of(&content(8, UPLOAD)));
            assert!(book.entries().iter().any(|it| it.body == whole));
            on_wifi(&answer.report().summary())
        }
        Phase::Body => {
            let url = scene.url(true, &format!("file?size={SIZE}&seed=4"));
            let mut response = client.get(url).send().await.unwrap();
            let mut came = Came::default();
            came.read_all(&mut response).await.unwrap();
            assert_eq!(came.hash(), Hash::of(&content(4, SIZE)));
            let account = response.report().summary();
            assert_eq!(
                (account.fetched_again, account.restarts),
                (0, 0),
                "{account:?}"
            );
            on_wifi(&account)
        }
    }
}

macro_rules! survive {
    ($($test:ident => $fault:ident),+ $(,)?) => {
        $(#[test] fn $test() {
            for phase in PHASES {
                under(Fault::$fault, phase);
            }
        })+
    };
}

survive! {
    requests_are_left_in_peace_without_a_fault => None,
    requests_survive_wifi_falling_silent => Blackhole,
    requests_survive_a_hole_on_the_way_up => HoleUp,
    requests_survive_a_hole_on_the_way_down => HoleDown,
    requests_survive_wifi_taken_down => LinkDown,
    requests_survive_the_loss_of_its_address => AddressGone,
    requests_survive_a_change_of_address => AddressChanged,
    requests_stay_on_wifi_that_loses_packets => Loss,
    requests_stay_on_wifi_that_becomes_slower => DelayStep,
    requests_stay_on_wifi_that_jitters => Jitter,
    requests_stay_on_wifi_whose_rate_drops => RateDrop,
    requests_survive_both_links_dead_for_a_while => BothDead,
    requests_survive_wifi_that_comes_and_goes => Flapping,
    requests_begin_on_cellular_when_wifi_takes_no_connection => SynDrop,
}

#[test]
fn requests_survive_a_nat_that_forgets() {
    // Before there is a connection there is nothing to forget.
    for phase in [Phase::Tls, Phase::Sending, Phase::Head, Phase::Body] {
        under(Fault::NatForgets, phase);
    }
}

#[test]
fn requests_survive_a_nat_that_moves_its_ports() {
    for phase in [Phase::Tls, Phase::Sending, Phase::Head, Phase::Body] {
        under(Fault::NatMoves, phase);
    }
}

#[test]
fn requests_survive_full_queues() {
    // What is over before the queues are full proves nothing.
    for phase in [Phase::Sending, Phase::Body] {
        under(Fault::FullQueue, phase);
    }
}

#[test]
fn requests_survive_resets() {
    for phase in [Phase::Tls, Phase::Sending, Phase::Head, Phase::Body] {
        under(Fault::Reset, phase);
    }
}
