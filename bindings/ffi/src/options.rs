//! The options of a connector.

use std::time::Duration;

use twinpath::{Connector, ConnectorBuilder, InterfaceSelector};

use crate::error::{Failure, Kind};
use crate::names::{InterfaceKind, Mode, Peer, Service, Standby};

/// An interface to use for a path.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum InterfaceChoice {
    /// The first usable one of that kind.
    OfKind {
        /// The kind.
        kind: InterfaceKind,
    },
    /// The one of that name.
    Named {
        /// The system's name of it.
        name: String,
    },
}

impl From<InterfaceChoice> for InterfaceSelector {
    fn from(choice: InterfaceChoice) -> Self {
        match choice {
            InterfaceChoice::OfKind { kind } => Self::Kind(kind.into()),
            InterfaceChoice::Named { name } => Self::name(name),
        }
    }
}

/// What the peer of one host name is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PeerRule {
    /// The host, as in targets.
    pub host: String,
    /// What it is.
    pub peer: Peer,
}

/// The options of a connector. What is left out is as [`Connector::builder`] has it.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ConnectorOptions {
    /// When the backup is used.
    pub service: Service,
    /// How ready the backup is; by the service if left out.
    #[uniffi(default = None)]
    pub standby: Option<Standby>,
    /// What is at the far end.
    pub peer: Peer,
    /// What is at the far end, of hosts that are an exception.
    #[uniffi(default = [])]
    pub peer_rules: Vec<PeerRule>,
    /// This mode and no other.
    #[uniffi(default = None)]
    pub mode: Option<Mode>,
    /// The key that the gateway must prove to have, 32 bytes.
    #[uniffi(default = None)]
    pub pin: Option<Vec<u8>>,
    /// Whether the first bytes go with the first packet, to a pinned gateway.
    #[uniffi(default = false)]
    pub early_data: bool,
    /// Bytes a day on the backup; without limit if left out.
    #[uniffi(default = None)]
    pub budget_per_day: Option<u64>,
    /// Interfaces for the primary path, the best first; Wi-Fi and cables if empty.
    #[uniffi(default = [])]
    pub primary: Vec<InterfaceChoice>,
    /// Interfaces for the backup path, the best first; cellular if empty.
    #[uniffi(default = [])]
    pub backup: Vec<InterfaceChoice>,
    /// Whether the app may have its platform's own MPTCP, and the dialer is asked for that.
    #[uniffi(default = false)]
    pub multipath_entitlement: bool,
    /// Whether what the device mandates (a VPN, a proxy) is obeyed; unless an interface is named, it is.
    #[uniffi(default = None)]
    pub respect_mandates: Option<bool>,
    /// How long a connect may take.
    #[uniffi(default = None)]
    pub connect_timeout: Option<Duration>,
    /// For how long a session is kept by the gateway when no path leads there.
    #[uniffi(default = None)]
    pub time_to_live: Option<Duration>,
}

impl ConnectorOptions {
    pub(crate) fn builder(self) -> Result<ConnectorBuilder, Failure> {
        let mut builder = Connector::builder()
            .service(self.service.into())
            .peer(self.peer.into())
            .early_data(self.early_data)
            .multipath_entitlement(self.multipath_entitlement)
            .budget(self.budget_per_day);
        if let Some(standby) = self.standby {
            builder = builder.standby(standby.into());
        }
        if !self.peer_rules.is_empty() {
            let (rules, otherwise) = (self.peer_rules, self.peer);
            builder = builder.peer_rule(move |host| {
                let rule = rules
                    .iter()
                    .find(|rule| rule.host.eq_ignore_ascii_case(host));
                rule.map_or(otherwise, |rule| rule.peer).into()
            });
        }
        if let Some(mode) = self.mode {
            builder = builder.mode(mode.into());
        }
        if let Some(pin) = self.pin {
            builder = builder.pin(key(&pin, "the pin of a gateway")?);
        }
        for choice in self.primary {
            builder = builder.primary(choice.into());
        }
        for choice in self.backup {
            builder = builder.backup(choice.into());
        }
        if let Some(respect) = self.respect_mandates {
            builder = builder.respect_mandates(respect);
        }
        if let Some(limit) = self.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        if let Some(ttl) = self.time_to_live {
            builder = builder.ttl(ttl);
        }
        Ok(builder)
    }
}

/// 32 bytes, as keys and hashes are.
pub(crate) fn key(bytes: &[u8], what: &str) -> Result<[u8; 32], Failure> {
    bytes.try_into().map_err(|_| {
        let length = bytes.len();
        Failure::new(
            Kind::InvalidInput,
            format!("{what} has {length} bytes, and must have 32"),
        )
    })
}
