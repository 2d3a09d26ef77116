//! Plain connections to any server.

use std::sync::Arc;

use twinpath_proto::Role;
use twinpath_socket::Interface;

use crate::connection::Connection;
use crate::pair::{self, Ways};
use crate::plain::{self, PlainStream};
use crate::target::Target;

use super::Connector;
use super::paired::Paired;
use super::paths::Plan;
use super::race::Won;

impl Connector {
    /// A connection to any server, over the stream that has won.
    pub(super) fn over_plain(
        &self,
        target: &Target,
        plan: Plan,
        won: Won,
        known: &[Interface],
    ) -> Connection {
        let role = won.path.role();
        let infos = plan
            .paths()
            .map(|path| (path.role(), Arc::new(path.info())))
            .collect();
        // The only path there is has no limit.
        let limited = plan.path(Role::Primary).is_some();
        let budget = limited.then(|| self.budget.clone());
        let (mode, reason) = (plan.mode, plan.reason.clone());
        if limited && role == Role::Backup && won.raced {
            // The primary had its chance. It is asked from now on, so that the next ones need not wait for it.
            self.doubt_primary(target, won.stream.peer_socket());
        }
        let shared = Arc::new(plain::Shared::new(mode, reason, role, infos, budget));
        let stream = PlainStream::new(won.stream, role, shared.tally());
        self.look_after(target, plan, &stream, &shared, known);
        Connection::over_stream(stream, shared)
    }

    /// Has a plain connection looked after as long as it lives.
    pub(super) fn look_after(
        &self,
        target: &Target,
        plan: Plan,
        stream: &Arc<PlainStream>,
        shared: &Arc<plain::Shared>,
        known: &[Interface],
    ) {
        let paired = Arc::new(Paired::new(self.clone(), target, plan, stream, shared));
        let ways: Arc<dyn Ways> = Arc::clone(&paired) as _;
        shared.attach(stream, &ways);
        shared.keep(Arc::clone(&paired) as _);
        pair::keep(stream, shared, ways);
        self.watch.add(paired, known);
    }
}
