//! Exit codes, as users of curl know them.

use std::io;

use twinpath::http::Error;
use twinpath::{ConnectError, ErrorKind};

use crate::exit::Failure;

pub(super) const URL: u8 = 3;
const RESOLVE: u8 = 6;
const CONNECT: u8 = 7;
const PROTOCOL: u8 = 1;
const PROXY: u8 = 97;
const PARTIAL: u8 = 18;
const STATUS: u8 = 22;
pub(super) const WRITE: u8 = 23;
pub(super) const READ: u8 = 26;
const TIMEOUT: u8 = 28;
const TLS: u8 = 35;
pub(super) const INTERFACE: u8 = 45;
const REDIRECTS: u8 = 47;
const EMPTY: u8 = 52;
const SEND: u8 = 55;
const RECEIVE: u8 = 56;
const CERTIFICATE: u8 = 60;
const ENCODING: u8 = 61;
const CHANGED: u8 = 33;
pub(super) const CACERT: u8 = 77;
/// The file is whole, and another one than was expected.
pub(super) const DIGEST: u8 = 1;

/// Of a request that failed.
pub(super) fn failure(error: &Error) -> Failure {
    Failure::with_code(of(error), error)
}

fn of(error: &Error) -> u8 {
    match error {
        Error::InvalidUrl { why, .. } if why.contains("neither http nor https") => PROTOCOL,
        Error::InvalidUrl { .. } | Error::InvalidRequest(_) => URL,
        Error::TlsSetup(_) => CACERT,
        Error::Connect(error) => of_connect(error),
        Error::Tls { .. } => TLS,
        Error::Certificate { .. } => CERTIFICATE,
        Error::Proxy(_) => PROXY,
        Error::Timeout { .. } => TIMEOUT,
        Error::TooManyRedirects(_) => REDIRECTS,
        Error::InsecureRedirect(_) => PROTOCOL,
        Error::NotReplayable { .. } | Error::Superseded { .. } => SEND,
        Error::ResourceChanged { .. } => CHANGED,
        Error::Truncated { .. } => PARTIAL,
        Error::NoAnswer { .. } => EMPTY,
        Error::Status(_) => STATUS,
        Error::Body(_) => READ,
        Error::Decompression(_) => ENCODING,
        _ => RECEIVE,
    }
}

fn of_connect(error: &ConnectError) -> u8 {
    match error.kind() {
        ErrorKind::NameNotFound => RESOLVE,
        ErrorKind::TimedOut => TIMEOUT,
        ErrorKind::NoInterface => INTERFACE,
        ErrorKind::InvalidInput => URL,
        _ => CONNECT,
    }
}

/// Of a file that cannot be written.
pub(super) fn write(path: &std::path::Path, error: &io::Error) -> Failure {
    let text = match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    };
    Failure::with_code(WRITE, format!("cannot write {}: {text}", path.display()))
}
