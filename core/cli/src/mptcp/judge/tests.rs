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
