//! Platforms on which nothing has to outlive a program.

use std::fs::File;
use std::io;
use std::path::PathBuf;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "nothing is kept for other programs on this platform",
    ))
}

pub(crate) fn directory(_make: bool) -> io::Result<PathBuf> {
    unsupported()
}

pub(crate) fn lock(_file: &File) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn boot() -> io::Result<String> {
    unsupported()
}
