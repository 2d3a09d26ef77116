//! Web servers that others have written, Wi-Fi dying under their answers.

use twinpath::Standby;
use twinpath::http::{Client, Version};
use twinpath::tls::TlsConfig;
use twinpath_tests::{Hash, Make, RealServer, content, soon};

use super::play;
use super::scene::{Came, SILENCE};

const SIZE: usize = 6_000_000;

fn goes_on(make: Make, https: bool) {
    play(async |scene| {
        let Some(server) = RealServer::start(&scene.scene.world, make, 9, SIZE).await else {
            return;
        };
        let tls = TlsConfig::new()
            .with_only_roots(server.root.as_bytes())
            .unwrap();
        for (file, restarts) in [("file", 0), ("weak/file", 1)] {
            let connector = scene.connector(Standby::Warm).build().unwrap();
            let client = Client::builder(connector).tls(tls.clone()).build();
            let request = client.get(server.url(https, file)).send();
            let mut response = soon("the head", request).await.unwrap();
            let version = if https {
                Version::HTTP_2
            } else {
                Version::HTTP_11
            };
            assert_eq!(response.version(), version);
            let mut came = Came::default();
            came.read_to(SIZE / 4, &mut response).await.unwrap();
            let before = scene.blackhole();
            came.read_all(&mut response).await.unwrap();
            scene.wifi().assert_dropped_since(&before);
            assert_eq!(came.hash(), Hash::of(&content(9, SIZE)));
            let account = response.report().summary();
            assert_eq!(
                (account.failovers, account.restarts),
                (1, restarts),
                "{file}: {account:?}"
            );
            assert_eq!(
                (account.fetched_again > 0),
                restarts > 0,
                "{file}: {account:?}"
            );
            if restarts == 0 {
                assert!(came.stall < SILENCE, "{:?}: {account:?}", came.stall);
            }
            scene.wifi().heal();
        }
    });
}

#[test]
fn nginx_over_http_1_goes_on() {
    goes_on(Make::Nginx, false);
}

#[test]
fn nginx_over_http_2_goes_on() {
    goes_on(Make::Nginx, true);
}

#[test]
fn lighttpd_over_http_1_goes_on() {
    goes_on(Make::Lighttpd, false);
}

#[test]
fn lighttpd_over_http_2_goes_on() {
    goes_on(Make::Lighttpd, true);
}
