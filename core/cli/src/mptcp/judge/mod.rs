//! What the facts mean for a connection with a backup.

#[cfg(test)]
mod tests;

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
