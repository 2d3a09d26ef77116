//! Each verdict, made on purpose.

use twinpath_lab::{StripHow, StripMode};
use twinpath_tests::{Speaks, Ward, ms};

use super::{ROUTERS, all, all_in, only, path, verdict, way};

#[test]
fn a_path_that_lets_everything_through_is_said_to_with_and_without_privilege() {
    all(Speaks::Mptcp, &[false, true], |ward, v6| {
        for said in [
            ward.ask(v6, &[]),
            ward.ask(v6, &["--trace"]),
            ward.ask_unprivileged(v6, &[]),
        ] {
            assert_eq!((verdict(&said), said.code), ("works", 0), "{said:?}");
            assert_eq!(ward.left_open(), 0, "what was opened is ended");
            assert_eq!(path(&said)["certainty"], "proven");
            let summary = path(&said)["summary"].as_str().unwrap();
            assert!(
                summary.contains("Nothing found between wlan0 and"),
                "{summary}"
            );
            assert!(summary.ends_with("cellular half not tested"), "{summary}");
        }
    });
}

#[test]
fn a_server_of_tcp_alone_is_told_from_a_path_that_strips() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Tcp) else {
        return;
    };
    let said = ward.ask(false, &["--trace"]);
    assert_eq!((verdict(&said), said.code), ("not_spoken", 1), "{said:?}");
    assert_eq!(path(&said)["certainty"], "likely");
    let said = ward.ask(false, &[]);
    assert_eq!(verdict(&said), "not_negotiated", "{said:?}");
    assert!(said.json.to_string().contains("--trace"));
    let said = ward.ask_unprivileged(false, &[]);
    assert_eq!(verdict(&said), "not_negotiated", "{said:?}");
    assert!(said.json.to_string().contains("CAP_NET_RAW"));
}

#[test]
fn an_option_lost_on_the_way_back_is_told_from_one_lost_on_the_way_out() {
    let cells = [(StripHow::Overwrite, "nops"), (StripHow::Remove, "unknown")];
    all(Speaks::Mptcp, &cells, |ward, (how, word)| {
        for v6 in [false, true] {
            only(ward, 2, |faults| {
                faults.back.strip = StripMode::SynAck;
                faults.back.how = how;
            });
            let said = ward.ask(v6, &["--trace"]);
            assert_eq!(
                (verdict(&said), said.code),
                ("stripped_back", 1),
                "{said:?}"
            );
            assert_eq!(path(&said)["how"], word);
            assert_eq!(path(&said)["certainty"], "proven", "{said:?}");
            assert!(
                path(&said)["trace"]["changes"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
        }
    });
}

#[test]
fn an_option_taken_out_after_the_handshake_is_told_with_and_without_privilege() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    for is_out in [true, false] {
        only(&ward, 1, |faults| {
            way(faults, is_out).strip = StripMode::NonSyn;
        });
        for said in [ward.ask(false, &[]), ward.ask_unprivileged(false, &[])] {
            assert_eq!(
                (verdict(&said), said.code),
                ("stripped_later", 1),
                "{said:?}"
            );
            assert_eq!(path(&said)["certainty"], "proven");
        }
    }
}

#[test]
fn dropped_syns_are_found_without_privilege_and_without_harm() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    only(&ward, 2, |faults| faults.out.drop = StripMode::Syn);
    let said = ward.ask_unprivileged(false, &[]);
    assert_eq!((verdict(&said), said.code), ("syn_dropped", 2), "{said:?}");
    let summary = path(&said)["summary"].as_str().unwrap();
    assert!(
        summary.contains("3.0 s (as this kernel is set)"),
        "{summary}"
    );
    for counter in ["MPCapableSYNTXDrop", "Blackhole", "MPCapableSYNTXDisabled"] {
        assert_eq!(
            ward.chain.client().mptcp_mib(counter).unwrap(),
            0,
            "{counter}"
        );
    }
    // The next program is no worse off for it.
    only(&ward, 2, |_| ());
    assert_eq!(verdict(&ward.ask_unprivileged(false, &[])), "works");
}

#[test]
fn what_refuses_the_option_is_told() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    only(&ward, 2, |faults| faults.out.refuse = true);
    for said in [ward.ask(false, &[]), ward.ask_unprivileged(false, &[])] {
        assert_eq!((verdict(&said), said.code), ("syn_refused", 2), "{said:?}");
    }
}

#[test]
fn a_server_out_of_reach_and_a_closed_port_are_told() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Nothing) else {
        return;
    };
    for said in [ward.ask(true, &[]), ward.ask_unprivileged(true, &[])] {
        assert_eq!((verdict(&said), said.code), ("closed", 2), "{said:?}");
    }
    only(&ward, 2, |faults| faults.out.loss = 1.0);
    for said in [ward.ask(false, &[]), ward.ask_unprivileged(false, &[])] {
        assert_eq!((verdict(&said), said.code), ("unreachable", 2), "{said:?}");
        assert!(said.took < ms(5_000), "{:?}", said.took);
    }
}

#[test]
fn a_kernel_that_leaves_the_option_out_is_told_and_how_to_change_that() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    // What other programs do to the machine: they wait for the kernel to try without.
    only(&ward, 2, |faults| faults.out.drop = StripMode::Syn);
    let server = ward.chain.server_socket(false, 443);
    let connecting = ward.chain.client().run(|| async move {
        let mut options = twinpath_socket::ConnectOptions::default();
        options.mptcp = true;
        twinpath_socket::connect(server, &options).await.map(drop)
    });
    connecting.unwrap().unwrap();
    only(&ward, 2, |_| ());
    let said = ward.ask_unprivileged(false, &[]);
    assert_eq!((verdict(&said), said.code), ("unknown", 3), "{said:?}");
    assert!(
        said.json.to_string().contains("blackhole_timeout"),
        "{said:?}"
    );
    // SYNs of our own show it all the same, but not whether it holds.
    let said = ward.ask(false, &[]);
    assert_eq!(verdict(&said), "works", "{said:?}");
    assert_eq!(path(&said)["certainty"], "likely");
}

#[test]
fn a_server_on_this_machine_is_reached_over_the_loopback_interface() {
    let Some(ward) = Ward::new(0, Speaks::Nothing) else {
        return;
    };
    twinpath_tests::serve_mptcp(ward.chain.client(), 8443);
    for server in ["127.0.0.1:8443", "[::1]:8443"] {
        let said = ward.run(&["doctor", server, "--json"]);
        assert_eq!((verdict(&said), said.code), ("works", 0), "{said:?}");
        assert_eq!(path(&said)["interface"], "lo");
    }
}

#[test]
fn what_drops_all_that_follows_the_handshake_is_told_with_and_without_privilege() {
    let cells = [(Speaks::Mptcp, true), (Speaks::Doctor, false)];
    let make = |cell: &(Speaks, bool)| Ward::new(ROUTERS, cell.0);
    all_in(make, &cells, |ward, (_, is_out)| {
        only(ward, 1, |faults| {
            way(faults, is_out).drop = StripMode::NonSyn;
        });
        for said in [ward.ask(false, &[]), ward.ask_unprivileged(false, &[])] {
            assert_eq!(
                (verdict(&said), said.code),
                ("dropped_later", 2),
                "{said:?}"
            );
            assert_eq!(path(&said)["certainty"], "likely");
            let summary = path(&said)["summary"].as_str().unwrap();
            assert!(summary.contains("hang"), "{summary}");
        }
    });
}
