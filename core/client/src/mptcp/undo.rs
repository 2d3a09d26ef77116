//! Puts everything right that nobody alive needs, and what is taken out.

use std::io;
use std::path::PathBuf;

use twinpath_socket::mptcp::PathManager;

use super::Change;
use super::directory::{Directory, Found};
use super::place::places;
use super::record::Entry;
use super::settle::{denied, end, remove, sweep};

pub(super) fn undo() -> io::Result<Vec<Change>> {
    // No lease comes or goes meanwhile.
    let _places = places();
    let mut manager = PathManager::open()?;
    let namespace = manager.namespace()?;
    let Some(directory) = Directory::find()? else {
        return Ok(Vec::new());
    };
    let mut all = directory.records(namespace)?;
    let undone: Vec<_> = all
        .iter()
        .flat_map(|found| found.record.entries.iter().map(move |entry| (found, entry)))
        .filter(|(found, entry)| !found.alive || is_over(found, entry))
        .map(|(found, entry)| Change::of(found, entry))
        .collect();
    if !undone.is_empty() && !manager.may_change()? {
        return Err(denied());
    }
    let ended = take(&mut all);
    let mut failure = sweep(&mut manager, &mut all);
    for (path, entry) in &ended {
        let is_replaced = |(_, it): &(PathBuf, Entry)| {
            matches!(it, Entry::Replaced(_)) && it.address() == entry.address()
        };
        let done = match entry {
            // The administrator's own comes back in its place, though a living program uses ours: it will use that.
            Entry::Held(endpoint) if ended.iter().any(is_replaced) => {
                remove(&mut manager, endpoint)
            }
            _ => end(&mut manager, &all, entry),
        };
        if let Err(error) = done {
            failure.get_or_insert(error);
            if let Some(found) = all.iter_mut().find(|it| it.path == *path) {
                found.record.put(entry.clone());
            }
        }
    }
    for found in all.iter().filter(|it| it.alive) {
        if found.lasting && found.record.entries.is_empty() {
            found.remove()?;
        } else {
            found.save()?;
        }
    }
    failure.map_or(Ok(undone), Err)
}

/// Whether an entry of what is alive is undone.
const fn is_over(found: &Found, entry: &Entry) -> bool {
    found.lasting || matches!(entry, Entry::Out { .. })
}

/// Takes what is undone out of the records of the living, in the order in which it is undone.
fn take(all: &mut [Found]) -> Vec<(PathBuf, Entry)> {
    let mut ended = Vec::new();
    for found in all.iter_mut().filter(|it| it.alive) {
        let entries = std::mem::take(&mut found.record.entries);
        for entry in entries {
            if is_over(found, &entry) {
                ended.push((found.path.clone(), entry));
            } else {
                found.record.entries.push(entry);
            }
        }
    }
    // An endpoint goes before the one comes back that it replaced.
    ended.sort_by_key(|(_, entry)| matches!(entry, Entry::Replaced(_)));
    ended
}
