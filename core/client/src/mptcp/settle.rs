//! What has to be done in the kernel when somebody, living or dead, keeps something no longer.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use twinpath_socket::mptcp::{Endpoint, PathManager};

use super::directory::Found;
use super::record::Entry;

/// Of the network namespace of whoever looks.
const SETTINGS: &str = "/proc/sys/net";

impl Found {
    pub(super) fn held(&self, address: IpAddr) -> Option<&Endpoint> {
        self.record.entries.iter().find_map(|entry| match entry {
            Entry::Held(endpoint) if endpoint.address == address => Some(endpoint),
            _ => None,
        })
    }

    /// What somebody else had for an address that is taken out.
    pub(super) fn out(&self, address: IpAddr) -> Option<Option<&Endpoint>> {
        self.record.entries.iter().find_map(|entry| match entry {
            Entry::Out {
                address: out,
                before,
            } if *out == address => Some(before.as_ref()),
            _ => None,
        })
    }
}

/// What the records of the living say of an address: nothing, that it shall have no endpoint, or which one.
pub(super) fn wish(all: &[Found], address: IpAddr) -> Option<Option<Endpoint>> {
    let living = || all.iter().filter(|it| it.alive);
    if living().any(|it| it.out(address).is_some()) {
        return Some(None);
    }
    living().find_map(|it| it.held(address)).cloned().map(Some)
}

/// Puts right what is over, so that the kernel has what the records say, in which it is not any more.
pub(super) fn end(manager: &mut PathManager, all: &[Found], entry: &Entry) -> io::Result<()> {
    let wish = entry.address().and_then(|address| wish(all, address));
    match (wish, entry) {
        (None, Entry::Held(endpoint)) => remove(manager, endpoint),
        (Some(Some(endpoint)), Entry::Out { .. }) => ensure(manager, &endpoint),
        #[rustfmt::skip]
        (None, Entry::Out { before: Some(endpoint), .. }) => ensure(manager, endpoint),
        (None, Entry::Replaced(endpoint)) => ensure(manager, endpoint),
        (
            _,
            Entry::Setting {
                name,
                before,
                after,
            },
        ) => {
            // Somebody else has changed it since, if it is another value.
            if setting(name)? == *after {
                set(name, before)?;
            }
            Ok(())
        }
        (_, Entry::Limits { before, after }) => {
            if manager.limits()? == *after {
                manager.set_limits(*before)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Removes an endpoint, unless somebody else has made another one of it.
pub(super) fn remove(manager: &mut PathManager, endpoint: &Endpoint) -> io::Result<()> {
    let present = find(manager, endpoint.address)?;
    match present.filter(|present| is_same(present, endpoint)) {
        Some(present) => manager.remove(&present),
        None => Ok(()),
    }
}

/// The value of a kernel parameter of this network namespace, by its name in `/proc/sys/net`.
pub(super) fn setting(name: &str) -> io::Result<String> {
    let value = fs::read_to_string(Path::new(SETTINGS).join(name))?;
    Ok(value.trim().to_owned())
}

pub(super) fn set(name: &str, value: &str) -> io::Result<()> {
    let written = fs::write(Path::new(SETTINGS).join(name), value);
    written.map_err(|error| io::Error::new(error.kind(), format!("{name} cannot be set: {error}")))
}

/// Puts right what dead programs have left, and forgets them; the first failure is told, and its record stays.
pub(super) fn sweep(manager: &mut PathManager, all: &mut Vec<Found>) -> Option<io::Error> {
    let (living, dead): (Vec<_>, Vec<_>) = all.drain(..).partition(|it| it.alive);
    *all = living;
    let mut failure = None;
    for found in dead {
        if let Err(error) = bury(manager, all, &found) {
            let process = found.record.process;
            log::warn!("what process {process} has left in MPTCP's path manager stays: {error}");
            failure.get_or_insert(error);
        }
    }
    failure
}

fn bury(manager: &mut PathManager, living: &[Found], dead: &Found) -> io::Result<()> {
    // What is taken out comes back first: it is nothing that the program itself had added.
    let is_out = |it: &&Entry| matches!(it, Entry::Out { .. });
    let entries = &dead.record.entries;
    let out = entries.iter().filter(is_out);
    for entry in out.chain(entries.iter().filter(|it| !is_out(it))) {
        end(manager, living, entry)?;
    }
    log::info!(
        "put right what process {} had left in MPTCP's path manager",
        dead.record.process
    );
    dead.remove()
}

pub(super) fn find(manager: &mut PathManager, address: IpAddr) -> io::Result<Option<Endpoint>> {
    let endpoints = manager.endpoints()?;
    Ok(endpoints.into_iter().find(|it| it.address == address))
}

/// Has the kernel have that endpoint, unless the address has one.
pub(super) fn ensure(manager: &mut PathManager, endpoint: &Endpoint) -> io::Result<()> {
    if find(manager, endpoint.address)?.is_some() {
        return Ok(());
    }
    match manager.add(endpoint) {
        // Its number is taken.
        Err(_) if endpoint.id != 0 => {
            let mut other = endpoint.clone();
            other.id = 0;
            manager.add(&other).map(drop)
        }
        added => added.map(drop),
    }
}

/// Whether the kernel's endpoint is the one that was asked for, apart from the number that it got.
pub(super) fn is_same(one: &Endpoint, other: &Endpoint) -> bool {
    (one.address, one.interface, one.flags) == (other.address, other.interface, other.flags)
}

pub(super) fn denied() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "changing MPTCP's path manager needs CAP_NET_ADMIN",
    )
}
