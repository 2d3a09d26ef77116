//! Changes to the kernel's MPTCP path manager that do not outlive their purpose.
//!
//! The path manager of Linux serves every MPTCP connection of a network namespace alike, of whichever program. What a
//! program changes there, which takes `CAP_NET_ADMIN`, it has to put right at its end. A [`Lease`] does so when it is
//! dropped, and keeps a record for the case that it never is: the next program to take a lease here, or [`undo`], puts
//! right what a dead one has left. Several programs may hold leases for the same address; the last one to end puts it
//! right.
//!
//! The records are files in `/run/twinpath` (of root), in `$XDG_RUNTIME_DIR/twinpath`, or beside temporary files; the
//! variable `TWINPATH_RUN_DIR` names another directory. Programs find each other if they have the same directory.
//!
//! Everything here is about the network namespace of the calling thread. The calls block, for some netlink messages and
//! small files: not long enough to matter in asynchronous code. Where the kernel has no MPTCP that can be asked for, they
//! fail as [`Unsupported`](std::io::ErrorKind::Unsupported).

mod directory;
mod place;
mod record;
mod settle;
mod setup;
mod undo;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use twinpath_socket::mptcp::PathManager;

use directory::{Directory, Found};
use place::Holding;
use record::Entry;

pub use crate::kernel::Relief;
pub use setup::{Setup, Step};
pub use twinpath_socket::mptcp::{Endpoint, EndpointFlags, MptcpLimits};

/// Something of the path manager that is kept as it is while this, or a clone of it, lives.
///
/// A lease ends with the process too, but then puts nothing right by itself.
#[derive(Debug, Clone)]
#[must_use = "it ends when it is dropped"]
pub struct Lease {
    /// Without one, somebody else keeps it.
    _holding: Option<Arc<Holding>>,
}

impl Lease {
    /// Has the path manager hold `endpoint` while this lease, or any other for the same address, lives. Of several the
    /// first one says what the endpoint is like.
    ///
    /// An endpoint for that address that somebody else has made (an administrator, NetworkManager) is used as it is:
    /// nothing is added, recorded or removed.
    ///
    /// When the endpoint goes, the kernel closes every subflow that started at its address, of other programs as well and
    /// be it their first one.
    ///
    /// While the address is [taken out](Self::take_out), the endpoint is only noted.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`, unless there is such an endpoint;
    /// the kernel's, as when there are eight endpoints; those of files.
    pub fn hold(endpoint: &Endpoint) -> io::Result<Self> {
        place::hold(endpoint).map(Self::of)
    }

    /// Takes an address out of all MPTCP connections while this lease, or any other such lease for it, lives: the subflows
    /// that started there are closed, the peers are told, and connections open no new one from there. A new connection
    /// may still begin there.
    ///
    /// The endpoint of the address, if there is one, comes back as it was when the last such lease is dropped, and with
    /// it the subflows. Where there was none, nothing brings subflows back, unless an endpoint is [held](Self::hold)
    /// meanwhile, which then comes as well. (Held before, it would have a connection open a second subflow from there.)
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`; those of files.
    pub fn take_out(address: IpAddr) -> io::Result<Self> {
        place::take_out(address).map(|holding| Self::of(Some(holding)))
    }

    fn of(holding: Option<Holding>) -> Self {
        Self {
            _holding: holding.map(Arc::new),
        }
    }
}

/// Something that a program has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// What it is.
    pub what: What,
    /// The process, by the number that it has for itself.
    pub process: u32,
    /// Whether it lives. What a dead one has changed is put right by the next lease, or by [`undo`].
    pub alive: bool,
    /// It shall last beyond the end of the process, until [`undo`] or the next boot: a [`Setup`].
    pub lasting: bool,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// An endpoint was added.
    Added(Endpoint),
    /// An address was taken out of all connections.
    TakenOut {
        /// The address.
        address: IpAddr,
        /// The endpoint that it had.
        endpoint: Option<Endpoint>,
    },
    /// An endpoint of somebody else was removed for another one with the same address.
    Replaced(Endpoint),
    /// A kernel parameter was set.
    Setting {
        /// As `sysctl` has it.
        name: String,
        /// Its value before.
        before: String,
        /// The value that was set.
        after: String,
    },
    /// The limits of the path manager were set.
    Limits {
        /// As they were.
        before: MptcpLimits,
        /// As they were set.
        after: MptcpLimits,
    },
}

impl Change {
    fn of(found: &Found, entry: &Entry) -> Self {
        let what = match entry {
            Entry::Held(endpoint) => What::Added(endpoint.clone()),
            Entry::Replaced(endpoint) => What::Replaced(endpoint.clone()),
            Entry::Out { address, before } => What::TakenOut {
                address: *address,
                endpoint: before.clone(),
            },
            Entry::Setting {
                name,
                before,
                after,
            } => What::Setting {
                name: setup::name_of(name),
                before: before.clone(),
                after: after.clone(),
            },
            Entry::Limits { before, after } => What::Limits {
                before: *before,
                after: *after,
            },
        };
        Self {
            what,
            process: found.record.process,
            alive: found.alive,
            lasting: found.lasting,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Added(endpoint) => {
                write!(f, "endpoint {} {} added", endpoint.address, endpoint.flags)?;
            }
            What::TakenOut { address, endpoint } => {
                write!(f, "{address} taken out of all connections")?;
                if let Some(endpoint) = endpoint {
                    write!(f, " (endpoint {} {})", endpoint.id, endpoint.flags)?;
                }
            }
            What::Replaced(endpoint) => {
                write!(
                    f,
                    "endpoint {} {} replaced",
                    endpoint.address, endpoint.flags
                )?;
            }
            What::Setting {
                name,
                before,
                after,
            } => write!(f, "{name} set from {before} to {after}")?,
            What::Limits { before, after } => {
                let (before, after) = (before.subflows, after.subflows);
                write!(f, "limit of subflows set from {before} to {after}")?;
            }
        }
        match (self.lasting, self.alive) {
            (true, _) => f.write_str(" by setup"),
            (false, true) => write!(f, " by process {}", self.process),
            (false, false) => write!(f, " by process {}, which is dead", self.process),
        }
    }
}

/// All changes on record in this network namespace: of living programs, and what dead ones have left.
///
/// # Errors
///
/// As of [`PathManager::open`]; those of files.
pub fn changes() -> io::Result<Vec<Change>> {
    let namespace = PathManager::open()?.namespace()?;
    let Some(directory) = Directory::find()? else {
        return Ok(Vec::new());
    };
    let found = directory.records(namespace)?;
    let changes = found.iter().flat_map(|found| {
        let entries = found.record.entries.iter();
        entries.map(move |entry| Change::of(found, entry))
    });
    Ok(changes.collect())
}

/// Ends all leases of this process: for a program that is about to end with some of them alive, as in tasks that nobody
/// waits for.
pub fn end_leases() {
    place::end_all();
}

/// Puts right what dead programs have left behind, and puts back what is taken out, though the program that did so lives.
/// Endpoints that living programs hold stay. What a [`Setup`] has changed is put back as it was. Gives what was done away
/// with.
///
/// # Errors
///
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`, if there is anything to do; those of
/// files.
pub fn undo() -> io::Result<Vec<Change>> {
    undo::undo()
}
