//! The runtime that everything runs in.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Failure, Kind};

/// One thread does the work of all connections: they are moved by the kernel, not by arithmetic.
const THREADS: usize = 1;

static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();

/// The library's runtime, which begins at the first call and stays.
pub(crate) fn handle() -> Result<Handle, Failure> {
    let runtime = RUNTIME.get_or_init(|| match start() {
        Ok(runtime) => Some(runtime),
        Err(error) => {
            log::error!("no thread can be started: {error}");
            None
        }
    });
    match runtime {
        Some(runtime) => Ok(runtime.handle().clone()),
        None => Err(Failure::new(
            Kind::Other,
            "no thread can be started for the library",
        )),
    }
}

fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("twinpath")
        .enable_all()
        .build()
}
