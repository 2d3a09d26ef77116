//! MPTCP by the platform's own framework, where apps have no such sockets: asked for, and never claimed to be there.
//!
//! Apple's `NWConnection` keeps the paths of an MPTCP connection by itself and does not tell what became of it: whether the
//! server speaks MPTCP, or whether there is a subflow over cellular. So such a connection is never said to be protected.

use std::io;
use std::sync::{Arc, OnceLock};

use twinpath_proto::Role;

use super::paths::Plan;
use super::race::Won;
use super::{Connector, Peer};
use crate::connection::Connection;
use crate::dialer::Path;
use crate::driver::{BoxFuture, LegStream};
use crate::error::ConnectError;
use crate::mode::{Mode, ModeReason};
use crate::plain::{self, PlainStream};
use crate::target::Target;

/// One question to the platform, and its answer once there is one.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The caller wants this mode and no other.
    pinned: bool,
    /// Empty if a connection was opened, else why not.
    answer: Arc<OnceLock<Option<Arc<str>>>>,
}

impl Asked {
    /// Whether the stream that won the race is the platform's; if not, why the connection runs in the next mode.
    pub(super) fn outcome(&self, won: &Won) -> Result<(), ModeReason> {
        if won.path.role() == Role::Backup {
            return Err(no_mptcp("the backup path was the first to answer"));
        }
        match self.answer.get() {
            Some(None) => Ok(()),
            Some(Some(why)) => Err(ModeReason::NoMptcp(Arc::clone(why))),
            None => Err(no_mptcp("the platform was not asked for MPTCP")),
        }
    }
}

impl Connector {
    /// Whether to ask the platform: towards any server, where there are two paths to choose from, or as the caller wants.
    pub(super) fn try_platform(
        &self,
        plan: &mut Plan,
        target: &Target,
    ) -> Result<Option<Asked>, ConnectError> {
        let options = &self.options;
        if options.dialer.binds_sockets() || !options.multipath_entitlement {
            return Ok(None);
        }
        let pinned = options.mode == Some(Mode::KernelMptcp);
        let free = options.mode.is_none()
            && options.peer(target) == Peer::Any
            && plan.mode == Mode::PlainPair;
        if !pinned && !free {
            return Ok(None);
        }
        let why_not = if options.names().next().is_some() {
            "interfaces are named, and the system's MPTCP chooses them by itself"
        } else if free && self.is_spent() {
            // The system knows of no budget.
            "the budget for the backup is spent"
        } else {
            if pinned {
                *plan = Plan::system_route(ModeReason::Pinned);
            }
            return Ok(Some(Asked {
                pinned,
                ..Asked::default()
            }));
        };
        if pinned {
            return Err(ConnectError::NoMptcp(why_not.into()));
        }
        plan.reason = no_mptcp(why_not);
        Ok(None)
    }

    /// The platform's connection; if there is none, one over `path` alone, unless the mode is pinned.
    pub(super) fn ask_platform(
        &self,
        asked: &Asked,
        path: &Path,
        target: &Target,
    ) -> BoxFuture<io::Result<LegStream>> {
        let (connector, path, target) = (self.clone(), path.clone(), target.clone());
        let (answer, pinned) = (Arc::clone(&asked.answer), asked.pinned);
        Box::pin(async move {
            let options = &connector.options;
            let route = Path::system_route(Role::Primary);
            let dialing = options
                .dialer
                .dial_multipath(options.session.service, &route, &target);
            let opened = match dialing {
                Some(dialing) => dialing.await,
                None => Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the dialer has no such connections",
                )),
            };
            match opened {
                Ok(leg) => {
                    let _ = answer.set(None);
                    Ok(leg)
                }
                Err(error) if pinned => Err(error),
                Err(error) => {
                    log::debug!("no MPTCP of the platform's: {error}");
                    let why = format!("the system opened no MPTCP connection: {error}");
                    let _ = answer.set(Some(why.into()));
                    connector.dial(&path, &target).await
                }
            }
        })
    }

    /// A connection that is left to the platform, and not looked after here. Its bytes count as the primary's, over whichever interface they go.
    pub(super) fn over_platform(plan: &Plan, won: Won) -> Connection {
        let reason = match &plan.reason {
            ModeReason::Pinned => ModeReason::Pinned,
            _ => ModeReason::PlatformMptcp,
        };
        let role = won.path.role();
        let info = Path::system_route(role).info();
        let paths = vec![(role, Arc::new(info))];
        let shared = plain::Shared::new(Mode::KernelMptcp, reason, role, paths, None);
        let stream = PlainStream::new(won.stream, role, shared.tally());
        Connection::over_stream(stream, Arc::new(shared))
    }
}

fn no_mptcp(why: &str) -> ModeReason {
    ModeReason::NoMptcp(why.into())
}
