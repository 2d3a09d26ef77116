//! Whether a connection shall be asked for as MPTCP.

use std::sync::Arc;

use twinpath_socket::Interface;
use twinpath_socket::mptcp::{self, Endpoint, EndpointFlags, PathManager};

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
    judge(&endpoints, backup)
}

fn judge(endpoints: &[Endpoint], backup: &Interface) -> Result<(), String> {
    let mut serving = endpoints
        .iter()
        .filter(|it| backup.addresses.contains(&it.address))
        .filter(|it| it.flags.has(EndpointFlags::SUBFLOW))
        .peekable();
    let name = &backup.name;
    if serving.peek().is_none() {
        return Err(format!("the kernel has no MPTCP endpoint for {name}"));
    }
    // NetworkManager makes endpoints of all interfaces alike: cellular would carry bytes while Wi-Fi is good.
    if serving.any(|it| !it.flags.has(EndpointFlags::BACKUP)) {
        return Err(format!(
            "the kernel's MPTCP endpoint for {name} has no backup flag, so that it would always be used"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use twinpath_socket::InterfaceKind;

    use super::*;

    #[test]
    fn only_an_endpoint_that_stands_by_is_a_backup() {
        let mut wwan0 = Interface::new("wwan0", 3, InterfaceKind::Cellular);
        wwan0.addresses = vec!["198.51.100.7".parse().unwrap()];
        let judged = |address: &str, flags| {
            let endpoint = Endpoint::new(address.parse().unwrap(), 3, flags);
            judge(&[endpoint], &wwan0)
        };
        let backup = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);
        assert_eq!(judged("198.51.100.7", backup), Ok(()));
        let always = judged("198.51.100.7", EndpointFlags::SUBFLOW);
        assert!(always.unwrap_err().contains("no backup flag"));
        for (address, flags) in [
            ("198.51.100.8", backup),
            ("198.51.100.7", EndpointFlags::SIGNAL),
        ] {
            let error = judged(address, flags).unwrap_err();
            assert!(error.contains("no MPTCP endpoint"), "{error}");
        }
    }
}
