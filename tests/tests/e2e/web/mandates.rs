//! What the device mandates, and what cellular may cost.

use std::time::Instant;

use twinpath::http::Error;
use twinpath::{Connector, Mode, ModeReason, ServiceType, Standby};
use twinpath_lab::Direction;
use twinpath_tests::{
    CELLULAR, Entry, Hash, Scene, Service, Twinpath, VPN, WebProxy, content, ms, soon,
};

use super::{play, play_in};

#[test]
fn while_wifi_is_good_a_cold_backup_carries_nothing_at_all() {
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        for number in 0..30 {
            let https = number % 2 == 0;
            let url = scene.url(
                https,
                &format!("file?size=50000&seed={number}&head={}", number * 7),
            );
            let response = soon("the answer", client.get(url).send()).await.unwrap();
            assert_eq!(
                response.bytes(100_000).await.unwrap(),
                content(number, 50_000)
            );
        }
        assert_eq!(scene.cellular().counters().bytes_offered(), 0);
        // One connection of each kind served them all, but for questions about slow answers.
        assert_eq!(scene.server.book.entries().len(), 30);
    });
}

#[test]
fn a_slow_request_of_the_interactive_service_goes_over_cellular_as_well_within_the_budget() {
    play(async |scene| {
        let interactive = |per_day| {
            let connector = scene
                .connector(Standby::Cold)
                .service(ServiceType::Interactive);
            scene
                .builder(connector.budget(per_day))
                .hedge_after(ms(150))
                .build()
        };
        let client = interactive(None);
        // The second copy finds a server that is quick again.
        let began = Instant::now();
        let url = scene.url(false, "status?code=200&times=0&head=0");
        soon("a quick one", client.get(&url).send()).await.unwrap();
        assert!(began.elapsed() < ms(150), "{:?}", began.elapsed());
        assert_eq!(scene.cellular().counters().bytes_offered(), 0);
        let slow = scene.url(false, "file?size=10&head=600");
        let response = soon("a slow one", client.get(&slow).send()).await.unwrap();
        assert_eq!(response.report().summary().hedges, 1);
        assert_eq!(scene.server.book.entries().len(), 3);
        // What does harm twice is sent once.
        let post = client
            .post(scene.url(false, "apply?id=1&head=600"))
            .body("x")
            .send();
        assert_eq!(
            soon("a slow post", post)
                .await
                .unwrap()
                .report()
                .summary()
                .hedges,
            0
        );
        assert_eq!(scene.server.book.applied("id=1"), 1);
        // The slower copy of what changes something could be applied after something newer.
        let put = client
            .put(scene.url(false, "apply?id=2&head=600"))
            .body("x")
            .send();
        soon("a slow put", put).await.unwrap();
        assert_eq!(scene.server.book.applied("id=2"), 1);
        // A server that is always slow is not asked twice for ever.
        let mut hedges = 0;
        for _ in 0..12 {
            let slow = scene.url(false, "file?size=10&head=200");
            let response = soon("a slow one", client.get(&slow).send()).await.unwrap();
            hedges += response.report().summary().hedges;
        }
        assert!((2..=7).contains(&hedges), "{hedges} of 12");
        let poor = interactive(Some(0));
        let before = scene.cellular().counters();
        let response = soon("a slow one", poor.get(&slow).send()).await.unwrap();
        assert_eq!(response.report().summary().hedges, 0);
        scene.cellular().assert_payload_since(&before, 0);
    });
}

#[test]
fn a_spent_budget_ends_a_download_on_cellular_typed() {
    play(async |scene| {
        let connector = scene.connector(Standby::Cold).budget(Some(1_000_000));
        let connector = connector.connect_timeout(ms(2000));
        let client = scene.builder(connector).build();
        let url = scene.url(false, "file?size=6000000&seed=3");
        let mut response = soon("the head", client.get(url).send()).await.unwrap();
        let mut came = super::scene::Came::default();
        came.read_to(1_000_000, &mut response).await.unwrap();
        let before = scene.blackhole();
        let error = came.read_all(&mut response).await.unwrap_err();
        scene.wifi().assert_dropped_since(&before);
        assert!(
            matches!(error, Error::Truncated { .. } | Error::Connect(_)),
            "{error:?}"
        );
        assert_eq!(came.bytes, content(3, 6_000_000)[..came.bytes.len()]);
        let spent = response.report().summary().on_backup();
        assert!((500_000..1_500_000).contains(&spent), "{spent}");
        assert!(client.connector().budget().used() >= spent);
    });
}

#[test]
fn the_mode_and_its_reason_are_told_for_each_answer() {
    play(async |scene| {
        let one = Connector::builder().mode(Mode::SinglePath);
        let client = scene.builder(one).build();
        let url = scene.url(true, "file?size=10");
        let response = soon("the answer", client.get(&url).send()).await.unwrap();
        assert_eq!(response.report().summary().mode, Some(Mode::SinglePath));
        let connection = client
            .connector()
            .connect(&scene.scene.address().to_string())
            .await
            .unwrap();
        assert_eq!(connection.mode_reason(), ModeReason::Pinned);
        let read = |entries: &[Entry]| entries.len() == 1;
        scene.server.book.until("the request", read).await;
    });
}

#[test]
fn a_vpn_is_not_bypassed_unless_the_app_asks_for_it() {
    const SIZE: usize = 2_000_000;
    play_in(Scene::before(Service::Echo).under_vpn(), async |scene| {
        let vpn = scene.scene.world.link(VPN);
        let connector = || Connector::builder().budget(None).standby(Standby::Warm);
        for https in [false, true] {
            let client = scene.builder(connector()).build();
            let url = scene.url(https, &format!("file?id=vpn{https}&size={SIZE}&seed=3"));
            let before = [scene.wifi().counters(), scene.cellular().counters()];
            let mut response = soon("the head", client.get(&url).send()).await.unwrap();
            let mut came = super::scene::Came::default();
            came.read_to(SIZE / 4, &mut response).await.unwrap();
            // Not even when the VPN falls silent for a while.
            let silent = vpn.counters();
            vpn.blackhole(Direction::Both);
            tokio::time::sleep(ms(1500)).await;
            vpn.heal();
            came.read_all(&mut response).await.unwrap();
            vpn.assert_dropped_since(&silent);
            assert_eq!(Hash::of(&came.bytes), Hash::of(&content(3, SIZE)));
            let summary = response.report().summary();
            assert_eq!(summary.mode, Some(Mode::SinglePath));
            assert_eq!((summary.replays, summary.resumes), (0, 0), "{summary:?}");
            scene.wifi().assert_payload_since(&before[0], 0);
            scene.cellular().assert_payload_since(&before[1], 0);
        }
        let address = scene.scene.address().to_string();
        let obedient = connector().build().unwrap();
        let connection = obedient.connect(&address).await.unwrap();
        assert_eq!(connection.mode_reason(), ModeReason::Vpn(VPN.into()));
        // Who knows better says so.
        let client = scene.builder(connector().respect_mandates(false)).build();
        let before = vpn.counters();
        let url = scene.url(true, "file?size=1000&seed=4");
        let response = soon("the head", client.get(&url).send()).await.unwrap();
        assert_eq!(response.report().summary().mode, Some(Mode::PlainPair));
        assert_eq!(response.bytes(1000).await.unwrap(), content(4, 1000));
        vpn.assert_payload_since(&before, 0);
    });
}

#[test]
fn a_proxy_is_gone_through_and_downloads_through_it_go_on() {
    const SIZE: usize = 3_000_000;
    play(async |scene| {
        let proxy = WebProxy::start(&scene.scene.world);
        for https in [false, true] {
            let builder = scene.builder(scene.connector(Standby::Cold));
            let client = builder
                .proxy(&format!("http://{}", proxy.address))
                .unwrap()
                .build();
            let url = scene.url(https, &format!("file?id={https}&size={SIZE}&seed=3"));
            let mut response = soon("the head", client.get(&url).send()).await.unwrap();
            let mut came = super::scene::Came::default();
            came.read_to(SIZE / 4, &mut response).await.unwrap();
            let before = scene.blackhole();
            came.read_all(&mut response).await.unwrap();
            scene.wifi().assert_dropped_since(&before);
            assert_eq!(Hash::of(&came.bytes), Hash::of(&content(3, SIZE)));
            assert_eq!(response.report().summary().resumes, 1);
            scene.wifi().heal();
        }
        let server = scene.url(true, "").replace("https://", "").replace('/', "");
        let asked = proxy.asked();
        assert_eq!(asked.len(), 4, "{asked:?}");
        assert!(asked[0].starts_with("GET http://"), "{asked:?}");
        assert_eq!(asked[2], format!("CONNECT {server} HTTP/1.1"));
    });
}

#[test]
fn the_proxy_of_the_environment_is_obeyed_by_the_command() {
    play(async |scene| {
        let proxy = WebProxy::start(&scene.scene.world);
        let url = scene.url(false, "file?size=1000");
        let variable = format!("http_proxy=http://{}", proxy.address);
        let mut fetching =
            Twinpath::start_with(scene.scene.world.client(), &variable, &["fetch", &url]);
        assert_eq!(fetching.ends().await, 0, "{:#?}", fetching.said());
        assert_eq!(proxy.asked().len(), 1);
        let not = format!("no_proxy={}", proxy.address.ip());
        let mut fetching = Twinpath::start_with(scene.scene.world.client(), &not, &["fetch", &url]);
        assert_eq!(fetching.ends().await, 0, "{:#?}", fetching.said());
        assert_eq!(proxy.asked().len(), 1);
    });
}

#[test]
fn what_falls_back_from_mptcp_is_looked_after_as_well() {
    play(async |scene| {
        // The kernel has a backup for MPTCP, so that it is asked for; the server does not know it.
        scene.scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let connector = Connector::builder().budget(None).standby(Standby::Cold);
        let client = scene.builder(connector).build();
        let url = scene.url(true, "file?size=3000000&seed=3");
        let mut response = soon("the head", client.get(&url).send()).await.unwrap();
        assert_eq!(response.report().summary().mode, Some(Mode::PlainPair));
        let mut came = super::scene::Came::default();
        came.read_to(1_000_000, &mut response).await.unwrap();
        let before = scene.blackhole();
        came.read_all(&mut response).await.unwrap();
        scene.wifi().assert_dropped_since(&before);
        assert_eq!(Hash::of(&came.bytes), Hash::of(&content(3, 3_000_000)));
        assert_eq!(response.report().summary().resumes, 1);
    });
}
