//! What a client of requests asks of a connector: which path to take now, and connections over that path alone.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use twinpath_proto::{Role, ServiceType};

use super::Connector;
use super::builder::Options;
use super::paths::{self, Plan};
use super::race::{self, BACKUP_DELAY};
use crate::connection::Connection;
use crate::detect::{Answer, probe};
use crate::dialer::Path;
use crate::driver::{BoxFuture, LegStream};
use crate::error::ConnectError;
use crate::mode::Mode;
use crate::target::Target;

/// A question that a dialer is asked takes no longer.
const ASK_LIMIT: Duration = Duration::from_millis(900);

impl Connector {
    /// Whether connections to `target` take one of two paths, and cannot move by themselves.
    pub(crate) fn has_pair(&self, target: &Target) -> bool {
        self.plan(target)
            .is_ok_and(|plan| plan.mode == Mode::PlainPair)
    }

    /// What is asked of the two paths.
    pub(crate) fn service(&self) -> ServiceType {
        self.options.session.service
    }

    /// Whether the backup is to be ready.
    pub(crate) fn is_warm(&self) -> bool {
        self.options.is_warm()
    }

    /// Whether what the device mandates is to be obeyed.
    pub(crate) fn respects_mandates(&self) -> bool {
        self.options.respects_mandates()
    }

    /// Connects over the path of that role alone, with plain TCP.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all attempts.
    pub(crate) async fn connect_over(
        &self,
        target: &Target,
        role: Role,
    ) -> Result<Connection, ConnectError> {
        let plan = self.plan(target)?;
        let path = plan.path(role).cloned();
        let limit = self.options.connect_timeout;
        let race = race::race_paths(
            path.into_iter().collect(),
            |path| self.dial(path, target),
            target,
            Duration::ZERO,
            limit,
        );
        let won = race.await?;
        let known = self.watch.interfaces()?;
        Ok(self.over_plain(target, plan, won, &known))
    }

    /// The path that a request to `target` should take now: the primary, unless it was found dead under a connection to
    /// that server and is not yet proven alive again.
    pub(crate) fn preferred(&self, target: &Target) -> Role {
        self.doubt.preferred(target.host())
    }

    /// Waits until [`preferred`](Self::preferred) may have changed.
    pub(crate) async fn preference_changed(&self) {
        self.doubt.changed().await;
    }

    /// A stream to `target` over `path`, which may be open already.
    pub(super) fn dial(&self, path: &Path, target: &Target) -> BoxFuture<io::Result<LegStream>> {
        match self.spares.take(path, target) {
            Some(leg) => Box::pin(std::future::ready(Ok(leg))),
            None => self.options.dialer.dial(path, target),
        }
    }

    /// By how much the primary goes before the backup in a connect.
    pub(super) fn head_start(&self) -> Duration {
        match self.doubt.is_any() {
            true => Duration::ZERO,
            false => BACKUP_DELAY,
        }
    }

    /// The primary path was found dead under a connection to `target`, which is at that address.
    pub(super) fn doubt_primary(&self, target: &Target, server: Option<SocketAddr>) {
        let options = Arc::clone(&self.options);
        let watch = Arc::downgrade(&self.watch);
        let host = target.host().to_owned();
        let target = target.clone();
        self.doubt.begin(
            &host,
            Box::new(move || {
                // With the interfaces as they are by then.
                let plan = watch.upgrade().and_then(|watch| {
                    let interfaces = watch.interfaces().ok()?;
                    Some(Plan::choose(
                        &options,
                        &target,
                        &interfaces,
                        &watch.mandate(&interfaces),
                        None,
                    ))
                });
                match plan.as_ref().and_then(|plan| plan.path(Role::Primary)) {
                    Some(path) => ask(&options, path, &target, server),
                    None => Box::pin(std::future::ready(Answer::Gone)),
                }
            }),
        );
    }

    fn plan(&self, target: &Target) -> Result<Plan, ConnectError> {
        let interfaces: Arc<[_]> = self.watch.interfaces()?;
        paths::check_names(&self.options, &interfaces)?;
        let mandate = self.watch.mandate(&interfaces);
        let plan = Plan::choose(&self.options, target, &interfaces, &mandate, None);
        paths::check_paths(&self.options, &plan)?;
        Ok(plan)
    }

    pub(crate) fn budget_is_spent(&self) -> bool {
        self.is_spent()
    }
}

/// Whether a server answers on a path: a handshake that leads to nothing.
pub(super) fn ask(
    options: &Options,
    path: &Path,
    target: &Target,
    server: Option<SocketAddr>,
) -> BoxFuture<Answer> {
    if let Some(server) = server.filter(|_| options.own_sockets) {
        return Box::pin(probe::ask(path.binding(), server));
    }
    let dialing = options.dialer.dial(path, target);
    Box::pin(async move {
        match timeout(ASK_LIMIT, dialing).await {
            Ok(Ok(leg)) => {
                leg.abort();
                Answer::Heard(Duration::ZERO)
            }
            Ok(Err(error)) => Answer::of_error(&error, Duration::ZERO),
            Err(_) => Answer::Nothing,
        }
    })
}
