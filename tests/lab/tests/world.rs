//! Worlds do not see each other, leave nothing behind, and run programs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{PATIENCE, PORT, connect_over, echo, echo_server};
use twinpath_lab::{LabError, LinkSpec, World, world_or_skip};

/// Serialises the tests that count what the process has open.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Open files, and threads of the lab.
fn open_files_and_threads() -> (usize, usize) {
    let files = fs::read_dir("/proc/self/fd").unwrap().count();
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let of_the_lab = threads.filter(|thread| {
        let name = fs::read_to_string(thread.as_ref().unwrap().path().join("comm"));
        name.is_ok_and(|name| name.starts_with("lab-"))
    });
    (files, of_the_lab.count())
}

#[test]
fn a_dropped_world_leaves_nothing_behind() {
    let _alone = ALONE.lock();
    let before = open_files_and_threads();
    let devices = fs::read_to_string("/proc/self/net/dev").unwrap();
    let begin = Instant::now();
    for _ in 0..5 {
        let world = world_or_skip!();
        echo_server(&world);
        let server = world.server_socket(PORT);
        let link = world.link("wlan0");
        let talk =
            || async move { echo(&mut connect_over("wlan0", server).await.unwrap(), b"x").await };
        world.client().run(talk).unwrap().unwrap();
        drop(world);
        // A handle that outlives its world is of no use, and does no harm.
        assert!(link.counters().up.delivered.packets > 0);
        assert!(link.set_carrier(false).is_err());
    }
    eprintln!("a world lives {:?}", begin.elapsed() / 5);
    // A joined thread is listed a moment longer. The process itself may open a file or two for good;
    // what each of five worlds left behind would be more.
    let left = || {
        let (files, threads) = open_files_and_threads();
        files >= before.0 + 5 || threads > before.1
    };
    while left() && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!left(), "{:?}, before {before:?}", open_files_and_threads());
    assert_eq!(
        fs::read_to_string("/proc/self/net/dev")
            .unwrap()
            .lines()
            .count(),
        devices.lines().count()
    );
}

#[test]
fn worlds_and_hosts_are_apart() {
    let _alone = ALONE.lock();
    let (one, two) = (world_or_skip!(), world_or_skip!());
    echo_server(&one);
    let server = two.server_socket(PORT);
    let refused = two
        .client()
        .run(|| connect_over("wlan0", server))
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let devices = |text: &str| {
        text.lines()
            .skip(2)
            .map(|l| l.split(':').next().unwrap().trim().to_owned())
            .collect::<Vec<_>>()
    };
    let here = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    assert!(!devices(&here).contains(&"wwan0".to_owned()));
    let entered = one.client().enter().unwrap();
    let there = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    assert!(devices(&there).contains(&"wwan0".to_owned()));
    drop(entered);
    let again = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    assert_eq!(devices(&again), devices(&here));
    let program = one
        .client()
        .command("cat")
        .arg("/proc/self/net/dev")
        .output()
        .unwrap();
    assert_eq!(
        devices(&String::from_utf8(program.stdout).unwrap()),
        devices(&there)
    );
}

#[test]
fn tasks_return_end_and_pass_panics_on() {
    let _alone = ALONE.lock();
    let world = world_or_skip!();
    let host = world.client();
    assert_eq!(host.spawn(|| async { 7 }).unwrap().join(), 7);
    let waited = host.spawn(|| async { 8 }).unwrap();
    assert_eq!(host.run(|| waited.wait()).unwrap(), 8);
    let begin = Instant::now();
    drop(
        host.spawn(|| tokio::time::sleep(Duration::from_secs(60)))
            .unwrap(),
    );
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "the task was not ended"
    );
    let panicking = host.spawn(|| async { panic!("as it should") }).unwrap();
    let join = std::panic::AssertUnwindSafe(|| panicking.join());
    assert!(std::panic::catch_unwind(join).is_err());
}

#[test]
fn many_links_and_large_packets_are_possible_and_bad_specs_are_refused() {
    let _alone = ALONE.lock();
    let mut builder = World::builder();
    for number in 0..8 {
        let mtu = 1280 + number * 9000;
        builder = builder.link(
            &format!("link{number}"),
            LinkSpec {
                mtu,
                ..LinkSpec::default()
            },
        );
    }
    let world = world_or_skip!(builder.build());
    echo_server(&world);
    let server = world.server_socket(PORT);
    world
        .client()
        .run(|| async move {
            for link in ["link0", "link3", "link7"] {
                let mut stream = connect_over(link, server).await.unwrap();
                echo(&mut stream, &[1; 100_000]).await.unwrap();
            }
        })
        .unwrap();
    assert!(matches!(
        world.find_link("wlan0"),
        Err(LabError::NoSuchLink(_))
    ));
    for bad in [
        World::builder().link("", LinkSpec::default()),
        World::builder()
            .link("a", LinkSpec::default())
            .link("a", LinkSpec::default()),
        World::builder().link(
            "a",
            LinkSpec {
                mtu: 100,
                ..LinkSpec::default()
            },
        ),
        World::builder().link(
            "a",
            LinkSpec {
                loss: 1.5,
                ..LinkSpec::default()
            },
        ),
    ] {
        assert!(matches!(bad.build(), Err(LabError::BadSpec(_))));
    }
}
