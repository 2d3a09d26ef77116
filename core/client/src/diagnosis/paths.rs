//! What there is to test.

use twinpath_socket::{Binding, Interface, InterfaceError, InterfaceKind, interfaces, resolve};

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;

use super::Diagnosis;
use crate::Target;
use crate::error::ConnectError;

/// Longer than a lookup takes that works.
const LOOKUP: Duration = Duration::from_secs(5);

/// Addresses of one family that are tested; large services have more, of which one is as good as the other.
const MOST: usize = 4;

/// A path to test: from one interface to one address of the server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PathToTest {
    /// The interface's name.
    pub interface: String,
    /// What the interface is.
    pub kind: InterfaceKind,
    /// What sockets are bound to.
    pub binding: Binding,
    /// The server's address.
    pub server: SocketAddr,
}

/// The paths to `target`: the first four IPv4 and the first four IPv6 addresses of the server from every
/// interface that can be used or is named. What cannot be tested is in the notes of the diagnosis.
///
/// # Errors
///
/// As [`diagnose`](super::diagnose).
///
/// # Cancel safety
///
/// Nothing is lost when the future is dropped.
pub async fn paths_to(
    target: &Target,
    named: &[String],
) -> Result<(Vec<PathToTest>, Diagnosis), ConnectError> {
    let mut diagnosis = Diagnosis::new(target.to_string());
    let mut paths = Vec::new();
    for interface in chosen(named, target)? {
        let name = &interface.name;
        if !interface.up || interface.addresses.is_empty() {
            diagnosis.notes.push(format!(
                "{name} was not tested: it is down or has no address"
            ));
            continue;
        }
        let binding = interface.binding();
        let looked_up = timeout(LOOKUP, resolve(target.host(), target.port(), &binding)).await;
        let addresses = match looked_up {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => {
                diagnosis
                    .notes
                    .push(format!("{name} was not tested: {error}"));
                continue;
            }
            Err(_) => {
                let host = target.host();
                let late = LOOKUP.as_secs();
                diagnosis.notes.push(format!(
                    "{name} was not tested: the address of {host} was not found within {late} s"
                ));
                continue;
            }
        };
        for is_v6 in [false, true] {
            let of_family: Vec<_> = addresses
                .iter()
                .filter(|it| it.is_ipv6() == is_v6)
                .collect();
            let (tested, left) = of_family.split_at(of_family.len().min(MOST));
            for server in tested {
                match why_not(&interface, server) {
                    Some(why) => diagnosis
                        .notes
                        .push(format!("{name} to {server} was not tested: {why}")),
                    None => paths.push(PathToTest {
                        interface: name.clone(),
                        kind: interface.kind,
                        binding: binding.clone(),
                        server: **server,
                    }),
                }
            }
            if !left.is_empty() {
                let left: Vec<_> = left.iter().map(|it| it.ip().to_string()).collect();
                let left = left.join(", ");
                diagnosis.notes.push(format!(
                    "from {name}, {MOST} addresses of a family were tested, and not {left}: name one to test it"
                ));
            }
        }
    }
    if paths.is_empty() && diagnosis.notes.is_empty() {
        diagnosis
            .notes
            .push("there is no interface that can be used".into());
    }
    Ok((paths, diagnosis))
}

fn chosen(named: &[String], target: &Target) -> Result<Vec<Interface>, ConnectError> {
    let all = interfaces()?;
    if named.is_empty() && is_this_machine(target) {
        let loops = |it: &Interface| it.kind == InterfaceKind::Loopback && it.up;
        return Ok(all.into_iter().filter(loops).collect());
    }
    if named.is_empty() {
        return Ok(all.into_iter().filter(Interface::is_usable).collect());
    }
    named
        .iter()
        .map(|name| match all.iter().find(|it| it.name == *name) {
            Some(found) => Ok(found.clone()),
            None => Err(InterfaceError::NotFound {
                name: name.clone(),
                available: all.clone(),
            }
            .into()),
        })
        .collect()
}

fn is_this_machine(target: &Target) -> bool {
    let address = target.host().parse::<IpAddr>();
    address.map_or_else(|_| target.host() == "localhost", |it| it.is_loopback())
}

/// Why an interface cannot reach an address of that family at all.
fn why_not(interface: &Interface, server: &SocketAddr) -> Option<&'static str> {
    let is_v6 = server.is_ipv6();
    if server.ip().is_loopback() && interface.kind != InterfaceKind::Loopback {
        return Some("that is this machine itself");
    }
    let is_of_use = |it: &&IpAddr| match it {
        IpAddr::V4(_) => !is_v6,
        IpAddr::V6(v6) => is_v6 && (!v6.is_unicast_link_local() || is_link_local(server)),
    };
    if !interface.addresses.iter().any(|it| is_of_use(&it)) {
        return Some(if is_v6 {
            "it has no IPv6 address"
        } else {
            "it has no IPv4 address"
        });
    }
    None
}

fn is_link_local(server: &SocketAddr) -> bool {
    matches!(server.ip(), IpAddr::V6(v6) if v6.is_unicast_link_local())
}
