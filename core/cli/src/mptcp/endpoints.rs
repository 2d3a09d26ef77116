//! What the path manager's endpoints mean: the backup's has to stand by.

use std::fmt::Write as _;

use twinpath::mptcp::{Endpoint, EndpointFlags};
use twinpath::{Interface, InterfaceKind};

use super::facts::Facts;
use super::findings::Findings;

pub(super) fn judge(facts: &Facts, findings: &mut Findings) {
    const TOPIC: &str = "endpoint";
    let all = match &facts.endpoints {
        Ok(all) => all,
        Err(error) => {
            findings.hint(
                TOPIC,
                format!("the endpoints cannot be seen: {error}"),
                "run it with sudo",
            );
            return;
        }
    };
    let backup = facts.backup.as_ref();
    for endpoint in all {
        let text = describe(facts, endpoint);
        let owner = owner(facts, endpoint);
        let is_backup = backup.is_some_and(|it| it.addresses.contains(&endpoint.address));
        let is_cellular = owner.is_some_and(|it| it.kind == InterfaceKind::Cellular);
        let uses = endpoint.flags.has(EndpointFlags::SUBFLOW);
        let stands_by = endpoint.flags.has(EndpointFlags::BACKUP);
        if is_backup && uses && stands_by {
            findings.ok(TOPIC, text);
        } else if is_backup && uses {
            findings.missing(
                TOPIC,
                format!("{text}: without the backup flag it always carries bytes"),
                with_flag(facts, endpoint, owner),
            );
        } else if is_backup {
            findings.missing(
                TOPIC,
                format!("{text}: without the subflow flag no connection uses it"),
                with_flag(facts, endpoint, owner),
            );
        } else if is_cellular && uses && !stands_by {
            findings.hint(
                TOPIC,
                format!("{text}: without the backup flag it always carries bytes"),
                with_flag(facts, endpoint, owner),
            );
        } else {
            findings.note(TOPIC, text);
        }
    }
    let Some(backup) = backup else {
        return;
    };
    let name = &backup.name;
    if all.iter().any(|it| backup.addresses.contains(&it.address)) {
        return;
    }
    if facts.may_change {
        findings.ok(TOPIC, format!("none for {name} yet; connecting adds one"));
    } else {
        findings.missing(
            TOPIC,
            format!("none for {name}, and adding one needs CAP_NET_ADMIN"),
            format!("sudo twinpath mptcp setup --backup {name}"),
        );
    }
}

fn owner<'a>(facts: &'a Facts, endpoint: &Endpoint) -> Option<&'a Interface> {
    let mut all = facts.interfaces.iter();
    all.find(|it| it.addresses.contains(&endpoint.address))
}

fn describe(facts: &Facts, endpoint: &Endpoint) -> String {
    let mut text = format!("{} id {}", endpoint.address, endpoint.id);
    let by_index = facts
        .interfaces
        .iter()
        .find(|it| it.index == endpoint.interface);
    match by_index.or_else(|| owner(facts, endpoint)) {
        Some(interface) => {
            let _ = write!(text, " dev {}", interface.name);
        }
        None => text += " (of no interface that is there)",
    }
    let _ = write!(text, " {}", endpoint.flags);
    text
}

fn with_flag(facts: &Facts, endpoint: &Endpoint, owner: Option<&Interface>) -> String {
    let name = owner.map_or("IFACE", |it| it.name.as_str());
    let mut advice = format!("sudo twinpath mptcp setup --backup {name}");
    if endpoint.flags.has(EndpointFlags::SUBFLOW) {
        let _ = write!(
            advice,
            ", or ip mptcp endpoint change id {} backup",
            endpoint.id
        );
    }
    if facts.network_manager {
        let _ = write!(
            advice,
            "; where NetworkManager made it, for good: nmcli connection modify NAME connection.mptcp-flags \
             subflow,backup (NAME: nmcli -g GENERAL.CONNECTION device show {name})"
        );
    }
    advice
}
