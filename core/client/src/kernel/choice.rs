//! Whether a connection shall be asked for as MPTCP.

use std::sync::Arc;

use twinpath_socket::{Interface, mptcp};

use super::endpoints::{Endpoints, is_there};
use crate::mptcp::Lease;

/// What was decided, and why.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// The kernel can do it, and has a backup for it while these live.
    Kernel(Vec<Lease>),
    /// It can do it, and the leases can be taken while the handshake is on its way: there is a backup, or the caller wants
    /// it anyway.
    Soon,
    /// It cannot, for this reason.
    Not(Arc<str>),
}

impl Choice {
    /// `wanted`: the caller asked for it, backup or not.
    pub(crate) fn of(backup: Option<&Interface>, endpoints: &Endpoints, wanted: bool) -> Self {
        if let Err(error) = mptcp::is_available() {
            return Self::Not(format!("the kernel makes no MPTCP socket: {error}").into());
        }
        if wanted {
            return Self::Soon;
        }
        let Some(backup) = backup else {
            return Self::Not("there is no second interface".into());
        };
        let held = match is_there(backup) {
            Ok(true) => return Self::Soon,
            Ok(false) => endpoints.hold(backup),
            Err(reason) => Err(reason),
        };
        match held {
            Ok(leases) => Self::Kernel(leases),
            Err(reason) => Self::Not(reason.into()),
        }
    }
}
