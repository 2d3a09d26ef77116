//! A world with a web server, and a client of requests in it.

use std::time::Duration;

use twinpath::http::{Client, ClientBuilder, Error, Response};
use twinpath::tls::TlsConfig;
use twinpath::{Connector, ConnectorBuilder, Mode, ServiceType, Standby};
use twinpath_lab::{Counters, Direction, LinkHandle};
use twinpath_tests::{Hash, Scene, SceneBuilder, Service, WebServer, ms, soon};

/// What a test plays in.
pub(super) struct WebScene<'a> {
    pub(super) scene: &'a Scene,
    pub(super) server: WebServer,
}

/// Plays in a world with Wi-Fi, cellular and a web server.
#[track_caller]
pub(super) fn play<F>(act: F)
where
    F: AsyncFnOnce(&WebScene<'_>) + Send,
{
    play_in(Scene::before(Service::Echo), act);
}

/// Plays in that world, with a web server in it.
#[track_caller]
pub(super) fn play_in<F>(scene: SceneBuilder, act: F)
where
    F: AsyncFnOnce(&WebScene<'_>) + Send,
{
    scene.play(async |scene| {
        let server = WebServer::start(&scene.world);
        act(&WebScene { scene, server }).await;
    });
}

impl WebScene<'_> {
    pub(super) fn wifi(&self) -> LinkHandle {
        self.scene.wifi()
    }

    pub(super) fn cellular(&self) -> LinkHandle {
        self.scene.cellular()
    }

    /// A connector as a phone has it, with a backup that stands by or does not.
    pub(super) fn connector(&self, standby: Standby) -> ConnectorBuilder {
        Connector::builder()
            .mode(Mode::PlainPair)
            .service(ServiceType::Handover)
            .standby(standby)
            .budget(None)
    }

    pub(super) fn builder(&self, connector: ConnectorBuilder) -> ClientBuilder {
        let tls = TlsConfig::new().with_only_roots(self.server.root.as_bytes());
        Client::builder(connector.build().unwrap()).tls(tls.unwrap())
    }

    pub(super) fn client(&self, standby: Standby) -> Client {
        self.builder(self.connector(standby)).build()
    }

    pub(super) fn url(&self, https: bool, rest: &str) -> String {
        self.server.url(https, rest)
    }

    /// Wi-Fi falls silent in both directions.
    pub(super) fn blackhole(&self) -> Counters {
        let before = self.wifi().counters();
        self.wifi().blackhole(Direction::Both);
        before
    }
}

/// What came of a body, and how long one had to wait for it at most.
#[derive(Debug, Default)]
pub(super) struct Came {
    pub(super) bytes: Vec<u8>,
    pub(super) stall: Duration,
}

impl Came {
    /// Reads on until there are so many bytes.
    pub(super) async fn read_to(
        &mut self,
        size: usize,
        response: &mut Response,
    ) -> Result<(), Error> {
        while self.bytes.len() < size && self.read(response).await? {}
        Ok(())
    }

    pub(super) async fn read_all(&mut self, response: &mut Response) -> Result<(), Error> {
        while self.read(response).await? {}
        Ok(())
    }

    async fn read(&mut self, response: &mut Response) -> Result<bool, Error> {
        let began = std::time::Instant::now();
        let next = soon("the next bytes", response.chunk()).await?;
        if !self.bytes.is_empty() {
            self.stall = self.stall.max(began.elapsed());
        }
        let Some(next) = next else {
            return Ok(false);
        };
        self.bytes.extend_from_slice(&next);
        Ok(true)
    }

    pub(super) fn hash(&self) -> Hash {
        Hash::of(&self.bytes)
    }
}

/// Half a second to find out and to begin anew.
pub(super) const SILENCE: Duration = ms(500);
