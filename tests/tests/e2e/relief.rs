//! A client that has the kernel's MPTCP and nothing of Twinpath, served by a gateway that ends its dead subflow.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use twinpath_lab::Direction;
use twinpath_socket::ConnectOptions;
use twinpath_tests::{CELLULAR, Hash, Scene, Service, ms, soon};

const SIZE: usize = 6_000_000;
const ENDED: &str = "twinpath_raw_subflows_ended_total";

/// Downloads, and gives the longest silence and the bytes. `at`: what happens after so many bytes.
async fn download(scene: &Scene, at: usize, fault: impl Fn()) -> (Duration, Vec<u8>) {
    let mut options = ConnectOptions::default();
    options.mptcp = true;
    let mut raw = twinpath_socket::connect(scene.address(), &options)
        .await
        .unwrap();
    raw.write_all(b"?").await.unwrap();
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 65_536]);
    let (mut silence, mut last) = (Duration::ZERO, Instant::now());
    loop {
        let read = soon("more bytes", raw.read(&mut piece)).await.unwrap();
        if read == 0 {
            return (silence, bytes);
        }
        if (bytes.len()..bytes.len() + read).contains(&at) {
            fault();
        }
        silence = silence.max(last.elapsed());
        last = Instant::now();
        bytes.extend_from_slice(&piece[..read]);
    }
}

#[test]
fn a_download_over_the_kernels_mptcp_goes_on_at_once_when_its_wifi_is_dead() {
    Scene::before(Service::Source(SIZE as u64)).play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let before = scene.wifi().counters();
        let dying = || scene.wifi().blackhole(Direction::Both);
        let (silence, bytes) = download(scene, SIZE / 4, dying).await;
        scene.wifi().assert_dropped_since(&before);
        let visit = scene.book.visit().await;
        assert_eq!((bytes.len(), visit.sent), (SIZE, Some(Hash::of(&bytes))));
        assert_eq!(scene.sample(ENDED).await, 1.0);
        assert_eq!(
            scene
                .sample("twinpath_raw_negotiated_total{transport=\"mptcp\"}")
                .await,
            1.0
        );
        assert!(silence < ms(1000), "{silence:?}");
    });
}

#[test]
fn a_download_that_is_well_keeps_its_subflows() {
    Scene::before(Service::Source(SIZE as u64))
        .wifi(|wifi| wifi.loss = 0.01)
        .play(async |scene| {
            scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
            let (_, bytes) = download(scene, usize::MAX, || {}).await;
            let visit = scene.book.visit().await;
            assert_eq!((bytes.len(), visit.sent), (SIZE, Some(Hash::of(&bytes))));
            assert_eq!(scene.sample(ENDED).await, 0.0);
        });
}
