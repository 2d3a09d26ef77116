//! Whether a connection shall be asked for as MPTCP.

use std::sync::Arc;

use twinpath_socket::{Interface, mptcp};

use super::Endpoints;
use crate::mptcp::Lease;

/// What was decided, and why.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// The kernel can do it, and has a backup for it while these live; or the caller wants it anyway.
    Kernel(Vec<Lease>),
    /// It cannot, for this reason.
    Not(Arc<str>),
}

impl Choice {
    /// `wanted`: the caller asked for it, backup or not.
    pub(crate) fn of(backup: Option<&Interface>, endpoints: &Endpoints, wanted: bool) -> Self {
        if let Err(error) = mptcp::is_available() {
            return Self::Not(format!("the kernel makes no MPTCP socket: {error}").into());
        }
        let held = match backup {
            Some(backup) => endpoints.hold(backup),
            None => Err("there is no second interface".into()),
        };
        match held {
            Ok(leases) => Self::Kernel(leases),
            Err(reason) if wanted => {
                log::debug!("MPTCP as asked for, though {reason}");
                Self::Kernel(Vec::new())
            }
            Err(reason) => Self::Not(reason.into()),
        }
    }
}
