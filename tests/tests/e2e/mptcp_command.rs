//! `twinpath mptcp`: what it says of the client's kernel, and what it changes there.

use std::fs;

use serde_json::Value;
use twinpath::mptcp::{Endpoint, EndpointFlags, Lease, changes};
use twinpath_socket::mptcp::PathManager;
use twinpath_tests::{CELLULAR, Scene, Service, Twinpath, WIFI, soon};

const STANDING_BY: EndpointFlags = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);

/// What this command may change, as it is.
#[derive(Debug, Clone, PartialEq)]
struct Kernel {
    endpoints: Vec<Endpoint>,
    subflows: u32,
    enabled: String,
    filters: [String; 3],
}

fn setting(name: &str) -> String {
    let value = fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap();
    value.trim().to_owned()
}

fn kernel() -> Kernel {
    let mut manager = PathManager::open().unwrap();
    let filter = |name| setting(&format!("ipv4/conf/{name}/rp_filter"));
    Kernel {
        endpoints: manager.endpoints().unwrap(),
        subflows: manager.limits().unwrap().subflows,
        enabled: setting("mptcp/enabled"),
        filters: [WIFI, CELLULAR, "all"].map(filter),
    }
}

/// Lines of standard output and standard error, and the exit code.
struct Said {
    lines: Vec<String>,
    errors: Vec<String>,
    code: i32,
}

async fn run(scene: &Scene, arguments: &[&str], privileged: bool) -> Said {
    let line = [&["mptcp"], arguments].concat();
    let host = scene.world.client();
    let mut command = if privileged {
        Twinpath::start(host, &line)
    } else {
        Twinpath::start_unprivileged(host, &line)
    };
    let mut told = command.told();
    let code = command.ends().await;
    let read = async { while told.changed().await.is_ok() {} };
    soon("standard output ends", read).await;
    let lines = told.borrow().clone();
    let errors = command.said();
    Said {
        lines,
        errors,
        code,
    }
}

async fn say(scene: &Scene, arguments: &[&str]) -> Vec<String> {
    let said = run(scene, arguments, true).await;
    assert_eq!(said.code, 0, "{:?} {:?}", said.lines, said.errors);
    said.lines
}

/// The findings of that state: topic and text.
async fn status(scene: &Scene, state: &str, privileged: bool, code: i32) -> Vec<String> {
    let said = run(scene, &["status", "--json"], privileged).await;
    assert_eq!(said.code, code, "{:?} {:?}", said.lines, said.errors);
    let value: Value = serde_json::from_str(&said.lines.concat()).unwrap();
    assert_eq!(value["possible"], code == 0, "{value}");
    let findings = value["findings"].as_array().unwrap().iter();
    findings
        .filter(|it| it["state"] == state)
        .map(|it| {
            format!(
                "{} {}",
                it["topic"].as_str().unwrap(),
                it["text"].as_str().unwrap()
            )
        })
        .collect()
}

fn scene() -> twinpath_tests::SceneBuilder {
    Scene::before(Service::Echo)
}

/// A client on which nothing is as a backup needs it.
fn spoil(scene: &Scene) {
    let client = scene.world.client();
    scene.world.mptcp_endpoint(CELLULAR, false).unwrap();
    client.sysctl("mptcp/enabled", "0").unwrap();
    for name in [WIFI, CELLULAR] {
        client
            .sysctl(&format!("ipv4/conf/{name}/rp_filter"), "1")
            .unwrap();
    }
    let mut manager = PathManager::open().unwrap();
    let mut limits = manager.limits().unwrap();
    limits.subflows = 0;
    manager.set_limits(limits).unwrap();
}

#[test]
fn setup_makes_protection_possible_and_undo_puts_everything_back() {
    scene().play(async |scene| {
        spoil(scene);
        let before = kernel();
        let missing = status(scene, "missing", true, 1).await;
        for topic in ["kernel", "limits", "endpoint", "rp_filter"] {
            let told = missing.iter().any(|it| it.starts_with(topic));
            assert!(told, "no {topic}: {missing:#?}");
        }

        let dry = say(scene, &["setup", "--backup", CELLULAR, "--dry-run"]).await;
        assert_eq!(kernel(), before);
        assert_eq!(changes().unwrap(), []);
        let done = say(scene, &["setup", "--backup", CELLULAR]).await;
        assert_eq!(done, dry);
        assert!(
            done.contains(&"sysctl -w net.mptcp.enabled=1".to_owned()),
            "{done:#?}"
        );
        let added = format!("dev {CELLULAR} id 1 subflow backup");
        assert!(done.iter().any(|it| it.ends_with(&added)), "{done:#?}");

        let after = kernel();
        assert_eq!(after.enabled, "1");
        assert_eq!(after.subflows, 2);
        assert_eq!(
            after.filters,
            ["2".to_owned(), "2".to_owned(), before.filters[2].clone()]
        );
        assert_eq!(after.endpoints.len(), before.endpoints.len());
        for (after, before) in after.endpoints.iter().zip(&before.endpoints) {
            assert_eq!(after.flags, STANDING_BY);
            assert_eq!((after.address, after.id), (before.address, before.id));
        }
        // Even for those who may not change anything.
        assert_eq!(status(scene, "missing", false, 0).await, [""; 0]);
        let again = say(scene, &["setup", "--backup", CELLULAR]).await;
        assert!(again[0].contains("nothing to do"), "{again:?}");
        assert_eq!(kernel(), after);

        // Another one that has something to do keeps what was before the first.
        scene.world.client().sysctl("mptcp/enabled", "0").unwrap();
        scene.world.mptcp_flush_endpoints().unwrap();
        say(scene, &["setup", "--backup", CELLULAR, "--primary", WIFI]).await;
        assert_eq!(kernel().endpoints.len(), before.endpoints.len());
        let undone = say(scene, &["undo"]).await;
        assert!(
            undone.iter().all(|it| it.starts_with("undone: ")),
            "{undone:#?}"
        );
        assert_eq!(kernel(), before);
        assert_eq!(changes().unwrap(), []);
        assert_eq!(say(scene, &["undo"]).await, ["nothing to undo"]);
        assert_eq!(kernel(), before);
    });
}

#[test]
fn what_somebody_has_changed_after_setup_is_left_to_them() {
    scene().play(async |scene| {
        spoil(scene);
        say(scene, &["setup", "--backup", CELLULAR]).await;
        let filter = format!("ipv4/conf/{WIFI}/rp_filter");
        scene.world.client().sysctl(&filter, "0").unwrap();
        let mut manager = PathManager::open().unwrap();
        let mut limits = manager.limits().unwrap();
        limits.subflows = 5;
        manager.set_limits(limits).unwrap();
        say(scene, &["undo"]).await;
        let after = kernel();
        assert_eq!((after.filters[0].as_str(), after.subflows), ("0", 5));
        assert_eq!(after.enabled, "0");
    });
}

#[test]
fn a_connection_does_not_take_the_endpoint_of_setup_away() {
    scene().play(async |scene| {
        say(scene, &["setup", "--backup", CELLULAR]).await;
        let before = kernel().endpoints;
        assert!(!before.is_empty());
        let lease = Lease::hold(&before[0]).unwrap();
        drop(lease);
        assert_eq!(kernel().endpoints, before);
        let out = Lease::take_out(before[0].address).unwrap();
        assert_eq!(kernel().endpoints.len(), before.len() - 1);
        let notes = status(scene, "note", true, 0).await;
        let told = notes
            .iter()
            .any(|it| it.contains("taken out of all connections"));
        assert!(told, "{notes:#?}");
        drop(out);
        let mut after = kernel().endpoints;
        after.sort_by_key(|it| it.id);
        assert_eq!(after, before);
        say(scene, &["undo"]).await;
        assert_eq!(kernel().endpoints, []);
    });
}

#[test]
fn undo_puts_back_what_others_took_out() {
    scene().play(async |scene| {
        scene.world.mptcp_endpoint_backup(CELLULAR).unwrap();
        let before = kernel();
        let address = before.endpoints[0].address;
        let _out = Lease::take_out(address).unwrap();
        assert_ne!(kernel(), before);
        let undone = say(scene, &["undo"]).await;
        assert!(undone[0].contains(&address.to_string()), "{undone:?}");
        assert_eq!(kernel().endpoints.len(), before.endpoints.len());
    });
}

#[test]
fn without_the_privilege_it_says_what_it_takes() {
    scene().play(async |scene| {
        let before = kernel();
        let missing = status(scene, "missing", false, 1).await;
        let [missing] = &missing[..] else {
            panic!("{missing:#?}")
        };
        assert!(missing.contains("CAP_NET_ADMIN"), "{missing}");
        let said = run(scene, &["status"], false).await;
        assert_eq!(said.code, 1);
        let text = said.lines.join("\n");
        assert!(
            text.contains("sudo twinpath mptcp setup --backup wwan0"),
            "{text}"
        );
        assert!(!text.contains('\x1b'), "colours without a terminal: {text}");
        assert_eq!(
            status(scene, "missing", true, 0).await,
            [""; 0],
            "with it, nothing is"
        );

        let dry = run(scene, &["setup", "--backup", CELLULAR, "--dry-run"], false).await;
        assert_eq!(dry.code, 0, "{:?}", dry.errors);
        let refused = run(scene, &["setup", "--backup", CELLULAR], false).await;
        assert_eq!((refused.code, refused.lines.len()), (2, 0));
        let [error] = &refused.errors[..] else {
            panic!("{:?}", refused.errors)
        };
        assert!(
            error.contains("needs CAP_NET_ADMIN") && error.contains("sudo"),
            "{error}"
        );
        assert_eq!(kernel(), before);
        assert_eq!(
            run(scene, &["undo"], false).await.code,
            0,
            "there is nothing to undo"
        );
        say(scene, &["setup", "--backup", CELLULAR]).await;
        let refused = run(scene, &["undo"], false).await;
        assert_eq!(refused.code, 2);
        assert!(refused.errors[0].contains("sudo"), "{:?}", refused.errors);
        say(scene, &["undo"]).await;
        assert_eq!(kernel(), before);
    });
}

#[test]
fn interfaces_that_are_not_there_are_told_with_those_that_are() {
    scene().play(async |scene| {
        let said = run(scene, &["setup", "--backup", "wwan9"], true).await;
        assert_eq!(said.code, 2);
        assert!(said.errors[0].contains("wwan9") && said.errors[0].contains(CELLULAR));
        let same = ["status", "--backup", WIFI, "--primary", WIFI];
        assert_eq!(run(scene, &same, true).await.code, 64);
        scene.cellular().down().unwrap();
        let said = run(scene, &["status", "--backup", CELLULAR], true).await;
        assert_eq!(said.code, 1);
        assert!(
            said.lines.iter().any(|it| it.contains("wwan0 is down")),
            "{:?}",
            said.lines
        );
    });
}
