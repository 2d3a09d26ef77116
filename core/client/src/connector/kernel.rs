//! MPTCP by the kernel: asked for with the handshake, and given up where the server or something on the way has none.

use std::sync::Arc;

use tokio::net::TcpStream;
use twinpath_proto::Role;
use twinpath_socket::Interface;
use twinpath_socket::mptcp::mptcp_info;

use crate::connection::Connection;
use crate::driver::LegStream;
use crate::error::ConnectError;
use crate::kernel::{Choice, Watcher};
use crate::mode::{Mode, ModeReason};
use crate::mptcp::Lease;
use crate::plain::{self, PlainStream};
use crate::target::Target;

use super::attended::Attended;
use super::paths::Plan;
use super::race::Won;
use super::{Connector, Peer};

impl Connector {
    /// Whether to ask the peer for MPTCP: any server, where the kernel has a backup for it, or as the caller wants.
    pub(super) fn try_kernel(
        &self,
        plan: &mut Plan,
        target: &Target,
    ) -> Result<Option<Choice>, ConnectError> {
        if !self.options.dialer.binds_sockets() {
            return Ok(None);
        }
        let pinned = self.options.mode == Some(Mode::KernelMptcp);
        let free = self.options.mode.is_none()
            && self.options.peer(target) == Peer::Any
            && plan.mode == Mode::PlainPair;
        if !pinned && !free {
            return Ok(None);
        }
        let backup = plan.path(Role::Backup).and_then(crate::Path::interface);
        let choice = if free && self.is_spent() {
            // The kernel knows of no budget.
            self.endpoints.clear();
            Choice::Not("the budget for the backup is spent".into())
        } else {
            Choice::of(backup, &self.endpoints, pinned)
        };
        match choice {
            chosen @ (Choice::Kernel(_) | Choice::Soon) => {
                plan.mode = Mode::KernelMptcp;
                plan.reason = if pinned {
                    ModeReason::Pinned
                } else {
                    ModeReason::Mptcp
                };
                Ok(Some(chosen))
            }
            Choice::Not(reason) if pinned => Err(ConnectError::NoMptcp(reason)),
            Choice::Not(reason) => {
                log::debug!("no MPTCP: {reason}");
                plan.reason = ModeReason::NoMptcp(reason);
                Ok(None)
            }
        }
    }

    /// Takes the leases for the backup once the first handshake has left: they take about a millisecond.
    pub(super) async fn hold_meanwhile(
        &self,
        plan: &Plan,
        race: impl Future<Output = Result<Won, ConnectError>>,
    ) -> Result<(Won, Option<Vec<Lease>>), ConnectError> {
        let backup = plan.path(Role::Backup).and_then(crate::Path::interface);
        let hold = async {
            let held = backup.map(|backup| self.endpoints.hold(backup));
            match held.unwrap_or_else(|| Err("there is no second interface".into())) {
                Ok(leases) => leases,
                Err(reason) => {
                    log::debug!("MPTCP, though {reason}");
                    Vec::new()
                }
            }
        };
        // In this order, in one task: the race begins first.
        let (won, leases) = tokio::join!(biased; race, hold);
        Ok((won?, Some(leases)))
    }

    /// The kernel's MPTCP, if the server has it as well; else as over plain TCP.
    pub(super) fn over_kernel(
        &self,
        target: &Target,
        mut plan: Plan,
        won: Won,
        leases: Vec<Lease>,
        known: &[Interface],
    ) -> Connection {
        let infos = plan
            .paths()
            .map(|path| (path.role(), Arc::new(path.info())))
            .collect();
        // The server's answer to the handshake says already whether it knows MPTCP.
        let is_mptcp = |tcp: &TcpStream| mptcp_info(tcp).is_ok_and(|info| info.is_some());
        if !matches!(&won.stream, LegStream::Tcp(tcp) if is_mptcp(tcp)) {
            (plan.mode, plan.reason) = (Mode::PlainPair, ModeReason::FellBack);
            return self.over_plain(target, plan, won, known);
        }
        let role = won.path.role();
        let (mode, reason) = (plan.mode, plan.reason.clone());
        let attended = Attended::new(
            Arc::clone(&self.options),
            target.clone(),
            Arc::clone(&self.watch),
            Arc::clone(&self.endpoints),
            plan,
            leases,
        );
        let shared = Arc::new(plain::Shared::over_kernel(mode, reason, role, infos));
        let stream = PlainStream::new(won.stream, role, shared.tally());
        let watcher = Watcher::new(&stream, role, attended.ends());
        attended.attach(&shared);
        shared.keep(Arc::clone(&attended) as _);
        let (connector, target, weak) = (self.clone(), target.clone(), Arc::downgrade(&stream));
        shared.on_fall_back(Box::new(move |shared| {
            if let Some(stream) = weak.upgrade() {
                connector.look_after_fallen(&target, &stream, shared);
            }
        }));
        shared.watch(watcher);
        self.watch.add(attended, known);
        Connection::over_stream(stream, shared)
    }

    /// Something took MPTCP out of a connection after its handshake: it is plain TCP from now on.
    fn look_after_fallen(
        &self,
        target: &Target,
        stream: &Arc<PlainStream>,
        shared: &Arc<plain::Shared>,
    ) {
        let Ok(interfaces) = self.watch.interfaces() else {
            return;
        };
        let mut plan = Plan::choose(
            &self.options,
            target,
            &interfaces,
            &self.watch.mandate(&interfaces),
            None,
        );
        (plan.mode, plan.reason) = (Mode::PlainPair, ModeReason::FellBack);
        if plan.path(Role::Primary).is_some() {
            shared.end_exemption(&self.budget);
        }
        self.look_after(target, plan, stream, shared, &interfaces);
    }
}
