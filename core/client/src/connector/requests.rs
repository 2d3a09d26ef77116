//! What a client of requests asks of a connector: which path to take now, and connections over that path alone.

use std::sync::Arc;
use std::time::Duration;

use twinpath_proto::{Role, ServiceType};

use super::Connector;
use super::paths::{self, Plan};
use super::race;
use crate::connection::Connection;
use crate::error::ConnectError;
use crate::mode::Mode;
use crate::target::Target;

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
        match self.doubt.is_about(target.host()) {
            true => Role::Backup,
            false => Role::Primary,
        }
    }

    /// Waits until [`preferred`](Self::preferred) may have changed.
    pub(crate) async fn preference_changed(&self) {
        self.doubt.changed().await;
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
