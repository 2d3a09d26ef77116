//! Many connections at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use twinpath::Standby;
use twinpath_tests::{Client, Fault, Pattern, Scene, Service, Strike, ms, soon};

const CLIENTS: u64 = 100;
const EVERY: Duration = ms(200);
const MESSAGE: usize = 500;
/// Messages after the blackhole.
const AFTER: usize = 8;
/// Two crowds at once would measure the machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

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

/// A hundred of them, while `fault` strikes.
fn survives(fault: Fault) {
    if !fault.can_be_had() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let scene = fault.prepare(Scene::before(Service::Echo));
    scene.play(async |scene| {
        let connector = scene.connector().standby(Standby::Warm).build().unwrap();
        let target = scene.address().to_string();
        let strike = Strike::new(scene, fault);
        let (struck, has_struck) = watch::channel(false);
        let mut crowd = JoinSet::new();
        for number in 0..CLIENTS {
            let (connector, target) = (connector.clone(), target.clone());
            let has_struck = has_struck.clone();
            crowd.spawn(async move {
                let connection = connector.connect(&target).await.unwrap();
                let client = Client::new(connection);
                client.tale.until_warm().await;
                chat(number, client, has_struck).await
            });
        }
        let warm = "twinpath_legs_open{role=\"backup\"}";
        scene.until(warm, CLIENTS as f64).await;
        tokio::time::sleep(ms(300)).await;
        strike.now();
        struck.send_replace(true);
        let mut waits = soon("all are done", crowd.join_all()).await;
        strike.over().await;
        strike.prove().await;
        waits.sort_unstable();
        let (median, worst) = (waits[waits.len() / 2], waits[waits.len() - 1]);
        log::info!("a hundred under {fault:?}: median {median:?}, worst {worst:?}");
        assert!(median <= fault.worst_stall() + ms(200), "{median:?}");
        assert!(worst <= fault.worst_stall() + ms(1100), "{worst:?}");
        let sessions = scene.sample("twinpath_sessions_total").await;
        assert_eq!((sessions, scene.book.accepted()), (100.0, 100));
        if fault == Fault::None {
            assert_eq!(scene.sample("twinpath_failovers_total").await, 0.0);
        }
    });
}

macro_rules! a_hundred_connections_survive {
    ($($test:ident => $fault:ident),+ $(,)?) => {
        mod a_hundred_connections_survive {
            use super::*;
            $(#[test] fn $test() { survives(Fault::$fault); })+
        }
    };
}

a_hundred_connections_survive! {
    and_are_left_in_peace_without_a_fault => None,
    wifi_falling_silent => Blackhole,
    a_hole_on_the_way_up => HoleUp,
    a_hole_on_the_way_down => HoleDown,
    wifi_taken_down => LinkDown,
    the_loss_of_their_address => AddressGone,
    a_change_of_address => AddressChanged,
    a_reset => Reset,
    loss => Loss,
    a_step_in_delay => DelayStep,
    jitter => Jitter,
    a_drop_of_the_rate => RateDrop,
    full_queues => FullQueue,
    option_30_stripped => Stripped,
    both_links_dead_for_a_while => BothDead,
    wifi_that_comes_and_goes => Flapping,
    a_nat_that_forgets => NatForgets,
    a_nat_that_moves_their_ports => NatMoves,
    wifi_that_takes_no_connection => SynDrop,
    silence_behind_a_proxy => BehindProxy,
}
