//! What is told besides the verdict, and how.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::Value;
use twinpath_lab::StripMode;
use twinpath_tests::{Speaks, Ward};

use super::{ROUTERS, only, path};

#[test]
fn a_report_of_many_hosts_is_text_json_and_a_page_of_its_own() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    only(&ward, 1, |faults| faults.out.strip = StripMode::Syn);
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    let closed = ward.chain.server_socket(false, 81).to_string();
    std::fs::write(
        &hosts,
        format!("{}\n{closed} # closed\n", ward.server(true)),
    )
    .unwrap();
    let page = folder.path().join("report.html");
    let (hosts, page) = (hosts.to_str().unwrap(), page.to_str().unwrap());
    let said = ward.run(&[
        "doctor", "--hosts", hosts, "--trace", "--json", "--html", page,
    ]);
    assert_eq!(said.code, 2, "{said:?}");
    assert_eq!(
        (said.json["v"].as_u64(), said.json["outcome"].as_str()),
        (Some(1), Some("broken"))
    );
    let verdicts = [0, 1].map(|at| {
        said.json["targets"][at]["paths"][0]["verdict"]
            .as_str()
            .unwrap()
    });
    assert_eq!(verdicts, ["stripped_out", "closed"]);
    let html = std::fs::read_to_string(page).unwrap();
    for needle in [
        "between hop 1",
        "strip-mptcp-option no",
        "tcp-options range 30 30 allow",
        "</html>",
    ] {
        assert!(html.contains(needle), "{needle}: {html}");
    }
    assert!(
        !html.contains("<script") && !html.contains("src="),
        "it loads nothing"
    );
    let said = ward.run(&["doctor", &ward.server(true), "--trace"]);
    assert!(
        said.text.contains("replaced by NOPs, between hop 1 (")
            && said.text.contains("set deviceconfig"),
        "{}",
        said.text
    );
    assert!(!said.text.contains('\x1b'), "colours without a terminal");
}

#[test]
fn every_address_of_a_name_is_tested_up_to_four_and_the_rest_is_named() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    // Nobody listens on the routers.
    let server = ward.chain.server_socket(false, 443).ip();
    let routers = (1..=ROUTERS).map(|it| ward.chain.address(it, false));
    let all: Vec<_> = [server].into_iter().chain(routers).collect();
    let ask = |count: usize| {
        let lines = all[..count].iter().map(|it| format!("{it} many.test\n"));
        std::fs::write(&hosts, lines.collect::<String>()).unwrap();
        // A file of hosts for this command alone.
        let script =
            "mount --bind \"$1\" /etc/hosts && exec \"$2\" doctor many.test --json --trace";
        let mut command = ward.chain.client().command("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]);
        command.arg(&hosts).arg(twinpath_tests::binary());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let json: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (json, output.status.code())
    };
    let (json, code) = ask(2);
    let mut verdicts: Vec<_> = json["paths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["verdict"].as_str().unwrap())
        .collect();
    verdicts.sort_unstable();
    assert_eq!(
        (verdicts, code),
        (vec!["closed", "works"], Some(2)),
        "{json:#}"
    );
    let traces = json["paths"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| !it["trace"].is_null());
    assert_eq!(traces.count(), 1, "{json:#}");
    assert!(
        json["notes"].to_string().contains("--trace looked at"),
        "{json:#}"
    );
    let (json, _) = ask(all.len());
    assert_eq!(json["paths"].as_array().unwrap().len(), 4, "{json:#}");
    let left = json["notes"].to_string();
    assert!(
        left.contains("4 addresses of a family were tested, and not"),
        "{left}"
    );
    assert!(
        all.iter().any(|it| left.contains(&it.to_string())),
        "{left}"
    );
}

#[test]
fn watching_tells_what_has_changed() {
    let Some(ward) = Ward::new(1, Speaks::Mptcp) else {
        return;
    };
    let server = ward.server(false);
    let (begin, clock) = (Instant::now(), UNIX_EPOCH.elapsed().unwrap().as_secs());
    let said = ward.run(&["doctor", &server, "--watch", "1", "--times", "2", "--json"]);
    assert!(begin.elapsed() >= Duration::from_secs(1), "{said:?}");
    let lines: Vec<Value> = said
        .text
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!((lines.len(), said.code), (2, 0), "{said:?}");
    // They begin a second apart, and each is told at its end.
    let (first, second) = (lines[0]["at"].as_u64(), lines[1]["at"].as_u64());
    assert!(Some(clock) <= first && first <= second, "{said:?}");

    let mut command = ward.chain.client().command(twinpath_tests::binary());
    command.args(["doctor", &server, "--watch", "1", "--times", "4"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.contains(" works: Nothing found"), "{line}");
    only(&ward, 0, |faults| faults.back.strip = StripMode::SynAck);
    line.clear();
    output.read_line(&mut line).unwrap();
    assert!(line.contains(" stripped_back (was works)"), "{line}");
    output.read_to_string(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{line}");
}

#[test]
fn a_nat_that_forgets_idle_connections_is_found() {
    let Some(ward) = Ward::new(2, Speaks::Mptcp) else {
        return;
    };
    let idle = |said: &twinpath_tests::Said| {
        let findings = path(said)["findings"].as_array().unwrap();
        let idle = findings.iter().find(|it| it["topic"] == "idle").unwrap();
        idle["state"].as_str().unwrap().to_owned()
    };
    ward.nft(
        1,
        "table ip t {
            chain n { type nat hook postrouting priority srcnat; oifname \"east\" masquerade; };
            chain f { type filter hook forward priority filter; ct state invalid drop; }; }",
    );
    let router = ward.chain.router(1);
    router
        .sysctl("netfilter/nf_conntrack_tcp_loose", "0")
        .unwrap();
    router
        .sysctl("netfilter/nf_conntrack_tcp_timeout_established", "3")
        .unwrap();
    let kept = ward.ask_unprivileged(true, &["--idle", "3"]);
    assert_eq!(idle(&kept), "kept", "{kept:?}");
    let forgotten = ward.ask_unprivileged(false, &["--idle", "6"]);
    assert_eq!(idle(&forgotten), "forgotten", "{forgotten:?}");
    let text = path(&forgotten)["findings"].to_string();
    assert!(
        text.contains("idle for 2 s lives") && text.contains("after 6 s"),
        "{text}"
    );
}

/// Wireshark reads our SYNs as what they are meant to be.
#[test]
fn tshark_bears_witness_of_what_is_sent_and_what_came_of_it() {
    let Some(ward) = Ward::new(ROUTERS, Speaks::Mptcp) else {
        return;
    };
    only(&ward, 2, |faults| faults.out.strip = StripMode::Syn);
    let mut sees = Vec::new();
    for host in [ward.chain.client(), ward.chain.router(4)] {
        let device = if sees.is_empty() { "wlan0" } else { "west" };
        let mut command = host.command("tshark");
        command.args([
            "-l",
            "-n",
            "-i",
            device,
            "-f",
            "tcp[tcpflags] & tcp-syn != 0",
            "-T",
            "fields",
        ]);
        command.args([
            "-o",
            "tcp.check_checksum:TRUE",
            "-e",
            "tcp.flags.ack",
            "-e",
            "tcp.checksum.status",
        ]);
        command.args([
            "-e",
            "tcp.options.mptcp.subtype",
            "-e",
            "tcp.options.mptcp.version",
            "-e",
            "_ws.malformed",
        ]);
        let mut child = match command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
        {
            Ok(child) => child,
            Err(error) => return twinpath_lab::skip(format_args!("no tshark: {error}")),
        };
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Capture started") {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "tshark ended");
        }
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        sees.push(child);
    }
    let said = ward.ask(false, &["--trace"]);
    assert_eq!(super::verdict(&said), "stripped_out");
    let mut captured = sees.into_iter().map(|child| {
        // SIGINT has it write what it has.
        let pid = child.id().to_string();
        let killed = std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status();
        assert!(killed.unwrap().success());
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    let (here, there) = (captured.next().unwrap(), captured.next().unwrap());
    let syns = |text: &str| -> Vec<Vec<String>> {
        let rows = text
            .lines()
            .map(|row| row.split('\t').map(str::to_owned).collect::<Vec<_>>());
        rows.filter(|row| row[0] == "0" || row[0] == "False")
            .collect()
    };
    let (here, there) = (syns(&here), syns(&there));
    assert!(
        here.iter()
            .filter(|row| row[2] == "0" && row[3] == "1")
            .count()
            > 10,
        "{here:#?}"
    );
    assert!(!there.is_empty());
    for row in here.iter().chain(&there) {
        assert_eq!(row[4], "", "malformed: {row:?}");
        assert_ne!(row[1], "0", "a wrong checksum: {row:?}");
    }
    // Behind the cable that strips nobody sees the option, in any SYN.
    assert!(there.iter().all(|row| row[2].is_empty()), "{there:#?}");
}
