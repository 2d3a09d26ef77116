//! MPTCP by a platform's framework: when it is asked for, what is said of it, and what comes in its place.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as Lock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use twinpath::driver::{BoxFuture, LegStream};
use twinpath::{
    ConnectError, Connection, Connector, ConnectorBuilder, Dialer, Interface, InterfaceKind,
    InterfaceSelector, Mode, ModeReason, Path, Peer, Protection, Role, ServiceType, Target,
    Unprotected,
};

const LIMIT: Duration = Duration::from_secs(20);

/// The fed interfaces are the process's: one test at a time.
static INTERFACES: Mutex<()> = Mutex::const_new(());

async fn wifi_and_cellular() -> MutexGuard<'static, ()> {
    let guard = INTERFACES.lock().await;
    let both = [
        ("wlan0", 1, InterfaceKind::Wifi),
        ("wwan0", 2, InterfaceKind::Cellular),
    ];
    let both = both.map(|(name, index, kind)| {
        let mut interface = Interface::new(name, index, kind);
        interface.addresses = vec![[127, 0, 0, 1].into()];
        interface
    });
    twinpath_socket::feed_interfaces(both.to_vec());
    guard
}

/// What the platform does when it is asked for MPTCP.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Opens,
    /// As without the entitlement.
    Forbids,
    /// As over a dead path.
    IsSilent,
    HasNone,
}

/// Who was asked for what.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Multipath(ServiceType),
    Plain(Role),
}

#[derive(Debug)]
struct Platform {
    server: SocketAddr,
    answer: Answer,
    asked: Lock<Vec<Asked>>,
}

impl Platform {
    async fn that(answer: Answer) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        Arc::new(Self {
            server,
            answer,
            asked: Lock::default(),
        })
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn open(&self) -> BoxFuture<io::Result<LegStream>> {
        let server = self.server;
        // As frameworks have it, no socket of this process.
        Box::pin(async move {
            let (near, mut far) = tokio::io::duplex(1024);
            let mut server = TcpStream::connect(server).await?;
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut server).await });
            Ok(LegStream::other(near))
        })
    }
}

impl Dialer for Platform {
    fn dial(&self, path: &Path, _: &Target) -> BoxFuture<io::Result<LegStream>> {
        self.asked.lock().unwrap().push(Asked::Plain(path.role()));
        self.open()
    }

    fn dial_multipath(
        &self,
        service: ServiceType,
        path: &Path,
        _: &Target,
    ) -> Option<BoxFuture<io::Result<LegStream>>> {
        assert_eq!(path.interface(), None, "the platform chooses");
        self.asked.lock().unwrap().push(Asked::Multipath(service));
        match self.answer {
            Answer::Opens => Some(self.open()),
            Answer::Forbids => Some(Box::pin(async {
                let why = "Operation not permitted";
                Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
            })),
            Answer::IsSilent => Some(Box::pin(pending())),
            Answer::HasNone => None,
        }
    }
}

fn connector(
    platform: &Arc<Platform>,
    change: impl FnOnce(ConnectorBuilder) -> ConnectorBuilder,
) -> Connector {
    let builder = Connector::builder()
        .dialer(Arc::clone(platform) as _)
        .multipath_entitlement(true)
        .respect_mandates(false);
    change(builder).build().unwrap()
}

async fn connect(connector: &Connector) -> Result<Connection, ConnectError> {
    timeout(LIMIT, connector.connect("server.example:443"))
        .await
        .unwrap()
}

/// Sends, and has it back.
async fn is_echoed(connection: &mut Connection) {
    connection.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    let reading = connection.read_exact(&mut answer);
    timeout(LIMIT, reading).await.unwrap().unwrap();
    assert_eq!(&answer, b"ping");
}

const NOT_TOLD: Protection = Protection::Unprotected {
    reason: Unprotected::PlatformDoesNotTell,
};

#[tokio::test]
async fn a_connection_of_the_platforms_says_what_it_is_and_claims_nothing() {
    let _feed = wifi_and_cellular().await;
    let platform = Platform::that(Answer::Opens).await;
    let connector = connector(&platform, |it| it.service(ServiceType::Interactive));
    let mut connection = connect(&connector).await.unwrap();
    assert_eq!(connection.mode(), Mode::KernelMptcp);
    assert_eq!(connection.mode_reason(), ModeReason::PlatformMptcp);
    is_echoed(&mut connection).await;
    assert_eq!(connection.protection(), NOT_TOLD);
    // Which interface carries the bytes is not known.
    assert_eq!(&*connection.active_path().unwrap().name, "system route");
    assert_eq!(
        platform.asked(),
        [Asked::Multipath(ServiceType::Interactive)]
    );
    let summary = connection.close().await;
    assert_eq!((summary.written, summary.read), (4, 4));
}

#[tokio::test]
async fn without_the_entitlement_the_next_mode_serves_and_says_why() {
    let _feed = wifi_and_cellular().await;
    let forbids = (Answer::Forbids, "Operation not permitted");
    let has_none = (Answer::HasNone, "the dialer has no such connections");
    for (answer, words) in [forbids, has_none] {
        let platform = Platform::that(answer).await;
        let mut connection = connect(&connector(&platform, |it| it)).await.unwrap();
        is_echoed(&mut connection).await;
        assert_eq!(connection.mode(), Mode::PlainPair);
        let reason = connection.mode_reason();
        assert!(
            matches!(&reason, ModeReason::NoMptcp(why) if why.contains(words)),
            "{reason}"
        );
        let asked = [
            Asked::Multipath(ServiceType::Handover),
            Asked::Plain(Role::Primary),
        ];
        assert_eq!(platform.asked(), asked, "and cellular is not touched");
    }
}

#[tokio::test]
async fn a_dead_wifi_does_not_hold_up_the_connect() {
    let _feed = wifi_and_cellular().await;
    let platform = Platform::that(Answer::IsSilent).await;
    let mut connection = connect(&connector(&platform, |it| it)).await.unwrap();
    is_echoed(&mut connection).await;
    assert_eq!(connection.mode(), Mode::PlainPair);
    let reason = connection.mode_reason().to_string();
    assert!(reason.contains("the first to answer"), "{reason}");
    assert_eq!(platform.asked().last(), Some(&Asked::Plain(Role::Backup)));
}

#[tokio::test]
async fn the_platform_is_asked_only_where_it_is_allowed_and_of_use() {
    let _feed = wifi_and_cellular().await;
    let never = |change: fn(ConnectorBuilder) -> ConnectorBuilder| async move {
        let platform = Platform::that(Answer::Opens).await;
        let connection = connect(&connector(&platform, change)).await.unwrap();
        let asked = platform.asked();
        let plain = [Asked::Plain(Role::Primary)];
        assert_eq!(asked, plain, "{}", connection.mode_reason());
        (connection.mode(), connection.mode_reason())
    };
    let (mode, reason) = never(|it| it.multipath_entitlement(false)).await;
    assert_eq!((mode, reason), (Mode::PlainPair, ModeReason::AnyServer));
    let (mode, _) = never(|it| it.peer(Peer::Gateway)).await;
    assert_eq!(mode, Mode::Emulated);
    let (mode, _) = never(|it| it.mode(Mode::SinglePath)).await;
    assert_eq!(mode, Mode::SinglePath);
    let (mode, reason) = never(|it| it.mode(Mode::PlainPair)).await;
    assert_eq!((mode, reason), (Mode::PlainPair, ModeReason::Pinned));
    let (_, reason) = never(|it| it.backup(InterfaceSelector::name("wwan0"))).await;
    assert!(reason.to_string().contains("named"), "{reason}");
    let (_, reason) = never(|it| it.budget(Some(0))).await;
    assert!(reason.to_string().contains("budget"), "{reason}");
}

#[tokio::test]
async fn what_is_pinned_has_nothing_in_its_place() {
    let _feed = wifi_and_cellular().await;
    let pinned = |it: ConnectorBuilder| it.mode(Mode::KernelMptcp).peer(Peer::Gateway);
    let platform = Platform::that(Answer::Opens).await;
    let mut connection = connect(&connector(&platform, pinned)).await.unwrap();
    is_echoed(&mut connection).await;
    assert_eq!(connection.mode(), Mode::KernelMptcp);
    assert_eq!(connection.mode_reason(), ModeReason::Pinned);
    assert_eq!(connection.protection(), NOT_TOLD);
    let platform = Platform::that(Answer::Forbids).await;
    let error = connect(&connector(&platform, pinned)).await.unwrap_err();
    assert!(error.to_string().contains("not permitted"), "{error}");
    assert_eq!(platform.asked().len(), 1);
    let named = connector(&platform, |it| {
        pinned(it).backup(InterfaceSelector::name("wwan0"))
    });
    let error = connect(&named).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoMptcp(_)), "{error}");
    let without = Connector::builder()
        .dialer(platform)
        .mode(Mode::KernelMptcp);
    let error = without.build().unwrap_err().to_string();
    assert!(error.contains("entitlement"), "{error}");
}
