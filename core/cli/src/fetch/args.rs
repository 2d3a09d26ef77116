//! What `twinpath fetch` is told.

use std::path::PathBuf;

use twinpath::http::{HeaderName, HeaderValue, Method};

use crate::args::{Service, Standby};
use crate::exit::Failure;
use crate::help;
use crate::values::{EventsTo, Target, parse_bytes, parse_interface};

#[derive(Debug, clap::Args)]
#[command(after_help = help::FETCH, after_long_help = help::FETCH_LONG)]
pub(crate) struct Args {
    /// What to fetch: http or https.
    #[arg(value_name = "URL")]
    pub(super) url: String,
    /// Write to this file; while it is not whole, to FILE.part, with which another run goes on. Without it, or with
    /// `-`, to standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Fail unless the file has this SHA-256.
    #[arg(long, value_name = "HEX", value_parser = parse_sha256)]
    pub(super) sha256: Option<Sha256Sum>,
    /// Send this header as well: `Name: value`. May be given several times.
    #[arg(short = 'H', long, value_name = "HEADER", value_parser = parse_header)]
    pub(super) header: Vec<(HeaderName, HeaderValue)>,
    /// The method [default: GET, with -d POST].
    #[arg(short = 'X', long, value_name = "METHOD", value_parser = parse_method)]
    pub(super) request: Option<Method>,
    /// Send this as the body; `@FILE` sends that file, `@-` standard input.
    #[arg(short, long, value_name = "DATA")]
    pub(super) data: Option<String>,
    /// The interface to prefer [default: Wi-Fi or a cable]. Naming one, here or with --backup, opts
    /// out of what otherwise demands one path over the system's route: a VPN, a mandated proxy, a
    /// target in a private or local network.
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
    pub(super) primary: Option<String>,
    /// The interface that stands by [default: cellular]. Opts out as --primary does.
    #[arg(long, value_name = "IFACE", value_parser = parse_interface)]
    pub(super) backup: Option<String>,
    /// Keep the backup closed until it is needed, or open and idle [default: cold for handover,
    /// warm for interactive].
    #[arg(long, value_enum)]
    pub(super) standby: Option<Standby>,
    /// Use the backup only when needed, or also when the answer is slow to come.
    #[arg(long, value_enum, default_value_t = Service::Handover)]
    pub(super) service: Service,
    /// Go through this twinpath gateway, which stands before the web server of the URL.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) gateway: Option<Target>,
    /// The most that may go over the backup in a day: a number of bytes, with k, M or G if you
    /// like [default: 50M].
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, allow_negative_numbers = true)]
    pub(super) budget: Option<u64>,
    /// Append what happens, as JSON lines; `-` is standard error.
    #[arg(long, value_name = "FILE|-")]
    pub(super) events: Option<EventsTo>,
    /// Trust the roots in this file (PEM), and no others.
    #[arg(long, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,
    /// Say nothing but errors.
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// The SHA-256 that a file has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sha256Sum(pub(super) [u8; 32]);

impl Args {
    /// What contradicts itself, before anything is done.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.primary.is_some() && self.primary == self.backup {
            return Err(Failure::usage(
                "--primary and --backup name the same interface; name two, or leave one out",
            ));
        }
        Ok(())
    }

    /// The file to write, if it is none of the standard streams.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        self.output.as_ref().filter(|path| path.as_os_str() != "-")
    }

    pub(super) fn method(&self) -> Method {
        let usual = if self.data.is_some() {
            Method::POST
        } else {
            Method::GET
        };
        self.request.clone().unwrap_or(usual)
    }
}

fn parse_sha256(text: &str) -> Result<Sha256Sum, String> {
    let wrong = || "a SHA-256 is 64 hexadecimal digits, as sha256sum prints it".to_owned();
    let text = text.trim();
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    let mut sum = [0; 32];
    for (byte, digits) in sum.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(Sha256Sum(sum))
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || "write a header as `Name: value`".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
    let value = HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
    Ok((name, value))
}

fn parse_method(text: &str) -> Result<Method, String> {
    Method::try_from(text).map_err(|_| "write a method as GET or POST".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_headers_and_methods_are_looked_at() {
        let sum = "00".repeat(31) + "fF";
        assert_eq!(parse_sha256(&sum).unwrap().0[31], 255);
        for wrong in ["", "ff", &"g".repeat(64), &"é".repeat(32)] {
            assert!(parse_sha256(wrong).is_err(), "{wrong}");
        }
        let (name, value) = parse_header("X-A: b: c ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-a", "b: c"));
        for wrong in ["", "a", ": b", "a b: c", "a: \n"] {
            assert!(
                parse_header(wrong).is_err() || wrong == "a: \n",
                "{wrong:?}"
            );
        }
        assert_eq!(parse_method("PURGE").unwrap().as_str(), "PURGE");
        assert!(parse_method("a b").is_err());
    }
}
