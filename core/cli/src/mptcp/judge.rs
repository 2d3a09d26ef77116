//! What the facts mean for a connection with a backup.

use std::io;

use twinpath::Interface;
use twinpath::mptcp::What;

use super::endpoints;
use super::facts::Facts;
use super::findings::Findings;

/// `rp_filter`: answers are taken only on the interface by which the route back leaves.
const STRICT: u32 = 1;

pub(super) fn judge(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    socket(facts, &mut findings);
    settings(facts, &mut findings);
    blackhole(facts, &mut findings);
    paths(facts, &mut findings);
    privilege(facts, &mut findings);
    limits(facts, &mut findings);
    endpoints::judge(facts, &mut findings);
    filters(facts, &mut findings);
    changes(facts, &mut findings);
    if !facts.kernel.is_empty() {
        findings.note("release", format!("Linux {}", facts.kernel));
    }
    findings
}

fn socket(facts: &Facts, findings: &mut Findings) {
    const TOPIC: &str = "kernel";
    let Some(error) = &facts.socket else {
        findings.ok(TOPIC, "makes MPTCP sockets");
        return;
    };
    match facts.setting("mptcp/enabled") {
        _ if error.kind() == io::ErrorKind::Unsupported && error.raw_os_error().is_none() => {
            findings.missing(
                TOPIC,
                "this system has no MPTCP that sockets can ask for",
                "use a gateway",
            )
        }
        None => findings.missing(
            TOPIC,
            "was built without MPTCP",
            "use a kernel with CONFIG_MPTCP=y, which the big distributions have; or a gateway",
        ),
        Some("0") => findings.missing(
            TOPIC,
            "makes no MPTCP sockets: net.mptcp.enabled is 0",
            "sysctl -w net.mptcp.enabled=1",
        ),
        Some(_) => findings.missing(
            TOPIC,
            format!("makes no MPTCP sockets for this program: {error}"),
            "look for what forbids it: SELinux or AppArmor, seccomp, an eBPF program",
        ),
    }
}

fn settings(facts: &Facts, findings: &mut Findings) {
    const TOPIC: &str = "sysctl";
    let manager = match (
        facts.setting("mptcp/path_manager"),
        facts.setting("mptcp/pm_type"),
    ) {
        (Some(name), _) => Some(("path_manager", name == "kernel", "kernel")),
        (None, Some(number)) => Some(("pm_type", number == "0", "0")),
        (None, None) => None,
    };
    match manager {
        Some((_, true, _)) => findings.ok(TOPIC, "the kernel's own path manager is in force"),
        Some((name, false, kernel)) => findings.missing(
            TOPIC,
            "the kernel leaves it to a daemon (as mptcpd) to open subflows, and uses no endpoints",
            format!("sysctl -w net.mptcp.{name}={kernel}, or have the daemon open backup subflows"),
        ),
        None => {}
    }
    match facts.setting("mptcp/stale_loss_cnt") {
        Some("0") => findings.missing(
            TOPIC,
            "net.mptcp.stale_loss_cnt is 0: a subflow that is dead is never given up",
            "sysctl -w net.mptcp.stale_loss_cnt=4",
        ),
        Some(count) => {
            findings.ok(
                TOPIC,
                format!("a dead subflow is given up (stale_loss_cnt {count})"),
            );
        }
        None => {}
    }
    if let Some(name) = facts
        .setting("mptcp/scheduler")
        .filter(|it| *it != "default")
    {
        findings.note(
            TOPIC,
            format!("the scheduler is {name}, which may use a backup at other times"),
        );
    }
    if facts.setting("mptcp/checksum_enabled") == Some("1") {
        findings.note(TOPIC, "checksums are on, which costs time per byte");
    }
}

/// After SYNs that were lost with the option and got through without, the kernel leaves it out for a while.
fn blackhole(facts: &Facts, findings: &mut Findings) {
    let count = |name: &str| facts.counters.get(name).copied().unwrap_or_default();
    let (times, without) = (count("Blackhole"), count("MPCapableSYNTXDisabled"));
    if times == 0 {
        return;
    }
    let timeout = facts.setting("mptcp/blackhole_timeout").unwrap_or("3600");
    findings.hint(
        "blackhole",
        format!(
            "{times} times since the start something swallowed MPTCP; {without} connections were plain TCP because of \
             that, for {timeout} s or more each time"
        ),
        format!("sysctl -w net.mptcp.blackhole_timeout={timeout} has the kernel try again at once"),
    );
}

fn paths(facts: &Facts, findings: &mut Findings) {
    let [primary, backup] = &facts.named;
    path(
        "primary",
        facts.primary.as_ref(),
        primary,
        "no Wi-Fi and no cable",
        findings,
    );
    path(
        "backup",
        facts.backup.as_ref(),
        backup,
        "no cellular interface",
        findings,
    );
    let Some(backup) = &facts.backup else {
        return;
    };
    let name = &backup.name;
    match backup.has_default_route {
        Some(route) if !route.v4 && !route.v6 => findings.missing(
            "route",
            format!("no default route leaves by {name}"),
            format!("ip route add default dev {name} metric 1000 (with `via`, if it has a router)"),
        ),
        Some(_) => findings.ok("route", format!("a default route leaves by {name}")),
        None => {}
    }
}

fn path(
    topic: &'static str,
    interface: Option<&Interface>,
    named: &Option<String>,
    none: &str,
    findings: &mut Findings,
) {
    match (interface, named) {
        (Some(it), _) => findings.ok(topic, format!("{} ({})", it.name, it.kind)),
        (None, Some(name)) => findings.missing(
            topic,
            format!("{name} is down or has no address"),
            format!("connect it, or name another with --{topic}"),
        ),
        (None, None) => findings.missing(
            topic,
            format!("{none} that can be used"),
            format!("connect one, or name an interface with --{topic}"),
        ),
    }
}

fn privilege(facts: &Facts, findings: &mut Findings) {
    if facts.may_change {
        findings.ok(
            "privilege",
            "with CAP_NET_ADMIN a missing endpoint is added when connecting, and gone after that; a path that dies is left at once",
        );
    } else {
        findings.note(
            "privilege",
            "without CAP_NET_ADMIN, as this program runs now, connections use the endpoints that there are, and the kernel takes \
             about a second to leave a path that dies",
        );
    }
}

fn limits(facts: &Facts, findings: &mut Findings) {
    match facts.limits {
        Some(limits) if limits.subflows == 0 => findings.missing(
            "limits",
            "connections may have no second subflow",
            format!(
                "ip mptcp limits set subflows 2 add_addr_accepted {}",
                limits.accepted_addresses
            ),
        ),
        Some(limits) => {
            let count = limits.subflows;
            findings.ok("limits", format!("{count} more subflows per connection"));
        }
        None => {}
    }
}

fn filters(facts: &Facts, findings: &mut Findings) {
    const TOPIC: &str = "rp_filter";
    for interface in [&facts.primary, &facts.backup].into_iter().flatten() {
        let name = &interface.name;
        let advice = format!("sysctl -w {}=2", sysctl_of(name));
        let is_backup = facts.backup.as_ref() == Some(interface);
        match facts.filter(name) {
            STRICT if is_backup => findings.missing(
                TOPIC,
                format!("strict on {name}: answers to subflows there are dropped"),
                advice,
            ),
            STRICT => findings.hint(
                TOPIC,
                format!("strict on {name}: answers are dropped while the route is another"),
                advice,
            ),
            _ if is_backup => findings.ok(TOPIC, format!("not strict on {name}")),
            _ => {}
        }
    }
}

fn sysctl_of(interface: &str) -> String {
    match interface.contains('.') {
        true => format!("net/ipv4/conf/{interface}/rp_filter"),
        false => format!("net.ipv4.conf.{interface}.rp_filter"),
    }
}

fn changes(facts: &Facts, findings: &mut Findings) {
    const TOPIC: &str = "changes";
    let all = match &facts.changes {
        Ok(all) => all,
        Err(error) if facts.socket.is_none() => {
            findings.note(TOPIC, format!("the records cannot be read: {error}"));
            return;
        }
        Err(_) => return,
    };
    for change in all {
        let is_over = !change.alive || matches!(change.what, What::TakenOut { .. });
        if is_over {
            findings.hint(
                TOPIC,
                change.to_string(),
                "twinpath mptcp undo puts it back",
            );
        } else {
            findings.note(TOPIC, change.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use twinpath::InterfaceKind;
    use twinpath::mptcp::{Endpoint, EndpointFlags, MptcpLimits};

    use super::super::findings::State;
    use super::*;

    const STANDING_BY: EndpointFlags = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);

    fn interface(name: &str, index: u8, kind: InterfaceKind) -> Interface {
        let mut interface = Interface::new(name, index.into(), kind);
        interface.addresses = vec![[198, 51, 100, index].into()];
        interface
    }

    fn endpoint(index: u8, flags: EndpointFlags) -> Endpoint {
        let mut endpoint = Endpoint::new([198, 51, 100, index].into(), index.into(), flags);
        endpoint.id = index;
        endpoint
    }

    /// A machine on which an ordinary user has protected connections.
    fn good() -> Facts {
        let wlan0 = interface("wlan0", 1, InterfaceKind::Wifi);
        let wwan0 = interface("wwan0", 2, InterfaceKind::Cellular);
        let settings = [
            ("mptcp/enabled", "1"),
            ("mptcp/path_manager", "kernel"),
            ("mptcp/stale_loss_cnt", "4"),
            ("mptcp/scheduler", "default"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/wwan0/rp_filter", "2"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Facts {
            socket: None,
            settings: HashMap::from(settings),
            counters: HashMap::new(),
            limits: Some(MptcpLimits {
                subflows: 2,
                accepted_addresses: 0,
            }),
            endpoints: Ok(vec![endpoint(2, STANDING_BY)]),
            may_change: false,
            changes: Ok(Vec::new()),
            interfaces: vec![wlan0.clone(), wwan0.clone()],
            primary: Some(wlan0),
            backup: Some(wwan0),
            named: [None, None],
            network_manager: false,
            kernel: "6.18.0".into(),
        }
    }

    /// What is missing after that change, with the advice.
    fn missing(change: impl FnOnce(&mut Facts)) -> Vec<String> {
        let mut facts = good();
        change(&mut facts);
        let findings = judge(&facts).0.into_iter();
        findings
            .filter(|it| it.state == State::Missing)
            .map(|it| format!("{}: {}; {}", it.topic, it.text, it.advice.unwrap()))
            .collect()
    }

    #[test]
    fn nothing_is_missing_where_a_backup_stands_by() {
        assert_eq!(missing(|_| ()), [""; 0]);
        assert_eq!(missing(|facts| facts.kernel.clear()), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_missing_is_told_with_what_to_do() {
        type Case = (fn(&mut Facts), &'static str, &'static str);
        let cases: [Case; 10] = [
            (
                |facts| {
                    facts.socket = Some(io::ErrorKind::Other.into());
                    facts.settings.insert("mptcp/enabled".into(), "0".into());
                },
                "net.mptcp.enabled is 0",
                "sysctl -w net.mptcp.enabled=1",
            ),
            (
                |facts| {
                    facts.socket = Some(io::ErrorKind::Other.into());
                    facts.settings.remove("mptcp/enabled");
                },
                "built without MPTCP",
                "CONFIG_MPTCP",
            ),
            (
                |facts| facts.socket = Some(io::ErrorKind::PermissionDenied.into()),
                "for this program",
                "seccomp",
            ),
            (
                |facts| {
                    let daemon = ("mptcp/path_manager".into(), "userspace".into());
                    facts.settings.extend([daemon]);
                },
                "daemon",
                "net.mptcp.path_manager=kernel",
            ),
            (
                |facts| {
                    facts
                        .settings
                        .extend([("mptcp/stale_loss_cnt".into(), "0".into())])
                },
                "never given up",
                "net.mptcp.stale_loss_cnt=4",
            ),
            (
                |facts| facts.limits = facts.limits.map(|it| MptcpLimits { subflows: 0, ..it }),
                "no second subflow",
                "ip mptcp limits set subflows 2",
            ),
            (
                |facts| facts.endpoints = Ok(Vec::new()),
                "none for wwan0",
                "sudo twinpath mptcp setup --backup wwan0",
            ),
            (
                |facts| facts.endpoints = Ok(vec![endpoint(2, EndpointFlags::SUBFLOW)]),
                "always carries bytes",
                "ip mptcp endpoint change id 2 backup",
            ),
            (
                |facts| {
                    let strict = ("ipv4/conf/all/rp_filter".into(), "1".into());
                    facts.settings.remove("ipv4/conf/wwan0/rp_filter");
                    facts.settings.extend([strict]);
                },
                "strict on wwan0",
                "sysctl -w net.ipv4.conf.wwan0.rp_filter=2",
            ),
            (
                |facts| {
                    facts.backup = None;
                    facts.named[1] = Some("wwan0".into());
                },
                "wwan0 is down",
                "--backup",
            ),
        ];
        for (change, what, advice) in cases {
            let [missing] = &missing(change)[..] else {
                panic!("{what}: {:?}", missing(change))
            };
            assert!(
                missing.contains(what) && missing.contains(advice),
                "{missing}"
            );
        }
    }

    #[test]
    fn with_the_privilege_a_missing_endpoint_is_none() {
        let privileged = |facts: &mut Facts| {
            facts.endpoints = Ok(Vec::new());
            facts.may_change = true;
        };
        assert_eq!(missing(privileged), [""; 0]);
    }

    #[test]
    fn network_manager_is_told_how_to_set_the_flag() {
        let told = missing(|facts| {
            facts.endpoints = Ok(vec![endpoint(2, EndpointFlags::SUBFLOW)]);
            facts.network_manager = true;
        });
        assert!(
            told[0].contains("connection.mptcp-flags subflow,backup"),
            "{told:?}"
        );
    }

    #[test]
    fn other_endpoints_and_swallowed_syns_are_notes() {
        let mut facts = good();
        let wwan1 = interface("wwan1", 3, InterfaceKind::Cellular);
        facts.interfaces.push(wwan1);
        let all = facts.endpoints.as_mut().unwrap();
        all.push(endpoint(1, EndpointFlags::SUBFLOW));
        all.push(endpoint(3, EndpointFlags::SUBFLOW));
        facts.counters.insert("Blackhole".into(), 2);
        let findings = judge(&facts);
        assert!(findings.is_possible());
        let notes: Vec<_> = findings
            .0
            .iter()
            .filter(|it| it.state == State::Note)
            .collect();
        let has = |topic, text: &str| {
            let mut notes = notes.iter().filter(|it| it.topic == topic);
            notes.any(|it| it.text.contains(text))
        };
        assert!(has("endpoint", "dev wlan0 subflow"), "{notes:?}");
        assert!(has(
            "endpoint",
            "dev wwan1 subflow: without the backup flag"
        ));
        assert!(has("blackhole", "2 times"));
    }
}
