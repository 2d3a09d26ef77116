//! Other people's MPTCP: curl towards the gateway, our client towards nginx.

use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;
use twinpath::{Connection, Mode, Peer, Protection};
use twinpath_lab::{Direction, Host, Rate};
use twinpath_tests::{
    CELLULAR, Client, Hash, Nginx, Pattern, Scene, Service, Tally, curl, ms, soon,
};

const SIZE: u64 = 3_000_000;

/// Served by HTTP, over a Wi-Fi slow enough to die half way.
fn scene() -> twinpath_tests::SceneBuilder {
    Scene::before(Service::Http(SIZE)).wifi(|wifi| wifi.rate = Some(Rate::mbit(10)))
}

fn whole() -> Hash {
    Hash::of(&Pattern::new(1).take(SIZE as usize))
}

fn mib(host: &Host, name: &str) -> u64 {
    host.mptcp_mib(name).unwrap()
}

/// What a program has written to its standard output, once it has ended well.
async fn finish(mut child: Child, mut tally: Tally) -> Tally {
    let mut output = child.stdout.take().unwrap();
    soon("the rest", tally.read_to_end(&mut output))
        .await
        .unwrap();
    let status = soon("curl ends", child.wait()).await.unwrap();
    assert!(status.success(), "{status}");
    tally
}

/// Asks for something and reads past the head of the answer.
async fn get(connection: &mut Connection, path: &str) {
    use tokio::io::AsyncReadExt as _;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
    };
    soon("the head of the answer", reading).await;
    assert!(
        head.starts_with(b"HTTP/1.1 200 "),
        "{}",
        String::from_utf8_lossy(&head)
    );
}

#[test]
fn curl_with_mptcp_curl_without_and_a_session_are_served_on_one_port() {
    scene().play(async |scene| {
        let url = format!("http://{}/", scene.address());
        let client = scene.world.client();
        let mut session = scene.connect().await;
        get(&mut session.connection, "/").await;
        let Some(over_mptcp) = curl(client, &["--mptcp", &url]) else {
            return;
        };
        let over_tcp = curl(client, &[&url]).unwrap();
        let in_session = async {
            let mut tally = Tally::default();
            tally.read_to_end(&mut session.connection).await.unwrap();
            tally
        };
        let (over_mptcp, over_tcp, in_session) = tokio::join!(
            finish(over_mptcp, Tally::default()),
            finish(over_tcp, Tally::default()),
            in_session
        );
        for tally in [over_mptcp, over_tcp, in_session] {
            assert_eq!((tally.bytes, tally.hash()), (SIZE, whole()));
        }
        assert_eq!(mib(client, "MPCapableSYNTX"), 1);
        assert_eq!(mib(client, "MPCapableSYNACKRX"), 1);
        assert_eq!(mib(scene.world.server(), "MPCapableACKRX"), 1);
        let family = "twinpath_raw_negotiated_total{transport=";
        assert_eq!(scene.sample(&format!("{family}\"mptcp\"}}")).await, 1.0);
        assert_eq!(scene.sample(&format!("{family}\"tcp\"}}")).await, 1.0);
        assert_eq!(scene.sample("twinpath_sessions_total").await, 1.0);
        scene.until("twinpath_raw_open", 0.0).await;
        assert_eq!(scene.sample("twinpath_raw_fallbacks_total").await, 0.0);
    });
}

#[test]
fn curl_with_mptcp_survives_wifi_falling_silent_in_the_middle_of_a_download() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let url = format!("http://{}/", scene.address());
        let client = scene.world.client();
        let Some(mut child) = curl(client, &["--mptcp", &url]) else {
            return;
        };
        let mut tally = Tally::default();
        let reading = tally.read_to(SIZE / 4, child.stdout.as_mut().unwrap());
        soon("a part", reading).await.unwrap();
        let (wifi, cellular) = (scene.wifi().counters(), scene.cellular().counters());
        scene.wifi().blackhole(Direction::Both);
        let tally = finish(child, tally).await;
        assert_eq!((tally.bytes, tally.hash()), (SIZE, whole()));
        assert!(tally.stall < ms(4000), "{:?}", tally.stall);
        scene.wifi().assert_dropped_since(&wifi);
        let carried = scene.cellular().counters() - cellular;
        assert!(carried.down.delivered.tcp_payload > SIZE / 2, "{carried:?}");
        assert_eq!(mib(scene.world.server(), "MPJoinAckRx"), 1);
        let family = "twinpath_raw_negotiated_total{transport=";
        assert_eq!(scene.sample(&format!("{family}\"mptcp\"}}")).await, 1.0);
    });
}

#[test]
fn a_download_from_nginx_survives_wifi_falling_silent() {
    scene().play(async |scene| {
        let Some(nginx) = Nginx::start(&scene.world, SIZE as usize).await else {
            return;
        };
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let connector = scene.connector().peer(Peer::Any).build().unwrap();
        let target = nginx.address.to_string();
        let lost = Protection::Unprotected {
            reason: twinpath::Unprotected::PrimarySubflowLost,
        };
        let mut client = loop {
            let connecting = soon("the connect", connector.connect(&target)).await;
            let client = Client::new(connecting.unwrap());
            // A busy machine may let cellular win the race.
            if client.connection.protection() != lost {
                break client;
            }
        };
        assert_eq!(client.connection.mode(), Mode::KernelMptcp);
        get(&mut client.connection, "/pattern").await;
        let mut tally = Tally::default();
        while tally.bytes < SIZE / 4 || !client.connection.protection().is_protected() {
            let more = soon("a part", tally.read(&mut client.connection)).await;
            assert!(more.unwrap(), "never protected: {:?}", client.tale);
        }
        let (wifi, cellular) = (scene.wifi().counters(), scene.cellular().counters());
        scene.wifi().blackhole(Direction::Both);
        let rest = tally.read_to_end(&mut client.connection);
        soon("the rest", rest).await.unwrap();
        assert_eq!((tally.bytes, tally.hash()), (SIZE, whole()));
        assert!(tally.stall < ms(4000), "{:?}", tally.stall);
        scene.wifi().assert_dropped_since(&wifi);
        let carried = scene.cellular().counters() - cellular;
        assert!(carried.down.delivered.tcp_payload > SIZE / 4, "{carried:?}");
        assert_eq!(client.connection.mode(), Mode::KernelMptcp);
        assert_ne!(
            client.connection.protection(),
            Protection::Unprotected {
                reason: twinpath::Unprotected::FellBack
            }
        );
        assert!(mib(scene.world.server(), "MPCapableACKRX") >= 1);
        assert_eq!(mib(scene.world.server(), "MPJoinAckRx"), 1);
    });
}
