//! What there is to know of this machine, read at one moment.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use twinpath::Interface;
use twinpath::mptcp::{Change, Endpoint, MptcpLimits, changes};
use twinpath_socket::mptcp::{PathManager, counters, is_available};

/// Where the kernel's parameters are, of the network namespace of whoever looks.
const SETTINGS: &str = "/proc/sys/net";

/// Errors are kept in words: that something cannot be known is a finding, too.
#[derive(Debug)]
pub(super) struct Facts {
    /// What the kernel says when it is asked for a socket.
    pub(super) socket: Option<io::Error>,
    /// Parameters by their names with slashes.
    pub(super) settings: HashMap<String, String>,
    /// The counters of MPTCP since the start of this network namespace.
    pub(super) counters: HashMap<String, u64>,
    pub(super) limits: Option<MptcpLimits>,
    pub(super) endpoints: Result<Vec<Endpoint>, String>,
    pub(super) may_change: bool,
    pub(super) changes: Result<Vec<Change>, String>,
    pub(super) interfaces: Vec<Interface>,
    pub(super) primary: Option<Interface>,
    pub(super) backup: Option<Interface>,
    /// What was named as primary and as backup.
    pub(super) named: [Option<String>; 2],
    pub(super) network_manager: bool,
    pub(super) kernel: String,
}

impl Facts {
    pub(super) fn gather(
        interfaces: &[Interface],
        primary: Option<&Interface>,
        backup: Option<&Interface>,
    ) -> Self {
        let mut facts = Self {
            socket: is_available().err(),
            counters: counters(),
            changes: changes().map_err(|error| error.to_string()),
            interfaces: interfaces.to_vec(),
            primary: primary.cloned(),
            backup: backup.cloned(),
            network_manager: Path::new("/run/NetworkManager").exists(),
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            named: [None, None],
            settings: HashMap::new(),
            limits: None,
            endpoints: Ok(Vec::new()),
            may_change: false,
        };
        let mptcp = [
            "enabled",
            "path_manager",
            "pm_type",
            "scheduler",
            "stale_loss_cnt",
            "checksum_enabled",
            "blackhole_timeout",
        ];
        let mut names: Vec<_> = mptcp.iter().map(|name| format!("mptcp/{name}")).collect();
        let filtered = [primary, backup].into_iter().flatten();
        let filtered = filtered.map(|it| it.name.as_str()).chain(["all"]);
        names.extend(filtered.map(|name| format!("ipv4/conf/{name}/rp_filter")));
        for name in names {
            if let Some(value) = read(&format!("{SETTINGS}/{name}")) {
                facts.settings.insert(name, value);
            }
        }
        match PathManager::open() {
            Ok(mut manager) => {
                facts.limits = manager.limits().ok();
                facts.endpoints = manager.endpoints().map_err(|error| error.to_string());
                facts.may_change = manager.may_change().unwrap_or_default();
            }
            Err(error) => facts.endpoints = Err(error.to_string()),
        }
        facts
    }

    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// `rp_filter` as it works on an interface: of the value for all and its own, the greater one.
    pub(super) fn filter(&self, interface: &str) -> u32 {
        let value = |name: &str| {
            let value = self.setting(&format!("ipv4/conf/{name}/rp_filter"));
            value.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        value("all").max(value(interface))
    }
}

fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}
