//! Where programs keep what others have to find after their end, be it a crash: files that are gone
//! after a reboot, and locks that end with their process.
//!
//! Linux only; elsewhere everything here fails as [`Unsupported`](io::ErrorKind::Unsupported).

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::sys;

/// The directory for such files: what the variable `TWINPATH_RUN_DIR` names, else `/run/twinpath`
/// for root, else `twinpath` in `XDG_RUNTIME_DIR`, else a directory of this user beside temporary
/// files. Nobody else may write in it; what belongs to another user is never used.
///
/// With `make` it is made if it is not there.
///
/// # Errors
///
/// [`NotFound`](io::ErrorKind::NotFound) if it is not there; the system's.
pub fn directory(make: bool) -> io::Result<PathBuf> {
    sys::runtime::directory(make)
}

/// Locks a file for this process until the file is closed, as happens at the latest when the process
/// ends. `false` if another has it locked.
///
/// # Errors
///
/// The system's.
pub fn lock(file: &File) -> io::Result<bool> {
    sys::runtime::lock(file)
}

/// Names the time since the machine was started.
///
/// # Errors
///
/// The system's.
pub fn boot() -> io::Result<String> {
    sys::runtime::boot()
}
