//! What to do about a verdict: for the person who asks, and for the one who runs the network.

use twinpath::diagnosis::{PathDiagnosis, Verdict};

use crate::joins_are_hindered;

/// Something that may be the cause, and what changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remedy {
    /// The product.
    pub product: &'static str,
    /// What it does.
    pub cause: &'static str,
    /// What to type, a line each.
    pub commands: &'static [&'static str],
    /// Where it is documented.
    pub source: &'static str,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Advice {
    /// For the person who is not a network engineer.
    pub plain: &'static str,
    /// For the one who is, the likelier first.
    pub remedies: Vec<Remedy>,
}

const PAN_OS: Remedy = Remedy {
    product: "Palo Alto PAN-OS",
    cause: "strips the option unless told otherwise, for the whole device or per zone",
    commands: &[
        "set deviceconfig setting tcp strip-mptcp-option no",
        "commit",
        "(per zone: Zone Protection > Packet Based Attack Protection > TCP Drop > Multipath TCP Options = no)",
    ],
    source: "docs.paloaltonetworks.com, PAN-OS 8.0 and NGFW 11.2",
};

const ASA: Remedy = Remedy {
    product: "Cisco ASA",
    cause: "the TCP normaliser clears options 9 to 255 by default",
    commands: &[
        "tcp-map MPTCP-ALLOW",
        " tcp-options range 30 30 allow",
        "class-map MPTCP-CLASS",
        " match any",
        "policy-map global_policy",
        " class MPTCP-CLASS",
        "  set connection advanced-options MPTCP-ALLOW",
        "service-policy global_policy global",
    ],
    source: "Cisco ASA configuration guide, TCP normaliser; Cisco technote 116519",
};

const FIREPOWER: Remedy = Remedy {
    product: "Cisco Firepower",
    cause: "inline normalisation with an empty \"Allow These TCP Options\" keeps MSS, window scale and timestamp alone",
    commands: &["(Inline Normalization > Allow These TCP Options: add 30, or any)"],
    source: "Cisco FireSIGHT guide, p. 26-10",
};

const F5: Remedy = Remedy {
    product: "F5 BIG-IP",
    cause: "a TCP profile has MPTCP disabled, enabled, or passed through",
    commands: &["tmsh modify ltm profile tcp <profile> mptcp passthrough"],
    source: "clouddocs.f5.com, tmsh ltm profile tcp",
};

const NFTABLES: Remedy = Remedy {
    product: "Linux router",
    cause: "a rule takes the option out (`reset tcp option mptcp`, `TCPOPTSTRIP --strip-options 30`) or drops what has it",
    commands: &[
        "nft list ruleset | grep -n mptcp",
        "iptables-save | grep -n -e TCPOPTSTRIP -e 'tcp-option 30'",
        "(delete the rule that is found)",
    ],
    source: "nft(8), iptables-extensions(8)",
};

const HELPER: Remedy = Remedy {
    product: "Firewall or router with application helpers (ALG), or a proxy",
    cause: "it rewrites addresses or headers in FTP, SIP or HTTP; MPTCP with checksums ends there, and without them its data \
            would be out of step",
    commands: &[
        "nft list ruleset | grep -n -e 'ct helper' -e tproxy -e redirect",
        "iptables-save -t raw | grep -n helper",
        "(take the helper away, or use TLS)",
    ],
    source: "RFC 8684, section 3.7; nft(8), conntrack helpers",
};

const SERVER: Remedy = Remedy {
    product: "Linux server (5.6 and later)",
    cause: "the kernel's MPTCP is off, or the program listens with TCP sockets",
    commands: &[
        "sysctl -w net.mptcp.enabled=1",
        "mptcpize run <program>",
        "(nginx: `listen 443 ssl multipath;`, haproxy: `bind mptcp4@:443`, lighttpd: server.feature-flags += \
         (\"server.network-mptcp\" => \"enable\"))",
        "(a program in Go, older than 1.24 or packaged by Debian: GODEBUG=multipathtcp=2 in its environment)",
    ],
    source: "mptcp.dev",
};

const BALANCER: Remedy = Remedy {
    product: "Linux servers behind a load balancer",
    cause: "a join comes from another address and is sent to another server: have clients join at an address of the server's \
            own (flag C)",
    commands: &[
        "sysctl -w net.mptcp.allow_join_initial_addr_port=0",
        "ip mptcp endpoint add <the server's own address> dev <interface> signal",
    ],
    source: "mptcp.dev, load-balancer.md",
};

const NETWORK_MANAGER: Remedy = Remedy {
    product: "NetworkManager (1.40 and later)",
    cause: "without the backup flag the kernel uses cellular all the time, and with none not at all",
    commands: &["nmcli connection modify <the cellular one> connection.mptcp-flags subflow,backup"],
    source: "mptcp.dev, pm.md; NetworkManager's documentation of connection.mptcp-flags",
};

/// All boxes between that are known to do it.
const BOXES: [Remedy; 5] = [PAN_OS, ASA, FIREPOWER, F5, NFTABLES];

const STRIPPED: &str = "Connections work. They cannot move to cellular when Wi-Fi dies, since a firewall or router on the way takes out \
                        what is needed for it: show this to those who run the network.";

/// What to do about the verdict of a path, and about its findings.
#[must_use]
pub fn advice(told: &PathDiagnosis) -> Advice {
    let mut remedies = Vec::new();
    let plain = match told.verdict {
        Verdict::Works if joins_are_hindered(told) => {
            remedies.extend(BOXES);
            STRIPPED
        }
        Verdict::Works => {
            if told
                .findings
                .iter()
                .any(|it| it.topic == "join" && it.state == "works")
            {
                remedies.push(NETWORK_MANAGER);
            }
            "Nothing has to be done for the connection itself."
        }
        Verdict::NotSpoken => {
            remedies.extend([SERVER, F5]);
            "Connections work. They cannot move to cellular when Wi-Fi dies, since the server does not know how: tell those \
             who run it."
        }
        Verdict::StrippedOut(_) | Verdict::StrippedBack(_) | Verdict::StrippedLater => {
            remedies.extend(BOXES);
            STRIPPED
        }
        Verdict::NotNegotiated => {
            remedies.push(SERVER);
            remedies.extend(BOXES);
            "Connections work. They cannot move to cellular when Wi-Fi dies; whether that is up to the server or to the \
             network could not be told."
        }
        Verdict::DataChanged => {
            remedies.push(HELPER);
            "Something on this network changes what is sent. Use TLS (https), which nothing on the way can change, and show this \
             to those who run the network."
        }
        Verdict::SynDropped { .. } | Verdict::SynRefused | Verdict::DroppedLater => {
            remedies.extend([NFTABLES, PAN_OS, ASA, FIREPOWER]);
            "Apps that want to use Wi-Fi and cellular together wait for seconds, or fail, on this network, since a firewall \
             on the way blocks them: show this to those who run the network."
        }
        Verdict::Unreachable => {
            "The server cannot be reached over this network at all: check its name and port, and whether you are online."
        }
        Verdict::Closed => {
            "The server was found, and has nothing to say on that port: check the port."
        }
        _ => "TCP connections work. Nothing is known about more.",
    };
    if told
        .findings
        .iter()
        .any(|it| it.topic == "join" && it.state == "refused")
    {
        remedies.push(BALANCER);
    }
    Advice { plain, remedies }
}

#[cfg(test)]
mod tests {
    use twinpath::InterfaceKind;
    use twinpath::diagnosis::{Finding, How, Outcome};

    use super::*;

    fn told(verdict: Verdict) -> PathDiagnosis {
        let server = "192.0.2.1:443".parse().unwrap();
        let mut told = PathDiagnosis::new("wlan0", InterfaceKind::Wifi, server);
        told.verdict = verdict;
        told
    }

    #[test]
    fn every_remedy_has_a_command_and_a_source() {
        for remedy in BOXES
            .iter()
            .chain(&[HELPER, SERVER, BALANCER, NETWORK_MANAGER])
        {
            assert!(
                !remedy.commands.is_empty() && !remedy.source.is_empty(),
                "{remedy:?}"
            );
        }
    }

    #[test]
    fn a_box_is_blamed_only_where_one_may_be_the_cause() {
        let blames = |verdict| advice(&told(verdict)).remedies.contains(&PAN_OS);
        assert!(blames(Verdict::StrippedOut(How::Nops)) && blames(Verdict::NotNegotiated));
        assert!(!blames(Verdict::Works) && !blames(Verdict::NotSpoken) && !blames(Verdict::Closed));
    }

    #[test]
    fn a_box_is_blamed_for_joins_that_do_not_get_through() {
        let mut told = told(Verdict::Works);
        told.findings
            .push(Finding::new("join", "dropped", "no", Outcome::WithoutMptcp));
        let advice = advice(&told);
        assert!(advice.remedies.contains(&PAN_OS) && advice.plain.contains("cannot move"));
    }

    #[test]
    fn a_refused_join_is_told_of_the_load_balancer() {
        let mut told = told(Verdict::Works);
        told.findings
            .push(Finding::new("join", "refused", "no", Outcome::WithoutMptcp));
        assert!(advice(&told).remedies.contains(&BALANCER));
        assert_eq!(told.outcome(), Outcome::WithoutMptcp);
    }
}
