//! What changes data on the way, found by MPTCP's checksums, whoever the server is.

use serde_json::Value;
use twinpath_lab::StripMode;
use twinpath_tests::{Said, Server, Speaks, Ward, ms};

use super::{ROUTERS, all, only, pairs, path, verdict, way};

const PORT: u16 = 8001;

fn payload(said: &Said) -> &Value {
    let findings = path(said)["findings"].as_array().unwrap();
    let payload = findings.iter().find(|it| it["topic"] == "payload");
    payload.unwrap_or_else(|| panic!("{said:?}"))
}

#[test]
fn data_that_something_changes_is_found_towards_any_server_with_mptcp() {
    let cells = pairs(
        pairs([Server::Nginx, Server::Go], &[false, true]),
        &[true, false],
    );
    all(Speaks::Nothing, &cells, |ward, ((which, v6), is_out)| {
        let address = ward.chain.server_socket(v6, PORT);
        let Some(_server) = which.start(ward.chain.server(), address) else {
            return;
        };
        let line = ["doctor", &address.to_string(), "--json"];
        let said = ward.run(&line);
        assert_eq!((verdict(&said), said.code), ("works", 0), "{said:?}");
        assert_eq!(ward.left_open(), 0, "what was opened is ended");
        assert_eq!(payload(&said)["state"], "unchanged", "{said:?}");
        let text = payload(&said)["text"].as_str().unwrap();
        assert!(text.contains("bytes back"), "{text}");
        only(ward, 2, |faults| {
            way(faults, is_out).alter = Some((b'/', b'|'));
        });
        let said = ward.run(&line);
        assert_eq!((verdict(&said), said.code), ("data_changed", 2), "{said:?}");
        assert_eq!(path(&said)["certainty"], "proven");
        assert_eq!(payload(&said)["state"], "changed");
        let word = if is_out {
            "on the way out"
        } else {
            "on the way back"
        };
        let text = payload(&said)["text"].as_str().unwrap();
        assert!(text.contains(word), "{text}");
        // This machine is set as it was.
        let set = ward
            .chain
            .client()
            .command("cat")
            .arg("/proc/sys/net/mptcp/checksum_enabled")
            .output();
        assert_eq!(set.unwrap().stdout, b"0\n");
    });
}

#[test]
fn without_privilege_checksums_are_judged_where_an_end_asks_for_them() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    let said = ward.ask_unprivileged(false, &[]);
    assert_eq!(verdict(&said), "works", "{said:?}");
    assert!(
        path(&said)["needs"]
            .to_string()
            .contains("checksum_enabled=1"),
        "{said:?}"
    );
    ward.chain
        .server()
        .sysctl("mptcp/checksum_enabled", "1")
        .unwrap();
    let said = ward.ask_unprivileged(false, &[]);
    assert_eq!(payload(&said)["state"], "unchanged", "{said:?}");
    only(&ward, 2, |faults| faults.out.alter = Some((b'\n', b' ')));
    let said = ward.ask_unprivileged(false, &[]);
    assert_eq!(path(&said)["certainty"], "likely", "{said:?}");
    assert_ne!(verdict(&said), "works", "{said:?}");
    assert!(
        path(&said)["evidence"].to_string().contains("checksums"),
        "{said:?}"
    );
}

#[test]
fn how_long_a_connect_waits_for_the_fallback_is_measured_without_harm() {
    all(Speaks::Mptcp, &[false, true], |ward, v6| {
        only(ward, 2, |faults| faults.out.drop = StripMode::Syn);
        let said = ward.ask(v6, &[]);
        assert_eq!((verdict(&said), said.code), ("syn_dropped", 2), "{said:?}");
        let measured = path(&said)["fallback_measured_ms"].as_f64();
        let measured = measured.unwrap_or_else(|| panic!("{said:?}"));
        // A SYN, and two more of them a second apart, as the kernel is set; timers of the host are late, never early.
        assert!((2_900.0..4_500.0).contains(&measured), "{measured}");
        assert!(
            path(&said)["summary"]
                .as_str()
                .unwrap()
                .contains("(measured)")
        );
        for counter in ["MPCapableSYNTXDrop", "Blackhole", "MPCapableSYNTXDisabled"] {
            let counted = ward.chain.client().mptcp_mib(counter).unwrap();
            assert_eq!(counted, 0, "{counter}");
        }
        only(ward, 2, |_| ());
        assert_eq!(verdict(&ward.ask_unprivileged(v6, &[])), "works");
        assert!(said.took < ms(12_000), "{:?}", said.took);
    });
}
