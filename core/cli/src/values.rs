//! Values on the command line, looked at so far that a typing error is a usage error.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

use twinpath_proto::PublicKey;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EventsTo {
    Standard,
    File(PathBuf),
}

impl FromStr for EventsTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty".to_owned()),
            "-" => Ok(Self::Standard),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// `host:port` of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(String);

impl Target {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write it as example.com:443, 192.0.2.1:443 or [2001:db8::1]:443";
        match port_of(text) {
            Some(1..) => Ok(Self(text.to_owned())),
            _ => Err(example.to_owned()),
        }
    }
}

/// `host:port` of this machine; port 0 is any free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenAt(String);

impl ListenAt {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ListenAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match port_of(text) {
            Some(_) => Ok(Self(text.to_owned())),
            // Whether all addresses or only this machine is meant by nothing is not for us to guess.
            None => Err(
                "write it as 127.0.0.1:8080, localhost:8080 or [::1]:8080; 0.0.0.0:8080 is open \
                 to other machines"
                    .to_owned(),
            ),
        }
    }
}

/// The port in `host:port`, if the host can be one.
fn port_of(text: &str) -> Option<u16> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_host = match bare {
        Some(v6) => v6.split('%').next()?.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']),
    };
    is_host.then(|| port.parse().ok()).flatten()
}

pub(crate) fn parse_interface(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it is empty; name an interface, as in wlan0, or leave the option out".into());
    }
    Ok(text.to_owned())
}

pub(crate) fn parse_key(text: &str) -> Result<PublicKey, String> {
    text.trim().parse().map_err(|_| {
        "a public key is 64 hexadecimal digits, as `twinpath gateway --key FILE` prints it"
            .to_owned()
    })
}

/// A number of bytes with a decimal suffix.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || "write a number of bytes, as in 500000, 500k, 50M or 1G".to_owned();
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        Some((at, 'g' | 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "that is too much".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_suffixes() {
        assert_eq!(parse_bytes("17"), Ok(17));
        assert_eq!(parse_bytes("500k"), Ok(500_000));
        assert_eq!(parse_bytes("50M"), Ok(50_000_000));
        assert_eq!(parse_bytes("2G"), Ok(2_000_000_000));
        for wrong in ["", "k", "1.5M", "-1", "+1", "1T", "1 k", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn targets_are_looked_at() {
        for right in ["a:1", "192.0.2.1:443", "[2001:db8::1]:443", "[fe80::1%3]:1"] {
            assert!(right.parse::<Target>().is_ok(), "{right}");
        }
        let wrong = [
            "",
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "2001:db8::1:443",
            "[x]:1",
            "a b:1",
            "http://a:1",
        ];
        for wrong in wrong {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_to_listen_at_may_have_a_name_and_any_port() {
        for right in ["127.0.0.1:0", "[::1]:8080", "localhost:8080"] {
            assert!(right.parse::<ListenAt>().is_ok(), "{right}");
        }
        for wrong in ["", "8080", ":8080", "::1:8080", "localhost:http"] {
            assert!(wrong.parse::<ListenAt>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dash_is_no_file() {
        assert_eq!("-".parse(), Ok(EventsTo::Standard));
        assert_eq!("./-".parse(), Ok(EventsTo::File("./-".into())));
    }
}
