//! The runtime that everything runs in.

use std::sync::OnceLock;
use std::{future, io, thread};

use tokio::runtime::{Builder, Handle};

use crate::error::{Failure, Kind};

static RUNTIME: OnceLock<Option<Handle>> = OnceLock::new();

/// The library's runtime, which begins at the first call and stays.
pub(crate) fn handle() -> Result<Handle, Failure> {
    let runtime = RUNTIME.get_or_init(|| match start() {
        Ok(handle) => Some(handle),
        Err(error) => {
            log::error!("no thread can be started: {error}");
            None
        }
    });
    match runtime {
        Some(handle) => Ok(handle.clone()),
        None => Err(Failure::new(
            Kind::Other,
            "no thread can be started for the library",
        )),
    }
}

/// One thread does the work of all connections: they are moved by the kernel, not by arithmetic. A scheduler for several
/// would be a good part of a small library.
fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread()
        .thread_name("twinpath")
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("twinpath".to_owned())
        .spawn(move || runtime.block_on(future::pending::<()>()))?;
    Ok(handle)
}
