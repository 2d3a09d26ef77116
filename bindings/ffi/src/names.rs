//! The words of the design, as they cross the language.

use twinpath::ServiceType;

/// A role that a path plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Role {
    /// The path that carries the bytes while it is good.
    Primary,
    /// The path that stands by.
    Backup,
}

impl From<twinpath::Role> for Role {
    fn from(role: twinpath::Role) -> Self {
        match role {
            twinpath::Role::Primary => Self::Primary,
            twinpath::Role::Backup => Self::Backup,
        }
    }
}

impl From<Role> for twinpath::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Primary => Self::Primary,
            Role::Backup => Self::Backup,
        }
    }
}

/// When the backup is used; Apple's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Service {
    /// Only when it is needed: no cellular bytes while Wi-Fi is good.
    Handover,
    /// For the lowest delay: spends some cellular.
    Interactive,
    /// Both paths for bandwidth.
    Aggregate,
}

impl From<ServiceType> for Service {
    fn from(service: ServiceType) -> Self {
        match service {
            ServiceType::Interactive => Self::Interactive,
            ServiceType::Aggregate => Self::Aggregate,
            _ => Self::Handover,
        }
    }
}

impl From<Service> for ServiceType {
    fn from(service: Service) -> Self {
        match service {
            Service::Handover => Self::Handover,
            Service::Interactive => Self::Interactive,
            Service::Aggregate => Self::Aggregate,
        }
    }
}

/// How ready the backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Standby {
    /// Nothing is open.
    Cold,
    /// A leg is joined, and idle.
    Warm,
}

impl From<Standby> for twinpath::Standby {
    fn from(standby: Standby) -> Self {
        match standby {
            Standby::Cold => Self::Cold,
            Standby::Warm => Self::Warm,
        }
    }
}

/// What is at the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Peer {
    /// A Twinpath gateway.
    Gateway,
    /// Any server.
    Any,
}

impl From<Peer> for twinpath::Peer {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Gateway => Self::Gateway,
            Peer::Any => Self::Any,
        }
    }
}

/// How a connection runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Mode {
    /// A kernel MPTCP socket.
    KernelMptcp,
    /// A session with a gateway over two paths.
    Emulated,
    /// Plain TCP to any server, over one path at a time.
    PlainPair,
    /// Only one path can be used.
    SinglePath,
}

impl From<twinpath::Mode> for Mode {
    fn from(mode: twinpath::Mode) -> Self {
        match mode {
            twinpath::Mode::KernelMptcp => Self::KernelMptcp,
            twinpath::Mode::Emulated => Self::Emulated,
            twinpath::Mode::PlainPair => Self::PlainPair,
            _ => Self::SinglePath,
        }
    }
}

impl From<Mode> for twinpath::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::KernelMptcp => Self::KernelMptcp,
            Mode::Emulated => Self::Emulated,
            Mode::PlainPair => Self::PlainPair,
            Mode::SinglePath => Self::SinglePath,
        }
    }
}

/// What an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum InterfaceKind {
    /// Wi-Fi.
    Wifi,
    /// A mobile network.
    Cellular,
    /// A cable.
    Wired,
    /// A VPN.
    Vpn,
    /// This machine itself.
    Loopback,
    /// Anything else.
    Other,
}

impl From<twinpath::InterfaceKind> for InterfaceKind {
    fn from(kind: twinpath::InterfaceKind) -> Self {
        match kind {
            twinpath::InterfaceKind::Wifi => Self::Wifi,
            twinpath::InterfaceKind::Cellular => Self::Cellular,
            twinpath::InterfaceKind::Wired => Self::Wired,
            twinpath::InterfaceKind::Vpn => Self::Vpn,
            twinpath::InterfaceKind::Loopback => Self::Loopback,
            _ => Self::Other,
        }
    }
}

impl From<InterfaceKind> for twinpath::InterfaceKind {
    fn from(kind: InterfaceKind) -> Self {
        match kind {
            InterfaceKind::Wifi => Self::Wifi,
            InterfaceKind::Cellular => Self::Cellular,
            InterfaceKind::Wired => Self::Wired,
            InterfaceKind::Vpn => Self::Vpn,
            InterfaceKind::Loopback => Self::Loopback,
            InterfaceKind::Other => Self::Other,
        }
    }
}

/// What a byte costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Cost {
    /// Nothing.
    Unmetered,
    /// It is paid for, or limited.
    Metered,
    /// In a foreign network, where it may be dear.
    Roaming,
    /// Nobody says.
    Unknown,
}

impl From<twinpath::Cost> for Cost {
    fn from(cost: twinpath::Cost) -> Self {
        match cost {
            twinpath::Cost::Unmetered => Self::Unmetered,
            twinpath::Cost::Metered => Self::Metered,
            twinpath::Cost::Roaming => Self::Roaming,
            _ => Self::Unknown,
        }
    }
}

impl From<Cost> for twinpath::Cost {
    fn from(cost: Cost) -> Self {
        match cost {
            Cost::Unmetered => Self::Unmetered,
            Cost::Metered => Self::Metered,
            Cost::Roaming => Self::Roaming,
            Cost::Unknown => Self::Unknown,
        }
    }
}
