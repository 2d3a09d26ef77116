//! Downloads whose path dies in the middle.

use twinpath::{Role, Standby};
use twinpath_tests::{Hash, content, ms, soon};

use super::scene::{Came, SILENCE};
use super::{WebScene, play};

const SIZE: usize = 6_000_000;

/// Wi-Fi dies at a quarter; everything comes all the same, and nothing of it twice.
async fn goes_on(scene: &WebScene<'_>, https: bool, standby: Standby) {
    let client = scene.client(standby);
    let url = scene.url(https, &format!("file?size={SIZE}&seed=3"));
    let mut response = soon("the head", client.get(&url).send()).await.unwrap();
    let mut came = Came::default();
    came.read_to(SIZE / 4, &mut response).await.unwrap();
    if standby == Standby::Cold {
        assert_eq!(
            scene.cellular().counters().bytes_offered(),
            0,
            "it was not cold"
        );
    }
    let before = scene.blackhole();
    came.read_all(&mut response).await.unwrap();
    scene.wifi().assert_dropped_since(&before);
    assert_eq!(came.hash(), Hash::of(&content(3, SIZE)));
    let account = response.report().summary();
    assert_eq!(
        (account.failovers, account.resumes, account.restarts),
        (1, 1, 0),
        "{account:?}"
    );
    assert_eq!(account.fetched_again, 0);
    let limit = if standby == Standby::Warm {
        SILENCE
    } else {
        SILENCE * 2
    };
    assert!(came.stall < limit, "{:?}: {account:?}", came.stall);
    let of = |role| {
        account
            .paths
            .iter()
            .find(|path| path.role == role)
            .unwrap()
            .clone()
    };
    let (primary, backup) = (of(Role::Primary), of(Role::Backup));
    assert_eq!(primary.body + backup.body, SIZE as u64);
    assert!(backup.received >= backup.body, "{account:?}");
    assert_eq!(scene.server.book.entries().len(), 2);
}

#[test]
fn over_http_1_a_cold_backup_goes_on() {
    play(async |scene| goes_on(scene, false, Standby::Cold).await);
}

#[test]
fn over_http_1_a_warm_backup_goes_on() {
    play(async |scene| goes_on(scene, false, Standby::Warm).await);
}

#[test]
fn over_http_2_and_tls_a_cold_backup_goes_on() {
    play(async |scene| goes_on(scene, true, Standby::Cold).await);
}

#[test]
fn over_http_2_and_tls_a_warm_backup_goes_on() {
    play(async |scene| goes_on(scene, true, Standby::Warm).await);
}

#[test]
fn a_long_download_goes_back_to_wifi_without_a_pause_and_without_a_byte_twice() {
    const SIZE: usize = 30_000_000;
    play(async |scene| {
        let client = scene.client(Standby::Cold);
        let url = scene.url(true, &format!("file?size={SIZE}&seed=3"));
        let mut response = soon("the head", client.get(&url).send()).await.unwrap();
        let mut came = Came::default();
        came.read_to(SIZE / 10, &mut response).await.unwrap();
        let before = scene.blackhole();
        came.read_to(SIZE / 5, &mut response).await.unwrap();
        scene.wifi().assert_dropped_since(&before);
        scene.wifi().heal();
        came.stall = std::time::Duration::ZERO;
        came.read_all(&mut response).await.unwrap();
        assert_eq!(came.hash(), Hash::of(&content(3, SIZE)));
        let account = response.report().summary();
        assert_eq!(
            (account.failovers, account.failbacks),
            (1, 1),
            "{account:?}"
        );
        assert_eq!(
            (account.fetched_again, account.restarts),
            (0, 0),
            "{account:?}"
        );
        assert!(came.stall < ms(200), "{:?}: {account:?}", came.stall);
        let backup = account
            .paths
            .iter()
            .find(|path| path.role == Role::Backup)
            .unwrap();
        assert!(backup.body < (SIZE * 3 / 4) as u64, "{account:?}");
    });
}

#[test]
fn a_download_that_began_on_cellular_goes_back_to_wifi() {
    const SIZE: usize = 30_000_000;
    play(async |scene| {
        let before = scene.blackhole();
        let client = scene.client(Standby::Cold);
        let url = scene.url(false, &format!("file?size={SIZE}&seed=3"));
        let mut response = soon("the head", client.get(&url).send()).await.unwrap();
        let mut came = Came::default();
        came.read_to(SIZE / 10, &mut response).await.unwrap();
        scene.wifi().assert_dropped_since(&before);
        scene.wifi().heal();
        came.read_all(&mut response).await.unwrap();
        assert_eq!(came.hash(), Hash::of(&content(3, SIZE)));
        let account = response.report().summary();
        assert_eq!(
            (account.failovers, account.failbacks),
            (0, 1),
            "{account:?}"
        );
        assert_eq!(account.fetched_again, 0, "{account:?}");
    });
}
