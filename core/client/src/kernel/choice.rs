//! Whether a connection shall be asked for as MPTCP.

use std::net::IpAddr;
use std::sync::Arc;

use twinpath_socket::Interface;
use twinpath_socket::mptcp::{self, EndpointFlags, PathManager};

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The kernel can do it, and has a backup for it, or the caller wants it anyway.
    Kernel,
    /// It cannot, for this reason.
    Not(Arc<str>),
}

impl Choice {
    /// `wanted`: the caller asked for it, backup or not.
    pub(crate) fn of(backup: Option<&Interface>, wanted: bool) -> Self {
        if let Err(error) = mptcp::is_available() {
            return Self::Not(format!("the kernel makes no MPTCP socket: {error}").into());
        }
        match has_endpoint(backup) {
            Ok(()) => Self::Kernel,
            Err(reason) if wanted => {
                log::debug!("MPTCP as asked for, though {reason}");
                Self::Kernel
            }
            Err(reason) => Self::Not(reason.into()),
        }
    }
}

/// Whether the kernel's path manager opens subflows on that interface.
fn has_endpoint(backup: Option<&Interface>) -> Result<(), String> {
    let Some(backup) = backup else {
        return Err("there is no second interface".into());
    };
    let endpoints = PathManager::open().and_then(|mut manager| manager.endpoints());
    let endpoints =
        endpoints.map_err(|error| format!("the kernel's path manager cannot be asked: {error}"))?;
    let serves = |address: &IpAddr| {
        endpoints
            .iter()
            .any(|it| it.address == *address && it.flags.has(EndpointFlags::SUBFLOW))
    };
    if backup.addresses.iter().any(serves) {
        return Ok(());
    }
    Err(format!(
        "the kernel has no MPTCP endpoint for {}",
        backup.name
    ))
}
