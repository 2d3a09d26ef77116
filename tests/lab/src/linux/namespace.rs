//! A network namespace that lives as long as someone holds its descriptor.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::netlink::Netlink;
use super::sys;
use crate::error::{LabError, Step as _};

const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// See the module. It has no name anywhere: when the process ends, so does the namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    file: Arc<File>,
    /// Opened inside, and so of use from anywhere.
    route: Mutex<Netlink>,
}

impl Namespace {
    pub(super) fn new() -> Result<Self, LabError> {
        // A thread of its own makes the namespace, so that the caller stays where it is.
        let made = thread::Builder::new()
            .name("lab-namespace".into())
            .spawn(|| {
                sys::unshare_network().map_err(LabError::NamespaceDenied)?;
                let file = File::open(OWN_NAMESPACE).step(|| "open a network namespace".into())?;
                let route = Netlink::route().step(|| "open a route socket".into())?;
                Ok(Self {
                    file: Arc::new(file),
                    route: Mutex::new(route),
                })
            })
            .step(|| "start a thread".into())?;
        made.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    pub(super) fn route(&self) -> MutexGuard<'_, Netlink> {
        self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the calling thread into the namespace until the guard is dropped.
    pub(super) fn enter(&self) -> io::Result<Inside> {
        let before = File::open(OWN_NAMESPACE)?;
        // Root of a user namespace may not return to a network that belongs to another. Going to
        // where the thread is already shows whether it could.
        sys::set_network(before.as_fd())?;
        sys::set_network(self.file.as_fd())?;
        Ok(Inside { before })
    }

    /// Runs `act` inside, on a thread of its own: that needs no way back.
    pub(super) fn inside<T: Send>(
        &self,
        act: impl FnOnce() -> Result<T, LabError> + Send,
    ) -> Result<T, LabError> {
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("lab-inside".into());
            let acting = thread
                .spawn_scoped(scope, || {
                    self.move_into()
                        .step(|| "enter a network namespace".into())?;
                    act()
                })
                .step(|| "start a thread".into())?;
            acting
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace for good.
    pub(super) fn move_into(&self) -> io::Result<()> {
        sys::set_network(self.file.as_fd())
    }

    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        sys::start_in(&mut command, Arc::clone(&self.file));
        command
    }

    /// Sets `/proc/sys/net/<name>`, which is the namespace's own.
    pub(super) fn sysctl(&self, name: &str, value: &str) -> Result<(), LabError> {
        let path = Path::new("/proc/sys/net").join(name);
        self.inside(|| {
            if fs::read_to_string(&path).is_ok_and(|is| is.trim() == value) {
                return Ok(());
            }
            fs::write(&path, value).step(|| format!("set net/{name} to {value}"))
        })
    }

    /// As `sysctl`, for a setting that not every kernel has.
    pub(super) fn sysctl_if_present(&self, name: &str, value: &str) -> Result<(), LabError> {
        match self.sysctl(name, value) {
            Err(LabError::Setup { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(())
            }
            other => other,
        }
    }

    /// Makes the TUN device `name` and returns its non-blocking descriptor.
    pub(super) fn tun(&self, name: &str) -> Result<File, LabError> {
        self.inside(|| {
            let tun = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open("/dev/net/tun")
                .map_err(LabError::Tun)?;
            sys::name_tun(&tun, name).step(|| format!("create the TUN device {name}"))?;
            Ok(tun)
        })
    }
}

/// Keeps the thread in a namespace; see [`Namespace::enter`].
#[derive(Debug)]
pub(super) struct Inside {
    before: File,
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Err(error) = sys::set_network(self.before.as_fd()) {
            // Going on in the wrong namespace would make every later result a lie.
            log::error!("cannot leave the lab's namespace: {error}");
            std::process::abort();
        }
    }
}
