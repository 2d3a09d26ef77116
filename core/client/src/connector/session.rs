//! Sessions with gateways.

use std::sync::Arc;

use bytes::Bytes;
use twinpath_proto::{Role, Session};
use twinpath_socket::Interface;

use crate::budget::BudgetShare;
use crate::clock;
use crate::connection::Connection;
use crate::driver::Setup;
use crate::error::ConnectError;
use crate::target::Target;

use super::live::{LegSource, Live};
use super::paths::Plan;
use super::race::{self, Won};
use super::{Connector, tune_leg};

impl Connector {
    /// A session with a gateway, whose first leg has won.
    pub(super) fn over_session(
        &self,
        target: Target,
        plan: Plan,
        won: Won,
        known: &[Interface],
    ) -> Result<Connection, ConnectError> {
        tune_leg(&won.stream);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| ConnectError::Random(error.to_string()))?;
        let role = won.path.role();
        let (share, rest) = BudgetShare::new(&self.budget, plan.path(Role::Primary).is_none());
        let now = clock::now();
        let mut config = self.options.session.clone();
        config.budget = rest;
        let mut session = Session::client(config, seed, now);
        for role in Role::ALL {
            if plan.path(role).is_none() {
                session.path_available(role, false, now);
            }
        }
        let leg = session.leg_opened(role, won.stream.rtt(), now);
        let (mode, reason) = (plan.mode, plan.reason.clone());
        let infos: Vec<_> = plan
            .paths()
            .map(|path| (path.role(), Arc::new(path.info())))
            .collect();
        let live = Live::new(
            Arc::clone(&self.options),
            target,
            Arc::clone(&self.watch),
            plan,
            (&won.path, &won.stream),
            known,
        );
        if let Some((path, dialing)) = won.other.filter(|(path, _)| race::worth_keeping(path)) {
            if self.options.is_warm() {
                live.keep_spare(path.role(), dialing);
            }
        }
        let mut setup = Setup::new(session)
            .leg(leg, won.stream, Bytes::new())
            .dialer(Arc::new(LegSource(Arc::clone(&live))))
            .mode(mode, reason)
            .budget(share);
        for (role, info) in infos {
            setup = setup.path(role, info);
        }
        let (connection, handle) = setup.spawn();
        live.attach(handle.shared());
        self.watch.add(live, known);
        Ok(connection)
    }
}
