//! Servers that others have written.

use twinpath_tests::{Nginx, Speaks, Ward};

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
