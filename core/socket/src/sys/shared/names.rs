//! What an interface's name tells of its kind: the last resort, but on Android the only one.

use crate::InterfaceKind;

/// Linux's drivers and `systemd` name wireless interfaces so (`wlan0`, `wlp3s0`, `wlx00c0ca…`).
const WIFI: [&str; 6] = ["wlan", "wlp", "wls", "wlx", "wlo", "wifi"];
/// Qualcomm, MediaTek, older Androids, `systemd`, and one for laboratories.
const CELLULAR: [&str; 10] = [
    "wwan", "wwp", "wwx", "wws", "rmnet", "r_rmnet", "ccmni", "pdp_ip", "seth_", "cell",
];
const VPN: [&str; 6] = ["tun", "utun", "ppp", "ipsec", "wg", "tap"];
const WIRED: [&str; 5] = ["eth", "enp", "ens", "eno", "enx"];

/// The kind that a name suggests; [`InterfaceKind::Other`] if none.
pub(in crate::sys) fn kind(name: &str) -> InterfaceKind {
    // Android's translation of IPv4 over an IPv6-only network: v4-rmnet_data0.
    let name = name.strip_prefix("v4-").unwrap_or(name);
    let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if name == "lo" || name == "lo0" {
        InterfaceKind::Loopback
    } else if begins_with(&WIFI) {
        InterfaceKind::Wifi
    } else if begins_with(&CELLULAR) {
        InterfaceKind::Cellular
    } else if begins_with(&VPN) {
        InterfaceKind::Vpn
    } else if begins_with(&WIRED) {
        InterfaceKind::Wired
    } else {
        InterfaceKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_field_are_known() {
        for (name, expected) in [
            ("lo", InterfaceKind::Loopback),
            ("wlan0", InterfaceKind::Wifi),
            ("wlp0s20f3", InterfaceKind::Wifi),
            ("rmnet_data2", InterfaceKind::Cellular),
            ("v4-rmnet_data2", InterfaceKind::Cellular),
            ("ccmni1", InterfaceKind::Cellular),
            ("wwan0", InterfaceKind::Cellular),
            ("tun0", InterfaceKind::Vpn),
            ("ipsec1", InterfaceKind::Vpn),
            ("eth0", InterfaceKind::Wired),
            ("dummy0", InterfaceKind::Other),
        ] {
            assert_eq!(kind(name), expected, "{name}");
        }
    }
}
