//! What this process keeps in each network namespace that it has leases in, and what has to be done when somebody,
//! living or dead, keeps something no longer.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use twinpath_socket::mptcp::{Endpoint, PathManager};

use super::Change;
use super::directory::{Directory, Found};
use super::record::Entry;

/// The process in one network namespace. There is one while it has leases there.
#[derive(Debug)]
struct Place {
    namespace: u64,
    /// Opened in the namespace, and of use for it wherever a lease is dropped.
    manager: PathManager,
    /// Where the records are.
    directory: PathBuf,
    /// The record of this process, locked as long as it lives.
    path: PathBuf,
    _file: File,
    /// What is kept, and for how many leases.
    kept: Vec<(Kind, IpAddr, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Held,
    Out,
}

/// Locked during every change: the order is this, then the directory.
static PLACES: Mutex<Vec<Place>> = Mutex::new(Vec::new());

fn places() -> MutexGuard<'static, Vec<Place>> {
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One count of something that is kept.
#[derive(Debug)]
pub(super) struct Holding {
    namespace: u64,
    kind: Kind,
    address: IpAddr,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut places = places();
        let Some(index) = places.iter().position(|it| it.namespace == self.namespace) else {
            return;
        };
        if let Err(error) = places[index].release(self.kind, self.address) {
            // The record stays: once this process has ended, another one can put it right.
            log::warn!("MPTCP's path manager could not be put right: {error}");
        }
        if places[index].kept.is_empty() {
            let place = places.swap_remove(index);
            if let Ok(directory) = Directory::open(place.directory.clone()) {
                place.leave(&directory);
            }
        }
    }
}

/// Ends all leases at once; dropping them is nothing any more.
pub(super) fn end_all() {
    let mut places = places();
    for mut place in places.drain(..) {
        let kept: Vec<_> = place.kept.iter().map(|it| (it.0, it.1)).collect();
        for (kind, address) in kept {
            place.kept.retain(|it| (it.0, it.1) != (kind, address));
            place.kept.push((kind, address, 1));
            if let Err(error) = place.release(kind, address) {
                log::warn!("MPTCP's path manager could not be put right: {error}");
            }
        }
        if let Ok(directory) = Directory::open(place.directory.clone()) {
            place.leave(&directory);
        }
    }
}

/// `None` if somebody else has an endpoint for that address.
pub(super) fn hold(wanted: &Endpoint) -> io::Result<Option<Holding>> {
    let mut manager = PathManager::open()?;
    let address = wanted.address;
    if !manager.may_change()? {
        return match find(&mut manager, address)? {
            Some(_) => Ok(None),
            None => Err(denied()),
        };
    }
    with_place(manager, |place, directory| {
        let mut all = directory.records(place.namespace)?;
        let present = find(&mut place.manager, address)?;
        let mut held = all.iter().filter_map(|it| it.held(address));
        let is_foreign = match &present {
            Some(present) => !held.any(|held| is_same(present, held)),
            None => all.iter().any(|it| it.out(address).flatten().is_some()),
        };
        if is_foreign {
            sweep(&mut place.manager, &mut all);
            return Ok(None);
        }
        let mut living = all.iter().filter(|it| it.alive);
        let endpoint = match present {
            Some(present) => present,
            None => living
                .find_map(|it| it.held(address))
                .unwrap_or(wanted)
                .clone(),
        };
        place
            .keep(&mut all, Entry::Held(endpoint), |manager, all| {
                match wish(all, address) {
                    Some(Some(endpoint)) => ensure(manager, &endpoint),
                    _ => Ok(()),
                }
            })
            .map(Some)
    })
}

pub(super) fn take_out(address: IpAddr) -> io::Result<Holding> {
    let mut manager = PathManager::open()?;
    if !manager.may_change()? {
        return Err(denied());
    }
    with_place(manager, |place, directory| {
        let mut all = directory.records(place.namespace)?;
        let present = find(&mut place.manager, address)?;
        let is_ours = |present: &Endpoint| {
            let mut held = all.iter().filter_map(|it| it.held(address));
            held.any(|held| is_same(present, held))
        };
        let before = present
            .filter(|present| !is_ours(present))
            .or_else(|| all.iter().find_map(|it| it.out(address)?.cloned()));
        place.keep(&mut all, Entry::Out { address, before }, |manager, _| {
            if let Some(present) = find(manager, address)? {
                manager.remove(&present)?;
            }
            remove_first(manager, address)
        })
    })
}

pub(super) fn undo() -> io::Result<Vec<Change>> {
    let _places = places();
    let mut manager = PathManager::open()?;
    let namespace = manager.namespace()?;
    let Some(directory) = Directory::find()? else {
        return Ok(Vec::new());
    };
    let mut all = directory.records(namespace)?;
    let undone: Vec<_> = all
        .iter()
        .flat_map(Change::of)
        .filter(|change| !change.alive || matches!(change.what, super::What::TakenOut { .. }))
        .collect();
    if undone.is_empty() {
        return Ok(undone);
    }
    if !manager.may_change()? {
        return Err(denied());
    }
    let mut ended = Vec::new();
    for found in all.iter_mut().filter(|it| it.alive) {
        let entries = &mut found.record.entries;
        let (out, held) = entries
            .drain(..)
            .partition(|it| matches!(it, Entry::Out { .. }));
        *entries = held;
        ended.extend::<Vec<Entry>>(out);
    }
    let mut failure = sweep(&mut manager, &mut all);
    for entry in &ended {
        failure = end(&mut manager, &all, entry).err().or(failure);
    }
    for found in all.iter().filter(|it| it.alive) {
        found.save()?;
    }
    failure.map_or(Ok(undone), Err)
}

/// Calls `act` with the place of this process in the namespace of `manager`, and the directory locked. A failure leaves
/// nothing that was not there before.
fn with_place<T>(
    manager: PathManager,
    act: impl FnOnce(&mut Place, &Directory) -> io::Result<T>,
) -> io::Result<T> {
    let namespace = manager.namespace()?;
    let mut places = places();
    let index = places.iter().position(|it| it.namespace == namespace);
    let (index, directory) = match index {
        Some(index) => (index, Directory::open(places[index].directory.clone())?),
        None => {
            let directory = Directory::make()?;
            let (path, file) = directory.add(namespace)?;
            places.push(Place {
                namespace,
                manager,
                directory: directory.path().to_owned(),
                path,
                _file: file,
                kept: Vec::new(),
            });
            (places.len() - 1, directory)
        }
    };
    let place = &mut places[index];
    let done = act(place, &directory);
    if place.kept.is_empty() {
        places.swap_remove(index).leave(&directory);
    }
    done
}

impl Place {
    /// Records `entry`, and then does it. What fails is as if it had not been tried.
    fn keep(
        &mut self,
        all: &mut Vec<Found>,
        entry: Entry,
        act: impl FnOnce(&mut PathManager, &[Found]) -> io::Result<()>,
    ) -> io::Result<Holding> {
        let (kind, address) = (Kind::of(&entry), entry.address());
        let own = self.own(all)?;
        own.record.put(entry);
        own.save()?;
        sweep(&mut self.manager, all);
        let Err(error) = act(&mut self.manager, all) else {
            return Ok(self.count(kind, address));
        };
        if !self.is_kept(kind, address) {
            self.forget(all, kind, address)?;
        }
        Err(error)
    }

    /// The record goes with the place, unless it tells of something that could not be put right.
    fn leave(self, directory: &Directory) {
        let left = directory.records(self.namespace).and_then(|mut all| {
            let own = self.own(&mut all)?;
            match own.record.entries.is_empty() {
                true => own.remove(),
                false => Ok(()),
            }
        });
        if let Err(error) = left {
            log::debug!("a record stays behind: {error}");
        }
    }

    fn own<'a>(&self, all: &'a mut [Found]) -> io::Result<&'a mut Found> {
        all.iter_mut()
            .find(|it| it.path == self.path)
            .ok_or_else(|| {
                let text = format!("{} is gone", self.path.display());
                io::Error::new(io::ErrorKind::NotFound, text)
            })
    }

    fn is_kept(&self, kind: Kind, address: IpAddr) -> bool {
        self.kept.iter().any(|it| (it.0, it.1) == (kind, address))
    }

    /// Does away with an entry of the record, and what it stands for.
    fn forget(&mut self, all: &mut [Found], kind: Kind, address: IpAddr) -> io::Result<()> {
        let own = self.own(all)?;
        let is_this = |it: &Entry| it.address() == address && kind == Kind::of(it);
        let entries = &mut own.record.entries;
        // Somebody has undone it meanwhile if it is not there.
        let Some(index) = entries.iter().position(is_this) else {
            return Ok(());
        };
        let entry = entries.remove(index);
        end(&mut self.manager, all, &entry)?;
        self.own(all)?.save()
    }

    fn count(&mut self, kind: Kind, address: IpAddr) -> Holding {
        let is_this = |it: &&mut (Kind, IpAddr, usize)| (it.0, it.1) == (kind, address);
        match self.kept.iter_mut().find(is_this) {
            Some((_, _, count)) => *count += 1,
            None => self.kept.push((kind, address, 1)),
        }
        Holding {
            namespace: self.namespace,
            kind,
            address,
        }
    }

    /// One lease is over.
    fn release(&mut self, kind: Kind, address: IpAddr) -> io::Result<()> {
        let is_this = |it: &(Kind, IpAddr, usize)| (it.0, it.1) == (kind, address);
        let Some(index) = self.kept.iter().position(is_this) else {
            return Ok(());
        };
        self.kept[index].2 -= 1;
        if self.kept[index].2 > 0 {
            return Ok(());
        }
        self.kept.swap_remove(index);
        let directory = Directory::open(self.directory.clone())?;
        let mut all = directory.records(self.namespace)?;
        self.forget(&mut all, kind, address)
    }
}

impl Kind {
    const fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Held(_) => Self::Held,
            Entry::Out { .. } => Self::Out,
        }
    }
}

impl Found {
    fn held(&self, address: IpAddr) -> Option<&Endpoint> {
        self.record.entries.iter().find_map(|entry| match entry {
            Entry::Held(endpoint) if endpoint.address == address => Some(endpoint),
            _ => None,
        })
    }

    /// What somebody else had for an address that is taken out.
    fn out(&self, address: IpAddr) -> Option<Option<&Endpoint>> {
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
fn wish(all: &[Found], address: IpAddr) -> Option<Option<Endpoint>> {
    let living = || all.iter().filter(|it| it.alive);
    if living().any(|it| it.out(address).is_some()) {
        return Some(None);
    }
    living().find_map(|it| it.held(address)).cloned().map(Some)
}

/// Puts right what is over, so that the kernel has what the records say, in which it is not any more.
fn end(manager: &mut PathManager, all: &[Found], entry: &Entry) -> io::Result<()> {
    match (wish(all, entry.address()), entry) {
        (None, Entry::Held(endpoint)) => {
            let present = find(manager, endpoint.address)?;
            // Somebody else's by now, if it is another one.
            match present.filter(|present| is_same(present, endpoint)) {
                Some(present) => manager.remove(&present),
                None => Ok(()),
            }
        }
        (Some(Some(endpoint)), Entry::Out { .. }) => ensure(manager, &endpoint),
        #[rustfmt::skip]
        (None, Entry::Out { before: Some(endpoint), .. }) => ensure(manager, endpoint),
        _ => Ok(()),
    }
}

/// Puts right what dead programs have left, and forgets them; the first failure is told, and its record stays.
fn sweep(manager: &mut PathManager, all: &mut Vec<Found>) -> Option<io::Error> {
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

fn find(manager: &mut PathManager, address: IpAddr) -> io::Result<Option<Endpoint>> {
    let endpoints = manager.endpoints()?;
    Ok(endpoints.into_iter().find(|it| it.address == address))
}

/// Has the kernel have that endpoint, unless the address has one.
fn ensure(manager: &mut PathManager, endpoint: &Endpoint) -> io::Result<()> {
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

/// Closes the first subflow of each connection that began there, which needs no endpoint.
fn remove_first(manager: &mut PathManager, address: IpAddr) -> io::Result<()> {
    let first = Endpoint::new(address, 0, Default::default());
    match manager.remove(&first) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        // The kernel is not content if there is no such connection.
        _ => Ok(()),
    }
}

/// Whether the kernel's endpoint is the one that was asked for, apart from the number that it got.
fn is_same(one: &Endpoint, other: &Endpoint) -> bool {
    (one.address, one.interface, one.flags) == (other.address, other.interface, other.flags)
}

fn denied() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "changing MPTCP's path manager needs CAP_NET_ADMIN",
    )
}
