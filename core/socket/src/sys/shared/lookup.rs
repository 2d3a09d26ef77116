//! The system's resolver, asked through the standard library.

use std::{io, net::SocketAddr};

use tokio::net::lookup_host;

/// `WSAHOST_NOT_FOUND` to `WSANO_DATA`.
const WINDOWS_LOOKUP_ERRORS: std::ops::RangeInclusive<i32> = 11001..=11004;

/// The addresses of `host`.
pub(in crate::sys) async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match lookup_host((host, port)).await {
        Ok(found) => Ok(found.collect()),
        Err(error) if is_of_lookup(&error) => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("cannot look up {host}: {error}"),
        )),
        Err(error) => Err(error),
    }
}

/// The standard library has no kind for what resolvers say. Such an error is without a number on Unix, and has its own
/// on Windows.
fn is_of_lookup(error: &io::Error) -> bool {
    let of_resolver = error
        .raw_os_error()
        .is_none_or(|number| cfg!(windows) && WINDOWS_LOOKUP_ERRORS.contains(&number));
    of_resolver && error.kind() != io::ErrorKind::InvalidInput
}
