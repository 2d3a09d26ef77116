//! The options of a connector.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use twinpath_proto::{ClientConfig, Role, ServiceType, Standby};
use twinpath_socket::InterfaceKind;

use super::paths::InterfaceSelector;
use super::{Connector, Peer};
use crate::budget::{Budget, DEFAULT_PER_DAY};
use crate::dialer::{Dialer, SocketDialer};
use crate::error::BuildError;
use crate::mode::{Mode, ModeReason};
use crate::target::Target;

/// No connect takes longer.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Longer than a phone's radio and a slow resolver need together; the kernel itself would try for minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

type PeerRule = Arc<dyn Fn(&str) -> Peer + Send + Sync>;

/// Collects the options of a [`Connector`]. The defaults are those of a phone: Wi-Fi (or a cable) as primary, cellular
/// as backup, any server, handover only when needed.
#[derive(Clone)]
#[must_use = "it does nothing until `build` is called"]
pub struct ConnectorBuilder {
    service: ServiceType,
    standby: Option<Standby>,
    peer: Peer,
    peer_rule: Option<PeerRule>,
    mode: Option<Mode>,
    pin: Option<[u8; 32]>,
    early_data: bool,
    per_day: Option<u64>,
    primary: Vec<InterfaceSelector>,
    backup: Vec<InterfaceSelector>,
    dialer: Option<Arc<dyn Dialer>>,
    multipath_entitlement: bool,
    respect_mandates: Option<bool>,
    connect_timeout: Duration,
    ttl: Option<Duration>,
}

impl Default for ConnectorBuilder {
    fn default() -> Self {
        Self {
            service: ServiceType::Handover,
            standby: None,
            peer: Peer::Any,
            peer_rule: None,
            mode: None,
            pin: None,
            early_data: false,
            per_day: Some(DEFAULT_PER_DAY),
            primary: vec![
                InterfaceSelector::Kind(InterfaceKind::Wifi),
                InterfaceSelector::Kind(InterfaceKind::Wired),
            ],
            backup: vec![InterfaceSelector::Kind(InterfaceKind::Cellular)],
            dialer: None,
            multipath_entitlement: false,
            respect_mandates: None,
            connect_timeout: CONNECT_TIMEOUT,
            ttl: None,
        }
    }
}

impl ConnectorBuilder {
    /// What is asked of the two paths. Default: [`ServiceType::Handover`].
    pub const fn service(mut self, service: ServiceType) -> Self {
        self.service = service;
        self
    }

    /// How ready the backup is kept. Default: cold for handover, warm otherwise.
    pub const fn standby(mut self, standby: Standby) -> Self {
        self.standby = Some(standby);
        self
    }

    /// What the peers of this connector are. Default: [`Peer::Any`].
    pub fn peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// What a peer is, by the host of the target; instead of [`peer`](Self::peer).
    pub fn peer_rule(mut self, rule: impl Fn(&str) -> Peer + Send + Sync + 'static) -> Self {
        self.peer_rule = Some(Arc::new(rule));
        self
    }

    /// Uses this mode or none. Default: the best one for the peer and the paths.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// The gateway's public key: a gateway that cannot prove it is refused, and no data leaves before (one more round
    /// trip at the start).
    pub const fn pin(mut self, key: [u8; 32]) -> Self {
        self.pin = Some(key);
        self
    }

    /// With a pin: lets data leave before the gateway has proven its key, which saves the round trip and may show the
    /// first 16 KiB to somebody in the way.
    pub const fn early_data(mut self, early_data: bool) -> Self {
        self.early_data = early_data;
        self
    }

    /// Bytes per day that all connections together may spend on their backup paths; `None` is without limit. Default:
    /// 50 MB. Nothing is spent while roaming or saving data, whatever the limit.
    pub const fn budget(mut self, bytes_per_day: Option<u64>) -> Self {
        self.per_day = bytes_per_day;
        self
    }

    /// The interface of the primary path. Default: Wi-Fi, else a cable.
    ///
    /// Naming an interface (not only its kind) also turns off [`respect_mandates`](Self::respect_mandates): whoever
    /// names it knows where it leads.
    pub fn primary(mut self, selector: InterfaceSelector) -> Self {
        self.primary = vec![selector];
        self
    }

    /// The interface of the backup path. Default: cellular. Naming one has the same meaning as for
    /// [`primary`](Self::primary).
    pub fn backup(mut self, selector: InterfaceSelector) -> Self {
        self.backup = vec![selector];
        self
    }

    /// How streams are opened. Default: [`SocketDialer`].
    pub fn dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.dialer = Some(dialer);
        self
    }

    /// Says that the app may have its platform's own MPTCP: on Apple's systems, that it carries the entitlement
    /// `com.apple.developer.networking.multipath`. Then the dialer is asked for such a connection
    /// ([`Dialer::dial_multipath`]) towards servers that are no gateways, where there are two paths, none of them over an
    /// interface that was named. Sockets of this library's own need no such word. Default: no.
    pub const fn multipath_entitlement(mut self, has_it: bool) -> Self {
        self.multipath_entitlement = has_it;
        self
    }

    /// Whether a connection keeps to the system's route, on one path, where the device or the target demands it: a VPN
    /// is in force, a proxy is mandated, or the target is in a private or local network. A leg bound to an interface
    /// would bypass all of these. Default: yes, unless an interface is named.
    pub const fn respect_mandates(mut self, respect: bool) -> Self {
        self.respect_mandates = Some(respect);
        self
    }

    /// How long a connect may take in all. Default: 30 s; at most a year.
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        // What is meant as "for ever" is more than can be added to a time.
        self.connect_timeout = if limit.as_secs() < LONGEST.as_secs() {
            limit
        } else {
            LONGEST
        };
        self
    }

    /// How long a session outlives its last leg; the gateway may shorten it. Default: 60 s.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Makes the connector.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the options contradict each other.
    pub fn build(self) -> Result<Connector, BuildError> {
        let budget = Budget::new(self.per_day);
        Ok(Connector::new(self.into_options()?, budget))
    }

    pub(super) fn into_options(self) -> Result<Options, BuildError> {
        if let ([InterfaceSelector::Name(primary)], [InterfaceSelector::Name(backup)]) =
            (&self.primary[..], &self.backup[..])
        {
            if primary == backup {
                return Err(BuildError::SameInterface(primary.clone()));
            }
        }
        let gateways = self.peer == Peer::Gateway || self.peer_rule.is_some();
        let others = self.peer == Peer::Any || self.peer_rule.is_some();
        if self.pin.is_some() && !gateways {
            return Err(BuildError::PinWithoutGateway);
        }
        let dialer = self.dialer.unwrap_or_else(|| Arc::new(SocketDialer::new()));
        match self.mode {
            Some(mode @ Mode::KernelMptcp)
                if !dialer.binds_sockets() && !self.multipath_entitlement =>
            {
                return Err(BuildError::ModeNotPossible {
                    mode,
                    peer: "any peer with a dialer that binds no sockets, unless the app has the multipath entitlement",
                });
            }
            Some(mode @ Mode::Emulated) if !gateways => {
                return Err(BuildError::ModeNotPossible {
                    mode,
                    peer: "a server that is no gateway",
                });
            }
            Some(mode @ Mode::PlainPair) if !others => {
                return Err(BuildError::ModeNotPossible {
                    mode,
                    peer: "a gateway",
                });
            }
            _ => {}
        }
        let standby = self.standby.unwrap_or(match self.service {
            ServiceType::Handover => Standby::Cold,
            _ => Standby::Warm,
        });
        let named = self
            .primary
            .iter()
            .chain(&self.backup)
            .any(InterfaceSelector::is_named);
        let mut session = ClientConfig {
            service: self.service,
            standby,
            pin: self.pin,
            early_data: self.early_data,
            ..ClientConfig::default()
        };
        if let Some(ttl) = self.ttl {
            session.ttl = ttl;
        }
        Ok(Options {
            session,
            peer: self.peer,
            peer_rule: self.peer_rule,
            mode: self.mode,
            primary: self.primary,
            backup: self.backup,
            dialer,
            multipath_entitlement: self.multipath_entitlement,
            respect_mandates: self.respect_mandates.unwrap_or(!named),
            connect_timeout: self.connect_timeout,
        })
    }
}

impl fmt::Debug for ConnectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorBuilder")
            .field("service", &self.service)
            .field("standby", &self.standby)
            .field("peer", &self.peer)
            .field("mode", &self.mode)
            .field("pinned", &self.pin.is_some())
            .field("primary", &self.primary)
            .field("backup", &self.backup)
            .finish_non_exhaustive()
    }
}

/// Options that fit together.
pub(super) struct Options {
    pub(super) session: ClientConfig,
    peer: Peer,
    peer_rule: Option<PeerRule>,
    pub(super) mode: Option<Mode>,
    primary: Vec<InterfaceSelector>,
    backup: Vec<InterfaceSelector>,
    pub(super) dialer: Arc<dyn Dialer>,
    pub(super) multipath_entitlement: bool,
    respect_mandates: bool,
    pub(super) connect_timeout: Duration,
}

impl Options {
    pub(super) const fn respects_mandates(&self) -> bool {
        self.respect_mandates
    }

    /// What may serve a role, the best first.
    pub(super) fn selectors(&self, role: Role) -> &[InterfaceSelector] {
        match role {
            Role::Primary => &self.primary,
            Role::Backup => &self.backup,
        }
    }

    /// The interfaces that were asked for by name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let selectors = self.primary.iter().chain(&self.backup);
        selectors.filter_map(|selector| match selector {
            InterfaceSelector::Name(name) => Some(name.as_str()),
            InterfaceSelector::Kind(_) => None,
        })
    }

    pub(super) fn peer(&self, target: &Target) -> Peer {
        self.peer_rule
            .as_ref()
            .map_or(self.peer, |rule| rule(target.host()))
    }

    pub(super) fn is_warm(&self) -> bool {
        self.session.standby == Standby::Warm
    }

    /// The mode over two paths.
    pub(super) fn two_paths(&self, target: &Target) -> (Mode, ModeReason) {
        let mode = match self.peer(target) {
            Peer::Gateway => Mode::Emulated,
            Peer::Any => Mode::PlainPair,
        };
        let reason = match self.mode {
            Some(pinned) if pinned == mode => ModeReason::Pinned,
            _ if mode == Mode::Emulated => ModeReason::Gateway,
            _ => ModeReason::AnyServer,
        };
        (mode, reason)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("service", &self.session.service)
            .field("standby", &self.session.standby)
            .field("peer", &self.peer)
            .field("mode", &self.mode)
            .field("primary", &self.primary)
            .field("backup", &self.backup)
            .finish_non_exhaustive()
    }
}
