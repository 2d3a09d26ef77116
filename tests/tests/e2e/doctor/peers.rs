//! Servers that others have written.

use std::net::SocketAddr;

use twinpath_lab::{LinkSpec, World, or_skip};
use twinpath_tests::{Nginx, Server, Speaks, Ward, ask_doctor};

use super::{ROUTERS, path, verdict};

#[test]
fn nginx_with_mptcp_and_nginx_without_are_told_apart() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Nothing) else {
        return;
    };
    let expected = [
        ("nginx", "works", 0, "proven"),
        ("plain-nginx", "not_spoken", 1, "likely"),
    ];
    for (program, word, code, certainty) in expected {
        let Some(nginx) = Nginx::behind(&ward.chain, program) else {
            return;
        };
        let said = ward.run(&["doctor", &nginx.address.to_string(), "--json", "--trace"]);
        assert_eq!((verdict(&said), said.code), (word, code), "{said:?}");
        assert_eq!(path(&said)["certainty"], certainty);
    }
}

/// The first one's port.
const PORT: u16 = 8001;

#[test]
fn every_way_in_which_servers_come_to_mptcp_is_told_over_one_path_and_two() {
    if Ward::new(1, Speaks::Nothing).is_none() {
        return;
    }
    let links = World::builder()
        .link("wlan0", LinkSpec::wifi())
        .link("wwan0", LinkSpec::cellular());
    let Some(world) = or_skip(links.build()) else {
        return;
    };
    let mut servers = Vec::new();
    for (which, port) in Server::ALL.into_iter().zip(PORT..) {
        let Some(server) = which.start(world.server(), world.server_socket(port)) else {
            return;
        };
        servers.push(server);
    }
    let v6 = world.server_addr_v6();
    let addresses = servers.iter().flat_map(|it| {
        let second = v6.map(|ip| SocketAddr::new(ip, it.address.port()));
        [
            Some((it.which, it.address)),
            second.map(|at| (it.which, at)),
        ]
    });
    let addresses: Vec<_> = addresses.flatten().collect();
    let hosts = tempfile::NamedTempFile::new().unwrap();
    let lines: Vec<_> = addresses.iter().map(|(_, at)| at.to_string()).collect();
    std::fs::write(&hosts, lines.join("\n")).unwrap();
    let hosts = hosts.path().to_str().unwrap();
    for named in [&["--interface", "wwan0"][..], &[]] {
        let line = [&["doctor", "--hosts", hosts, "--json"], named].concat();
        let said = ask_doctor(world.client(), &line);
        let targets = said.json["targets"].as_array();
        let targets = targets.unwrap_or_else(|| panic!("{said:?}"));
        assert_eq!(targets.len(), addresses.len());
        for ((which, _), target) in addresses.iter().zip(targets) {
            let paths = target["paths"].as_array().unwrap();
            let expected = if named.is_empty() { 2 } else { 1 };
            assert_eq!(paths.len(), expected, "{which:?}: {target:#}");
            let speaks = *which != Server::PlainNginx;
            for path in paths {
                let word = if speaks { "works" } else { "not_negotiated" };
                assert_eq!(path["verdict"], word, "{which:?}: {path:#}");
                assert_eq!(path["certainty"], "proven", "{which:?}: {path:#}");
            }
            let findings = paths
                .iter()
                .flat_map(|it| it["findings"].as_array().unwrap());
            let joins: Vec<_> = findings.filter(|it| it["topic"] == "join").collect();
            let is_joined = speaks && named.is_empty();
            assert_eq!(joins.len(), usize::from(is_joined), "{which:?}: {target:#}");
            assert!(
                joins.iter().all(|it| it["state"] == "works"),
                "{which:?}: {joins:?}"
            );
        }
        log::info!(
            "{} servers over {named:?} took {:?}",
            addresses.len(),
            said.took
        );
    }
}
