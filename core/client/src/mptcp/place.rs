//! What this process keeps in each network namespace that it has leases in.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use twinpath_socket::mptcp::{Endpoint, PathManager};

use super::directory::{Directory, Found};
use super::record::Entry;
use super::settle::{denied, end, ensure, find, is_same, sweep, wish};

/// The process in one network namespace. There is one while it has leases there.
#[derive(Debug)]
pub(super) struct Place {
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

pub(super) fn places() -> MutexGuard<'static, Vec<Place>> {
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
        let this = (Kind::Held, address);
        place
            .keep(
                &mut all,
                this,
                Entry::Held(endpoint),
                |manager, all| match wish(all, address) {
                    Some(Some(endpoint)) => ensure(manager, &endpoint),
                    _ => Ok(()),
                },
            )
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
        let (this, entry) = ((Kind::Out, address), Entry::Out { address, before });
        place.keep(&mut all, this, entry, |manager, _| {
            if let Some(present) = find(manager, address)? {
                manager.remove(&present)?;
            }
            remove_first(manager, address)
        })
    })
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
        (kind, address): (Kind, IpAddr),
        entry: Entry,
        act: impl FnOnce(&mut PathManager, &[Found]) -> io::Result<()>,
    ) -> io::Result<Holding> {
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
        let is_this = |it: &Entry| kind.is_of(it) && it.address() == Some(address);
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
    const fn is_of(self, entry: &Entry) -> bool {
        matches!(
            (self, entry),
            (Self::Held, Entry::Held(_)) | (Self::Out, Entry::Out { .. })
        )
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
