//! Where a connection goes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::ConnectError;

/// A host, by name or by address, and a port. Parsed from `example.com:443`, `192.0.2.1:443` or `[2001:db8::1]:443`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    host: String,
    port: u16,
    announced: bool,
    reached_at: Option<IpAddr>,
    known: Arc<[IpAddr]>,
}

impl Target {
    /// A target from its parts; an IPv6 address without brackets.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            announced: false,
            reached_at: None,
            known: Arc::default(),
        }
    }

    /// The name or address, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// For the further legs of a connection: the address at which the first one reached the peer, where that is known.
    ///
    /// Several servers may answer to one name, and only the one that has the session can take a leg of it. So a further
    /// leg goes to this address, wherever the path leads there; a name that is looked up anew says how the address is
    /// written on that path (NAT64).
    #[must_use]
    pub const fn reached_at(&self) -> Option<IpAddr> {
        self.reached_at
    }

    pub(crate) const fn with_reached_at(mut self, address: Option<IpAddr>) -> Self {
        self.reached_at = address;
        self
    }

    /// For the further legs of a connection: what [`Dialer::look_up`](crate::Dialer::look_up) has found for the host
    /// when the session began, so that a leg need not wait for a lookup just when a path has died. Often empty.
    #[must_use]
    pub fn known_addresses(&self) -> &[IpAddr] {
        &self.known
    }

    pub(crate) fn with_known(mut self, addresses: Arc<[IpAddr]>) -> Self {
        self.known = addresses;
        self
    }

    /// A target that the peer has named: it must not lead a leg to this device or the network beside it.
    pub(crate) const fn announced(mut self) -> Self {
        self.announced = true;
        self
    }

    pub(crate) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// The address, where the host is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Target {
    type Err = ConnectError;

    fn from_str(text: &str) -> Result<Self, ConnectError> {
        let invalid = || ConnectError::InvalidTarget(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let bare = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(address) => address,
            // Without brackets the last group of the address would be taken for the port.
            None if host.contains(':') => return Err(invalid()),
            None => host,
        };
        if bare.is_empty() || port == 0 || bare.chars().any(|c| c.is_whitespace() || c == '/') {
            return Err(invalid());
        }
        Ok(Self::new(bare, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_parse_and_print_alike() {
        for text in ["example.com:443", "192.0.2.1:80", "[2001:db8::1]:443"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_target_is_told_with_an_example() {
        for text in [
            "example.com",
            "2001:db8::1:443",
            ":443",
            "example.com:0",
            "http://x:80",
            "a:b",
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.to_string().contains("host:port"), "{text}: {error}");
        }
    }
}
