//! What applications do with a connection over MPTCP while it is in trouble.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;
use twinpath::{Mode, ModeReason, Peer, Protection, Unprotected};
use twinpath_lab::{Counters, LinkHandle, Rate};

use super::claims::{FELL_BACK, Law, NO_BACKUP, PRIMARY_LOST, PROTECTED, Watch};
use super::trouble::Trouble;
use crate::client::Client;
use crate::patience::{ms, soon};
use crate::scene::Scene;
use crate::service::Service;
use crate::stream::{Hash, Pattern, Tally, read_echoes};

/// What is moved in bulk, and the rate of Wi-Fi meanwhile: long enough to be struck half way.
const BULK: u64 = 3_000_000;
const BULK_RATE: Rate = Rate::mbit(10);
/// 25 ms of it: what a queue adds to the round trip, it adds to the time after which silence is a sign.
const BULK_QUEUE: usize = 32 * 1024;
const MESSAGE: usize = 200;
const EVERY: Duration = ms(20);
/// The kernel alone takes about a second to turn to the backup, on a machine that has nothing else to do.
const WORST: Duration = ms(2500);
/// What bulk adds: the kernel sends again what it had given to the dead path, a piece every 200 ms at first.
const BULK_EXTRA: Duration = ms(4000);

/// What an application does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Sends a short message every 20 ms and has it echoed.
    Chat,
    /// Sends much.
    Upload,
    /// Receives much.
    Download,
}

/// By which protocol the client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// IPv4, to a server that listens for both.
    Mapped,
}

impl Work {
    /// Does this while there is `trouble`, once for every family, and panics unless every byte arrives in time and
    /// every claim was true.
    #[track_caller]
    pub fn goes_on(self, trouble: Trouble) {
        if let Err(error) = twinpath_socket::mptcp::is_available() {
            twinpath_lab::skip(format_args!("no MPTCP: {error}"));
            return;
        }
        let test = thread::current();
        let name = test.name().unwrap_or("a test");
        thread::scope(|scope| {
            let playing: Vec<_> = [Family::V4, Family::V6, Family::Mapped]
                .into_iter()
                .map(|family| {
                    let thread = thread::Builder::new().name(format!("{name} {family:?}"));
                    let play = move || self.play(trouble, family);
                    thread.spawn_scoped(scope, play).unwrap()
                })
                .collect();
            for thread in playing {
                if let Err(panic) = thread.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
    }

    fn play(self, trouble: Trouble, family: Family) {
        let scene = Scene::before(match self {
            Self::Chat => Service::Echo,
            Self::Upload => Service::Sink,
            Self::Download => Service::Source(BULK),
        });
        let scene = match family {
            Family::V4 => scene,
            Family::V6 => scene.over_v6(),
            Family::Mapped => scene.for_both(),
        };
        let scene = match self {
            Self::Chat => scene,
            Self::Upload | Self::Download => scene.wifi(|wifi| {
                wifi.rate = Some(BULK_RATE);
                wifi.queue = BULK_QUEUE;
            }),
        };
        scene.play(async |scene| self.act(scene, trouble).await);
    }

    async fn act(self, scene: &Scene, trouble: Trouble) {
        let script = Script::new(scene, trouble);
        trouble.prepare(scene);
        let mut client = connect(scene, trouble).await;
        let watch = script.watch(&client);
        let worst = match self {
            Self::Chat => chat(scene, &mut client, &script, &watch).await,
            Self::Upload => upload(scene, &mut client, &script, &watch).await,
            Self::Download => download(scene, &mut client, &script, &watch).await,
        };
        log::info!("{self:?} under {trouble:?}: a stall of {worst:?}");
        let limit = match self {
            Self::Chat => WORST,
            Self::Upload | Self::Download => WORST + BULK_EXTRA,
        };
        assert!(worst < limit, "a stall of {worst:?}: {:?}", client.tale);
        trouble.prove(scene, &script.before);
        let law = self.law(trouble);
        if law.then == PRIMARY_LOST {
            let cellular = scene.cellular().counters() - script.struck()[1];
            assert!(cellular.payload_offered() > 0, "cellular carried nothing");
        }
        if trouble == Trouble::None {
            scene.cellular().assert_payload_since(&script.before[1], 0);
        }
        let reason = client.connection.mode_reason();
        if law.then == FELL_BACK {
            assert_eq!(reason, ModeReason::FellBack);
        } else {
            assert_eq!(reason, ModeReason::Mptcp);
        }
        watch.check(&law);
        soon("the end", client.connection.close()).await;
        trouble.prove_to_gateway(scene).await;
    }

    const fn law(self, trouble: Trouble) -> Law {
        let law = trouble.law();
        Law {
            // Who only receives has nothing under way whose silence would show that a path is dead.
            is_told: !(matches!(self, Self::Download) && law.healed.is_some()),
            ..law
        }
    }
}

/// Connects over Wi-Fi, unless it is in no state for it: a busy machine may let cellular win the race.
async fn connect(scene: &Scene, trouble: Trouble) -> Client {
    let mut connector = scene.connector().peer(Peer::Any);
    if trouble.is_alone() {
        connector = connector.mode(Mode::KernelMptcp);
    }
    let is_due = trouble.law().before.contains(&PRIMARY_LOST);
    let lost = Protection::Unprotected {
        reason: Unprotected::PrimarySubflowLost,
    };
    for _ in 0..5 {
        let client = scene.connect_with(connector.clone()).await;
        if is_due || client.connection.protection() != lost {
            return client;
        }
        log::info!("Wi-Fi was late, once more");
    }
    panic!("Wi-Fi is always late");
}

/// When it struck, and what the links had counted by then.
type Struck = Option<[Counters; 2]>;

/// When things happen.
struct Script {
    trouble: Trouble,
    links: [LinkHandle; 2],
    before: [Counters; 2],
    struck: Arc<Mutex<Struck>>,
}

impl Script {
    fn new(scene: &Scene, trouble: Trouble) -> Self {
        let links = [scene.wifi(), scene.cellular()];
        let before = [links[0].counters(), links[1].counters()];
        let is_there = trouble.is_from_the_start();
        let struck = is_there.then_some(before);
        Self {
            trouble,
            links,
            before,
            struck: Arc::new(Mutex::new(struck)),
        }
    }

    fn watch(&self, client: &Client) -> Watch {
        let (trouble, links) = (self.trouble, self.links.clone());
        let struck = Arc::clone(&self.struck);
        Watch::start(client.connection.monitor(), move || {
            let struck = *struck.lock().unwrap_or_else(PoisonError::into_inner);
            struck.is_some_and(|before| trouble.is_shown(&links, &before))
        })
    }

    fn struck(&self) -> [Counters; 2] {
        let struck = *self.struck.lock().unwrap_or_else(PoisonError::into_inner);
        struck.expect("it has not struck")
    }

    /// Strikes, once the connection is what it can be.
    async fn strike(&self, watch: &Watch) {
        if self.trouble.is_from_the_start() {
            return;
        }
        self.ready(watch).await;
        sleep(ms(300)).await;
        let now = [self.links[0].counters(), self.links[1].counters()];
        *self.struck.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        self.trouble.strike(&self.links[0]);
        log::info!("{:?} strikes", self.trouble);
    }

    /// Waits until the connection is what it can be.
    async fn ready(&self, watch: &Watch) {
        let ready = if self.trouble.is_alone() {
            NO_BACKUP
        } else {
            PROTECTED
        };
        while !self.trouble.is_from_the_start() && watch.claim() != ready {
            sleep(ms(10)).await;
        }
    }

    /// The whole story: trouble, until it has to be known, and the time after it.
    async fn run(&self, watch: &Watch) {
        self.strike(watch).await;
        while !watch.is_known() {
            sleep(ms(10)).await;
        }
        let Some(healed) = self.trouble.law().healed else {
            return;
        };
        self.trouble.heal(&self.links[0]);
        watch.healed();
        while watch.claim() != healed {
            sleep(ms(10)).await;
        }
        sleep(ms(300)).await;
    }
}

async fn chat(scene: &Scene, client: &mut Client, script: &Script, watch: &Watch) -> Duration {
    let is_over = Cell::new(false);
    let sent = RefCell::new(Vec::new());
    let (read, write) = client.connection.split();
    let writing = async {
        let mut pattern = Pattern::new(4);
        let mut tick = tokio::time::interval(EVERY);
        let mut all = Vec::new();
        while !is_over.get() {
            tick.tick().await;
            let message = pattern.take(MESSAGE);
            all.extend_from_slice(&message);
            sent.borrow_mut().push(Instant::now());
            write.write_all(&message).await?;
        }
        write.shutdown().await?;
        std::io::Result::Ok(Hash::of(&all))
    };
    let reading = read_echoes(read, Pattern::new(4), MESSAGE, &sent);
    let directing = async {
        script.run(watch).await;
        is_over.set(true);
        Ok(())
    };
    let all = async { tokio::try_join!(writing, reading, directing) };
    let (_, worst, ()) = watch.soon("the echoes", all).await.unwrap();
    assert_eq!(scene.book.visits(1).await[0].end, Ok(()));
    worst
}

async fn upload(scene: &Scene, client: &mut Client, script: &Script, watch: &Watch) -> Duration {
    let (read, write) = client.connection.split();
    let writing = async {
        let all = Pattern::new(2).take(BULK as usize);
        let (first, rest) = all.split_at(1000);
        write.write_all(first).await?;
        script.ready(watch).await;
        write.write_all(rest).await?;
        write.shutdown().await?;
        std::io::Result::Ok(Hash::of(&all))
    };
    let striking = async {
        scene.book.until_received(BULK / 4).await;
        script.strike(watch).await;
        Ok(())
    };
    let all = async { tokio::try_join!(writing, striking, read.read_u64()) };
    let (hash, (), size) = watch.soon("the upload", all).await.unwrap();
    let visit = scene.book.visit().await;
    assert_eq!((size, visit.bytes, visit.received), (BULK, BULK, hash));
    visit.stall
}

async fn download(scene: &Scene, client: &mut Client, script: &Script, watch: &Watch) -> Duration {
    client.connection.write_all(b"!").await.unwrap();
    let mut tally = Tally::default();
    let has_begun = Cell::new(false);
    let reading = async {
        tally.read_to(BULK / 4, &mut client.connection).await?;
        has_begun.set(true);
        tally.read_to_end(&mut client.connection).await
    };
    let striking = async {
        while !has_begun.get() {
            sleep(ms(10)).await;
        }
        script.strike(watch).await;
        Ok(())
    };
    let all = async { tokio::try_join!(reading, striking) };
    watch.soon("the download", all).await.unwrap();
    client.connection.shutdown().await.unwrap();
    assert_eq!(tally.bytes, BULK);
    assert_eq!(Some(tally.hash()), scene.book.visit().await.sent);
    tally.stall
}
