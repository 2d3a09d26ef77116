//! What a device mandates for all traffic, and what a target demands: then there is one path, the system's own.

use twinpath_socket::{Mandate, is_local_scope};

use crate::mode::ModeReason;
use crate::target::Target;

/// Why a connection to `target` has to take the system's route, if it has to.
///
/// A name that turns out to have private addresses only is noticed when it is resolved; see
/// [`SocketDialer`](crate::SocketDialer).
pub(super) fn one_path(mandate: &Mandate, target: &Target) -> Option<ModeReason> {
    if let Some(vpn) = &mandate.vpn {
        return Some(ModeReason::Vpn(vpn.as_str().into()));
    }
    if mandate.proxy {
        return Some(ModeReason::Proxy);
    }
    let local = match target.address() {
        Some(address) => is_local_scope(address),
        None => is_local_name(target.host()),
    };
    local.then_some(ModeReason::PrivateTarget)
}

/// Names that exist only near this device: multicast DNS (RFC 6762), localhost (RFC 6761), home networks (RFC 8375)
/// and private use (`internal`). A name of one label may be one that a search list completes, of any place: its
/// addresses tell.
fn is_local_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let under = |zone: &str| host == zone || host.ends_with(&format!(".{zone}"));
    ["local", "localhost", "home.arpa", "internal"]
        .into_iter()
        .any(under)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(host: &str) -> Option<ModeReason> {
        one_path(&Mandate::default(), &Target::new(host, 443))
    }

    #[test]
    fn a_target_that_one_network_knows_takes_the_systems_route() {
        for host in [
            "192.168.1.1",
            "fd00::1",
            "printer.local",
            "PRINTER.LOCAL.",
            "localhost",
            "x.home.arpa",
        ] {
            assert_eq!(reason(host), Some(ModeReason::PrivateTarget), "{host}");
        }
        for host in [
            "example.com",
            "gateway",
            "198.51.100.7",
            "2001:db8::1",
            "notlocal.example",
            "mylocal.com",
        ] {
            assert_eq!(reason(host), None, "{host}");
        }
    }

    #[test]
    fn a_vpn_goes_before_everything() {
        let mut mandate = Mandate::default();
        mandate.vpn = Some("tun0".to_owned());
        mandate.proxy = true;
        let reason = one_path(&mandate, &Target::new("example.com", 443));
        assert_eq!(reason, Some(ModeReason::Vpn("tun0".into())));
    }
}
