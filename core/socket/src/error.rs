//! What can go wrong with interfaces.

use std::{fmt::Write as _, io};

use crate::Interface;

/// Why interfaces could not be listed, found or watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterfaceError {
    /// There is no interface of that name. The message lists those there are.
    #[error("no interface named {name}; {}", list(available))]
    NotFound {
        /// The name that was asked for.
        name: String,
        /// All interfaces that there are.
        available: Vec<Interface>,
    },
    /// The interfaces that were named exist, but cannot be used as they are.
    #[error("{} down or {} no address; switch one on, or name another", are(names), if names.len() == 1 { "has" } else { "have" })]
    NotUsable {
        /// The names that were asked for.
        names: Vec<String>,
    },
    /// The operating system did not answer.
    #[error("cannot {action}: {source}")]
    Os {
        /// What was being done, as in "list interfaces".
        action: &'static str,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },
}

impl InterfaceError {
    /// The operating system's error number, where there is one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Os { source, .. } => source.raw_os_error(),
            Self::NotFound { .. } | Self::NotUsable { .. } => None,
        }
    }
}

impl From<InterfaceError> for io::Error {
    /// Keeps the typed error inside, for `io::Error::get_ref`.
    fn from(error: InterfaceError) -> Self {
        let kind = match &error {
            InterfaceError::NotFound { .. } => io::ErrorKind::NotFound,
            InterfaceError::NotUsable { .. } => io::ErrorKind::NetworkDown,
            InterfaceError::Os { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

/// "wlan0 is", "wlan0 and wwan0 are"
fn are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(" and "))
}

/// "there are: wlan0 (Wi-Fi), wwan0 (cellular, down)"
fn list(available: &[Interface]) -> String {
    if available.is_empty() {
        return "there is none at all".to_owned();
    }
    let mut text = "there are: ".to_owned();
    for (position, interface) in available.iter().enumerate() {
        let comma = if position == 0 { "" } else { ", " };
        let down = if interface.up { "" } else { ", down" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{} ({}{down})", interface.name, interface.kind);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InterfaceKind;

    #[test]
    fn a_missing_interface_is_told_with_those_there_are() {
        let mut wwan0 = Interface::new("wwan0", 3, InterfaceKind::Cellular);
        wwan0.up = false;
        let error = InterfaceError::NotFound {
            name: "wlan9".into(),
            available: vec![Interface::new("wlan0", 2, InterfaceKind::Wifi), wwan0],
        };
        assert_eq!(
            error.to_string(),
            "no interface named wlan9; there are: wlan0 (Wi-Fi), wwan0 (cellular, down)"
        );
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn interfaces_that_are_down_are_named() {
        let error = |names: &[&str]| InterfaceError::NotUsable {
            names: names.iter().map(|&name| name.to_owned()).collect(),
        };
        assert_eq!(
            error(&["v9", "v8"]).to_string(),
            "v9 and v8 are down or have no address; switch one on, or name another"
        );
        assert_eq!(
            error(&["v9"]).to_string(),
            "v9 is down or has no address; switch one on, or name another"
        );
    }

    #[test]
    fn no_interface_at_all_is_said_so() {
        let error = InterfaceError::NotFound {
            name: "wlan0".into(),
            available: Vec::new(),
        };
        assert_eq!(
            error.to_string(),
            "no interface named wlan0; there is none at all"
        );
    }
}
