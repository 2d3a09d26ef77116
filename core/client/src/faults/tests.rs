//! What a leg sees of the faults of its path, in virtual time.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::*;
use crate::dialer::Path;
use crate::driver::{BoxFuture, LegStream};
use crate::target::Target;

/// Gives the far end of every leg to the test.
#[derive(Debug)]
struct Pipes(mpsc::UnboundedSender<DuplexStream>);

impl Dialer for Pipes {
    fn dial(&self, _path: &Path, _target: &Target) -> BoxFuture<io::Result<LegStream>> {
        let (near, far) = duplex(16 * 1024 * 1024);
        self.0.send(far).unwrap();
        Box::pin(std::future::ready(Ok(LegStream::other(near))))
    }
}

struct Scene {
    faults: Arc<FaultInjection>,
    dialer: Arc<dyn Dialer>,
    far: mpsc::UnboundedReceiver<DuplexStream>,
}

impl Scene {
    fn new() -> Self {
        let (sender, far) = mpsc::unbounded_channel();
        let faults = FaultInjection::new();
        let dialer = faults.around(Arc::new(Pipes(sender)));
        Self {
            faults,
            dialer,
            far,
        }
    }

    fn dial(&self, role: Role) -> BoxFuture<io::Result<LegStream>> {
        let path = Path::system_route(role);
        self.dialer.dial(&path, &Target::new("server.example", 1))
    }

    async fn leg(&mut self, role: Role) -> (LegStream, DuplexStream) {
        let leg = self.dial(role).await.unwrap();
        (leg, self.far.recv().await.unwrap())
    }
}

async fn is_silent(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut byte = [0];
    let read = stream.read(&mut byte);
    timeout(Duration::from_secs(20), read).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_blackhole_is_silent_both_ways_and_what_was_sent_meanwhile_arrives_when_it_is_over() {
    let mut scene = Scene::new();
    let (mut leg, mut far) = scene.leg(Role::Primary).await;
    scene.faults.set(Role::Primary, Some(Fault::Blackhole));
    leg.write_all(b"out").await.unwrap();
    far.write_all(b"in").await.unwrap();
    assert!(is_silent(&mut leg).await && is_silent(&mut far).await);
    let (mut other, mut other_far) = scene.leg(Role::Backup).await;
    other.write_all(b"!").await.unwrap();
    assert_eq!(other_far.read_u8().await.unwrap(), b'!');

    scene.faults.set(Role::Primary, None);
    let mut bytes = [0; 3];
    far.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"out");
    leg.read_exact(&mut bytes[..2]).await.unwrap();
    assert_eq!(&bytes[..2], b"in");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_opened_over_a_path_that_is_dark() {
    let mut scene = Scene::new();
    scene.faults.set(Role::Primary, Some(Fault::Blackhole));
    let mut dialing = scene.dial(Role::Primary);
    assert!(
        timeout(Duration::from_secs(20), &mut dialing)
            .await
            .is_err()
    );
    scene.faults.set(Role::Primary, None);
    dialing.await.unwrap();
    scene.far.recv().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_endless_delay_is_silence() {
    let mut scene = Scene::new();
    let (mut leg, mut far) = scene.leg(Role::Primary).await;
    let endless = Fault::Delay(Duration::MAX);
    scene.faults.set(Role::Primary, Some(endless));
    leg.write_all(b"out").await.unwrap();
    assert!(is_silent(&mut far).await);
    let mut dialing = scene.dial(Role::Primary);
    assert!(is_silent(&mut leg).await);
    assert!(
        timeout(Duration::from_secs(20), &mut dialing)
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_for_each_direction_and_for_the_handshake() {
    let mut scene = Scene::new();
    let delay = Duration::from_millis(100);
    scene.faults.set(Role::Primary, Some(Fault::Delay(delay)));
    let began = Instant::now();
    let (mut leg, mut far) = scene.leg(Role::Primary).await;
    assert_eq!(began.elapsed(), 2 * delay);
    leg.write_all(b"?").await.unwrap();
    assert_eq!(far.read_u8().await.unwrap(), b'?');
    far.write_all(b"!").await.unwrap();
    assert_eq!(leg.read_u8().await.unwrap(), b'!');
    assert_eq!(began.elapsed(), 4 * delay);
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_the_legs_of_that_path_and_of_no_other() {
    let mut scene = Scene::new();
    let (mut leg, mut far) = scene.leg(Role::Primary).await;
    let (mut backup, mut backup_far) = scene.leg(Role::Backup).await;
    scene.faults.reset(Role::Primary);
    let error = leg.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = leg.write_all(b"?").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);

    backup.write_all(b"!").await.unwrap();
    assert_eq!(backup_far.read_u8().await.unwrap(), b'!');
    let (mut later, mut later_far) = scene.leg(Role::Primary).await;
    later.write_all(b"!").await.unwrap();
    assert_eq!(later_far.read_u8().await.unwrap(), b'!');
}

#[tokio::test(start_paused = true)]
async fn a_blackhole_swallows_no_more_than_a_leg_may_have_on_its_way() {
    let mut scene = Scene::new();
    let (mut leg, _far) = scene.leg(Role::Primary).await;
    scene.faults.set(Role::Primary, Some(Fault::Blackhole));
    let mut taken = 0;
    let piece = [0; 4096];
    while let Ok(written) = timeout(Duration::from_secs(20), leg.write(&piece)).await {
        taken += written.unwrap();
        assert!(taken < 1024 * 1024, "{taken}");
    }
    assert!(taken >= 256 * 1024, "{taken}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_comes_after_all_of_its_bytes_whoever_lets_go() {
    let mut scene = Scene::new();
    let delay = Duration::from_millis(50);
    scene.faults.set(Role::Primary, Some(Fault::Delay(delay)));
    let (mut leg, mut far) = scene.leg(Role::Primary).await;
    let sent: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    leg.write_all(&sent).await.unwrap();
    // Dropped without another word, as a socket may be.
    drop(leg);
    let mut got = Vec::new();
    far.read_to_end(&mut got).await.unwrap();
    assert!(got == sent, "{} of {}", got.len(), sent.len());

    let (mut leg, mut far) = scene.leg(Role::Primary).await;
    far.write_all(&sent).await.unwrap();
    far.shutdown().await.unwrap();
    let mut got = Vec::new();
    leg.read_to_end(&mut got).await.unwrap();
    assert!(got == sent, "{} of {}", got.len(), sent.len());
}

#[tokio::test(start_paused = true)]
async fn a_leg_that_is_let_go_of_leaves_nothing_behind() {
    let mut scene = Scene::new();
    let (leg, mut far) = scene.leg(Role::Primary).await;
    drop(leg);
    // The peer has not ended its own direction, and need not.
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    let failed = async { while far.write_all(b"?").await.is_ok() {} };
    timeout(Duration::from_secs(20), failed).await.unwrap();

    let (mut leg, mut far) = scene.leg(Role::Primary).await;
    scene.faults.set(Role::Primary, Some(Fault::Blackhole));
    leg.write_all(b"never").await.unwrap();
    drop(leg);
    let gone = timeout(Duration::from_secs(60), far.read(&mut [0])).await;
    assert_eq!(gone.unwrap().unwrap(), 0);
}
