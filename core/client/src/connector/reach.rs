//! What a client of requests asks of a connector: which path to take now, and connections over that path alone.

use std::sync::Arc;

use twinpath_proto::Role;

use super::paths::{self, Plan};
use super::{Connector, over_plain, race};
use crate::connection::Connection;
use crate::error::ConnectError;
use crate::mode::{Mode, ModeReason};
use crate::target::Target;

/// How a connection to a target would run at this moment.
#[derive(Debug, Clone)]
pub(crate) struct Outlook {
    pub(crate) mode: Mode,
    pub(crate) reason: ModeReason,
    /// Whether there is a path of that role.
    pub(crate) primary: bool,
    pub(crate) backup: bool,
}

impl Connector {
    /// How a connection to `target` would run. With [`Mode::PlainPair`] a request may take either path, and has to be
    /// moved by whoever makes it; with any other, [`connect_to`](Self::connect_to) gives all there is.
    pub(crate) fn outlook(&self, target: &Target) -> Result<Outlook, ConnectError> {
        let mut plan = self.plan(target)?;
        self.try_kernel(&mut plan, target)?;
        Ok(Outlook {
            primary: plan.path(Role::Primary).is_some(),
            backup: plan.path(Role::Backup).is_some(),
            mode: plan.mode,
            reason: plan.reason,
        })
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
            &self.options.dialer,
            target,
            limit,
        );
        Ok(over_plain(plan, race.await?))
    }

    /// The path that a request should take now: the primary, unless it has been found dead and not yet alive again.
    pub(crate) fn preferred(&self) -> Role {
        Role::Primary
    }

    /// Waits until [`preferred`](Self::preferred) may have changed.
    pub(crate) async fn preference_changed(&self) {
        std::future::pending().await
    }

    fn plan(&self, target: &Target) -> Result<Plan, ConnectError> {
        let interfaces: Arc<[_]> = self.watch.interfaces()?;
        paths::check_names(&self.options, &interfaces)?;
        let mandate = self.watch.mandate();
        let plan = Plan::choose(&self.options, target, &interfaces, &mandate, None);
        paths::check_paths(&self.options, &plan)?;
        Ok(plan)
    }

    pub(crate) fn budget_is_spent(&self) -> bool {
        self.is_spent()
    }
}
