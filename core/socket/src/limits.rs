//! What the system grants a process.

use std::io;

use crate::sys;

/// Lets this process have as many sockets and files open as the system will allow (on Unix, raises
/// the soft limit of `RLIMIT_NOFILE` to the hard one), and returns that number; elsewhere it does
/// nothing and returns [`u64::MAX`].
///
/// For servers: the soft limit is often 1024, for the sake of programs that use `select`.
///
/// # Errors
///
/// The kernel's. The limit is then what it was.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    sys::raise_descriptor_limit()
}

/// Whether an error says that this process, or the whole system, has too many files and sockets
/// open.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|number| sys::OUT_OF_DESCRIPTORS.contains(&number))
}
