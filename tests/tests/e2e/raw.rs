//! Clients that know nothing of Twinpath, on the same port.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twinpath_tests::{Hash, Pattern, Scene, Service, ms, soon};

#[test]
fn a_service_that_speaks_first_is_heard_by_silent_clients() {
    let patient = Scene::before(Service::Greeter).gateway(|it| it.raw_after(ms(300)));
    patient.play(async |scene| {
        let began = Instant::now();
        let mut raw = TcpStream::connect(scene.address()).await.unwrap();
        let mut words = [0; 6];
        soon("the greeting", raw.read_exact(&mut words))
            .await
            .unwrap();
        assert_eq!(&words, b"ready\n");
        assert!(began.elapsed() >= ms(300), "{:?}", began.elapsed());
        assert!(began.elapsed() < ms(3000), "{:?}", began.elapsed());

        // A session hears it as well, without waiting for that.
        let began = Instant::now();
        let mut client = scene.connect_cold().await;
        let greeting = client.connection.read_exact(&mut words);
        soon("the greeting", greeting).await.unwrap();
        assert_eq!(&words, b"ready\n");
        assert!(began.elapsed() < ms(300), "{:?}", began.elapsed());
        client.chat("hello").await;
        client.close().await;
        assert_eq!(scene.sample("twinpath_raw_total").await, 1.0);
    });
}

#[test]
fn a_client_that_says_one_byte_is_served() {
    Scene::before(Service::Requests).play(async |scene| {
        for byte in [b'?', b'G', 0x16, 0xff] {
            let mut raw = TcpStream::connect(scene.address()).await.unwrap();
            raw.write_all(&[byte]).await.unwrap();
            let answer = soon("the answer", raw.read_u8()).await.unwrap();
            assert_eq!(answer, byte);
        }
        assert_eq!(scene.book.requests(), 4);
        assert_eq!(scene.sample("twinpath_raw_total").await, 4.0);
        assert_eq!(scene.sample("twinpath_sessions_total").await, 0.0);
    });
}

#[test]
fn raw_bytes_pass_untouched_and_ends_are_handed_on() {
    Scene::before(Service::Reply(500_000)).play(async |scene| {
        let mut raw = TcpStream::connect(scene.address()).await.unwrap();
        let bytes = Pattern::new(5).take(400_000);
        let mut back = Vec::new();
        let exchange = async {
            raw.write_all(&bytes).await?;
            raw.shutdown().await?;
            raw.read_to_end(&mut back).await
        };
        soon("the exchange", exchange).await.unwrap();
        let visit = scene.book.visit().await;
        assert_eq!(visit.received, Hash::of(&bytes));
        assert_eq!((back.len(), visit.sent), (500_000, Some(Hash::of(&back))));
    });
}
