//! What applications do with a connection, and how long they had to wait while a fault struck.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;
use twinpath::{EventKind, Standby};

use crate::client::Client;
use crate::fault::{Failover, Fault, Strike};
use crate::patience::{ms, soon};
use crate::scene::Scene;
use crate::service::Service;
use crate::stream::{Pattern, Tally, read_echoes};

/// A transfer in one direction.
const BULK: u64 = 4_000_000;
/// What is read slowly.
const SLOW: u64 = 2_000_000;
const MESSAGE: usize = 200;
const EVERY: Duration = ms(10);
/// Messages before and after the fault.
const BEFORE: usize = 40;
const AFTER: usize = 120;

/// What an application does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Sends much.
    Upload,
    /// Receives much.
    Download,
    /// Sends a short message every 10 ms and has it echoed.
    Echo,
    /// Says nothing for a while, then asks.
    IdleThenRequest,
    /// Ends its direction, then receives much.
    HalfClose,
    /// Receives, and takes its time.
    SlowReader,
}

impl Workload {
    const fn service(self) -> Service {
        match self {
            Self::Upload => Service::Sink,
            Self::Download => Service::Source(BULK),
            Self::Echo => Service::Echo,
            Self::IdleThenRequest => Service::Requests,
            Self::HalfClose => Service::Reply(BULK),
            Self::SlowReader => Service::Source(SLOW),
        }
    }

    /// What bulk adds: TCP has to find the rate of the other link, and on a busy machine loses its way at times.
    /// The bench measures what it usually is.
    const fn extra_stall(self) -> Duration {
        match self {
            Self::Echo | Self::IdleThenRequest => ms(0),
            _ => ms(700),
        }
    }

    /// Does this while `fault` strikes, and panics unless every byte arrives, in time, with the events that are due.
    #[track_caller]
    pub fn survives(self, fault: Fault) {
        if !fault.can_be_had() {
            return;
        }
        fault
            .prepare(Scene::before(self.service()))
            .play(async |scene| self.play(scene, fault).await);
    }

    async fn play(self, scene: &Scene, fault: Fault) {
        let strike = Strike::new(scene, fault);
        let mut client = if fault == Fault::SynDrop {
            scene
                .connect_with(scene.connector().standby(Standby::Warm))
                .await
        } else {
            scene.connect().await
        };
        let cellular_before = scene.cellular().counters();
        let stall = match self {
            Self::Upload => upload(scene, &mut client, &strike).await,
            Self::Download => download(scene, &mut client, &strike).await,
            Self::Echo => echo(&mut client, &strike).await,
            Self::IdleThenRequest => requests(&mut client, &strike).await,
            Self::HalfClose => half_close(scene, &mut client, &strike).await,
            Self::SlowReader => slow_reader(scene, &mut client, &strike).await,
        };
        strike.over().await;
        strike.prove().await;
        if fault.failover() == Failover::Due {
            client.tale.until_kind(EventKind::Failover).await;
            let cellular = scene.cellular().counters() - cellular_before;
            assert!(cellular.payload_offered() > 0, "cellular carried nothing");
        }
        let tale = client.tale.clone();
        let summary = client.close().await;
        if fault.failover() == Failover::False {
            assert_eq!(tale.count(EventKind::Failover), 0, "{tale:?}");
        }
        if fault == Fault::None {
            // A busy machine may be late with an answer, but not often, and not for long.
            assert!(summary.hedges <= 3, "{tale:?}");
            assert_eq!(summary.failovers, 0, "{tale:?}");
        }
        log::info!("{self:?} under {fault:?}: a stall of {stall:?}");
        let limit = fault.worst_stall() + self.extra_stall();
        assert!(
            stall <= limit,
            "a stall of {stall:?}, {limit:?} is allowed: {tale:?}"
        );
    }
}

async fn upload(scene: &Scene, client: &mut Client, strike: &Strike) -> Duration {
    let (read, write) = client.connection.split();
    let mut pattern = Pattern::new(2);
    let writing = async {
        let hash = pattern.write(BULK, write).await?;
        write.finish();
        std::io::Result::Ok(hash)
    };
    let striking = async {
        scene.book.until_received(BULK / 4).await;
        strike.now();
        Ok(())
    };
    let (hash, (), size) = soon("the upload", async {
        tokio::try_join!(writing, striking, read.read_u64())
    })
    .await
    .unwrap();
    let visit = scene.book.visit().await;
    assert_eq!((size, visit.bytes), (BULK, BULK));
    assert_eq!(visit.received, hash);
    visit.stall
}

async fn download(scene: &Scene, client: &mut Client, strike: &Strike) -> Duration {
    client.connection.write_all(b"!").await.unwrap();
    receive(scene, client, strike, BULK).await
}

async fn half_close(scene: &Scene, client: &mut Client, strike: &Strike) -> Duration {
    let (_, write) = client.connection.split();
    let hash = Pattern::new(3).write(10_000, write).await.unwrap();
    write.finish();
    let stall = receive(scene, client, strike, BULK).await;
    assert_eq!(scene.book.visit().await.received, hash);
    stall
}

async fn receive(scene: &Scene, client: &mut Client, strike: &Strike, size: u64) -> Duration {
    let mut tally = Tally::default();
    let connection = &mut client.connection;
    soon(
        "a part of the download",
        tally.read_to(size / 4, connection),
    )
    .await
    .unwrap();
    strike.now();
    soon("the rest of the download", tally.read_to_end(connection))
        .await
        .unwrap();
    // The service learns of the end by the client's.
    client.connection.shutdown().await.unwrap();
    assert_eq!(tally.bytes, size);
    assert_eq!(Some(tally.hash()), scene.book.visit().await.sent);
    tally.stall
}

async fn slow_reader(scene: &Scene, client: &mut Client, strike: &Strike) -> Duration {
    client.connection.write_all(b"!").await.unwrap();
    let mut tally = Tally::default();
    let reading = async {
        while tally.bytes < SLOW {
            let before = tally.bytes;
            tally
                .read_to((before + 20_000).min(SLOW), &mut client.connection)
                .await?;
            if before < SLOW / 4 && tally.bytes >= SLOW / 4 {
                strike.now();
            }
            sleep(ms(20)).await;
        }
        tally.read_to_end(&mut client.connection).await
    };
    soon("the slow download", reading).await.unwrap();
    client.connection.shutdown().await.unwrap();
    assert_eq!(Some(tally.hash()), scene.book.visit().await.sent);
    tally.stall
}

async fn echo(client: &mut Client, strike: &Strike) -> Duration {
    let (read, write) = client.connection.split();
    let sent = RefCell::new(Vec::new());
    let writing = async {
        let mut pattern = Pattern::new(4);
        let mut tick = tokio::time::interval(EVERY);
        let mut last = None;
        for number in 0.. {
            tick.tick().await;
            if number == BEFORE {
                strike.now();
            }
            if strike.is_over() && last.is_none() {
                last = Some(number + AFTER);
            }
            if last == Some(number) {
                break;
            }
            sent.borrow_mut().push(Instant::now());
            write.write_all(&pattern.take(MESSAGE)).await?;
        }
        write.finish();
        std::io::Result::Ok(())
    };
    let reading = read_echoes(read, Pattern::new(4), MESSAGE, &sent);
    let ((), worst) = soon("the echoes", async { tokio::try_join!(writing, reading) })
        .await
        .unwrap();
    worst
}

async fn requests(client: &mut Client, strike: &Strike) -> Duration {
    let mut worst = Duration::ZERO;
    let connection = &mut client.connection;
    let mut request = async || {
        let began = Instant::now();
        connection.write_all(b"?").await.unwrap();
        let answer = soon("the answer", connection.read_u8()).await.unwrap();
        assert_eq!(answer, b'?');
        began.elapsed()
    };
    // An app that has just begun; the connection knows its path by then.
    for _ in 0..10 {
        request().await;
    }
    sleep(ms(1200)).await;
    strike.now();
    sleep(ms(50)).await;
    let mut left = 10;
    while left > 0 || !strike.is_over() || !strike.is_felt() {
        worst = worst.max(request().await);
        left -= i32::from(left > 0);
        sleep(ms(50)).await;
    }
    worst
}
