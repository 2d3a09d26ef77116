//! What a link is.

use std::{fs, path::Path};

use super::message::Link;
use crate::{InterfaceKind, sys::shared::names};

const ARPHRD_ETHER: u16 = 1;
const ARPHRD_PPP: u16 = 512;
const ARPHRD_RAWIP: u16 = 519;
const ARPHRD_TUNNEL: u16 = 768;
const ARPHRD_TUNNEL6: u16 = 769;
const ARPHRD_SIT: u16 = 776;
const ARPHRD_IPGRE: u16 = 778;
const ARPHRD_IEEE80211: std::ops::RangeInclusive<u16> = 801..=803;

/// What sysfs tells of a device and netlink does not.
#[derive(Debug, Default)]
struct Device {
    wireless: bool,
    /// The DEVTYPE of its uevent, as in "wlan" and "wwan".
    devtype: Option<String>,
}

pub(super) fn of(link: &Link) -> InterfaceKind {
    // Virtual links have a word of their own in netlink; only hardware has to be looked up.
    let device = if link.info_kind.is_none() {
        Device::read(link)
    } else {
        Device::default()
    };
    classify(link, &device)
}

/// Hardware first, then names, then tunnels: a tunnel that is named like a radio plays one in a
/// laboratory.
fn classify(link: &Link, device: &Device) -> InterfaceKind {
    let info_kind = link.info_kind.as_deref().unwrap_or_default();
    let devtype = device.devtype.as_deref().unwrap_or_default();
    if link.flags & libc::IFF_LOOPBACK as u32 != 0 {
        return InterfaceKind::Loopback;
    }
    if device.wireless
        || devtype == "wlan"
        || info_kind == "virt_wifi"
        || ARPHRD_IEEE80211.contains(&link.hardware)
    {
        return InterfaceKind::Wifi;
    }
    if devtype == "wwan" || matches!(info_kind, "wwan" | "rmnet") || link.hardware == ARPHRD_RAWIP {
        return InterfaceKind::Cellular;
    }
    if let by_name @ (InterfaceKind::Wifi | InterfaceKind::Cellular) = names::kind(&link.name) {
        return by_name;
    }
    let tunnel = matches!(
        info_kind,
        "tun"
            | "wireguard"
            | "ovpn"
            | "ppp"
            | "xfrm"
            | "vti"
            | "vti6"
            | "gre"
            | "ip6gre"
            | "ipip"
            | "ip6tnl"
            | "sit"
    );
    if tunnel
        || matches!(
            link.hardware,
            ARPHRD_PPP | ARPHRD_TUNNEL | ARPHRD_TUNNEL6 | ARPHRD_SIT | ARPHRD_IPGRE
        )
        || link.name.starts_with("ipsec")
    {
        return InterfaceKind::Vpn;
    }
    if link.hardware == ARPHRD_ETHER && !matches!(info_kind, "dummy" | "ifb" | "nlmon") {
        return InterfaceKind::Wired;
    }
    InterfaceKind::Other
}

impl Device {
    /// Nothing if sysfs is not there, or shows the devices of another network namespace, where the
    /// name may be another interface's.
    fn read(link: &Link) -> Self {
        let folder = Path::new("/sys/class/net").join(&link.name);
        let index = fs::read_to_string(folder.join("ifindex"))
            .ok()
            .and_then(|text| text.trim().parse().ok());
        if index != Some(link.index) {
            return Self::default();
        }
        let uevent = fs::read_to_string(folder.join("uevent")).unwrap_or_default();
        Self {
            wireless: folder.join("wireless").exists() || folder.join("phy80211").exists(),
            devtype: uevent
                .lines()
                .find_map(|line| line.strip_prefix("DEVTYPE="))
                .map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, hardware: u16, info_kind: Option<&str>) -> Link {
        Link {
            index: 5,
            name: name.into(),
            hardware,
            flags: 0,
            info_kind: info_kind.map(str::to_owned),
        }
    }

    #[test]
    fn a_tunnel_named_like_a_radio_counts_as_one() {
        for (name, expected) in [
            ("wlan0", InterfaceKind::Wifi),
            ("wwan0", InterfaceKind::Cellular),
            ("rmnet0", InterfaceKind::Cellular),
            ("cell1", InterfaceKind::Cellular),
            ("tun0", InterfaceKind::Vpn),
            ("office", InterfaceKind::Vpn),
        ] {
            assert_eq!(
                classify(&link(name, 0xfffe, Some("tun")), &Device::default()),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn hardware_goes_before_names() {
        let wlan = Device {
            wireless: true,
            devtype: None,
        };
        let wwan = Device {
            wireless: false,
            devtype: Some("wwan".into()),
        };
        assert_eq!(
            classify(&link("radio7", ARPHRD_ETHER, None), &wlan),
            InterfaceKind::Wifi
        );
        assert_eq!(
            classify(&link("usb0", ARPHRD_ETHER, None), &wwan),
            InterfaceKind::Cellular
        );
        assert_eq!(
            classify(&link("qmi0", ARPHRD_RAWIP, None), &Device::default()),
            InterfaceKind::Cellular
        );
    }

    #[test]
    fn cables_tunnels_and_the_rest() {
        let nothing = Device::default();
        assert_eq!(
            classify(&link("eth0", ARPHRD_ETHER, None), &nothing),
            InterfaceKind::Wired
        );
        assert_eq!(
            classify(&link("eth0", ARPHRD_ETHER, Some("veth")), &nothing),
            InterfaceKind::Wired
        );
        assert_eq!(
            classify(&link("dummy0", ARPHRD_ETHER, Some("dummy")), &nothing),
            InterfaceKind::Other
        );
        assert_eq!(
            classify(&link("wg0", 0xfffe, Some("wireguard")), &nothing),
            InterfaceKind::Vpn
        );
        assert_eq!(
            classify(&link("ppp0", ARPHRD_PPP, None), &nothing),
            InterfaceKind::Vpn
        );
        let mut lo = link("lo", 772, None);
        lo.flags = libc::IFF_LOOPBACK as u32;
        assert_eq!(classify(&lo, &nothing), InterfaceKind::Loopback);
    }
}
