//! How a connection runs, why, and what it can claim.

use std::fmt;
use std::sync::Arc;

use twinpath_proto::UnprotectedReason;
use twinpath_socket::{Cost, InterfaceKind};

/// How a connection runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// A kernel MPTCP socket; where apps have none, a connection for which the platform's framework was asked for MPTCP.
    KernelMptcp,
    /// A session with a gateway over two paths: no byte is lost when one of them dies.
    Emulated,
    /// Plain TCP to any server, over one path at a time: the connect is raced over both, a dead path is found out, and the
    /// connection ends with [`Interrupted`](crate::Interrupted) unless what was written may be said again.
    PlainPair,
    /// Only one path can be used.
    SinglePath,
}

impl Mode {
    /// The name as it stands in the output of the command line tool.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KernelMptcp => "kernel-mptcp",
            Self::Emulated => "emulated",
            Self::PlainPair => "plain-pair",
            Self::SinglePath => "single-path",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a connection runs in its mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModeReason {
    /// The peer is a gateway, and there are two paths.
    Gateway,
    /// The peer is not a gateway.
    AnyServer,
    /// The caller asked for it.
    Pinned,
    /// Only this interface is usable.
    OneInterface(Arc<str>),
    /// No interface is known to be usable; the system's route is tried.
    NoInterface,
    /// A VPN is in force, which a leg bound to an interface would bypass.
    Vpn(Arc<str>),
    /// The device mandates a proxy.
    Proxy,
    /// The target is in a private or local network, which may exist on one path only.
    PrivateTarget,
    /// This end was accepted, not connected.
    Accepted,
    /// The server speaks MPTCP, and the kernel has a backup for it.
    Mptcp,
    /// MPTCP was asked for, and the connection is plain TCP: the server does not know it, or something on the way took
    /// it out.
    FellBack,
    /// The platform was asked for MPTCP by its own framework, and opened a connection.
    PlatformMptcp,
    /// This machine cannot do MPTCP with a backup, for this reason.
    NoMptcp(Arc<str>),
}

impl ModeReason {
    /// Chosen for the peer or by what there is, not demanded by anything.
    pub(crate) const fn is_by_choice(&self) -> bool {
        matches!(
            self,
            Self::Gateway | Self::AnyServer | Self::OneInterface(_) | Self::NoMptcp(_)
        )
    }

    /// The device or the target demands one path, however many there are.
    pub(crate) const fn is_mandate(&self) -> bool {
        matches!(self, Self::Vpn(_) | Self::Proxy | Self::PrivateTarget)
    }
}

impl fmt::Display for ModeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("the peer is a gateway"),
            Self::AnyServer => f.write_str(
                "the peer is not a gateway, so that only requests can be moved to another path",
            ),
            Self::Pinned => f.write_str("asked for by the caller"),
            Self::OneInterface(name) => write!(f, "only {name} is usable"),
            Self::NoInterface => f.write_str("no interface is known to be usable"),
            Self::Vpn(name) => write!(f, "the VPN on {name} is in force and must not be bypassed"),
            Self::Proxy => f.write_str("the device mandates a proxy"),
            Self::PrivateTarget => f.write_str("the target is in a private or local network"),
            Self::Accepted => f.write_str("accepted from a client"),
            Self::Mptcp => f.write_str("the server speaks MPTCP"),
            Self::FellBack => f.write_str(
                "the server does not speak MPTCP, or something on the way does not let it through",
            ),
            Self::PlatformMptcp => {
                f.write_str("the system was asked for MPTCP, and keeps the paths by itself")
            }
            Self::NoMptcp(why) => write!(f, "the peer is not a gateway, and {why}"),
        }
    }
}

/// What a connection can claim at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Losing the active path is survived.
    Protected,
    /// Losing the active path is not survived.
    Unprotected {
        /// Why.
        reason: Unprotected,
    },
}

impl Protection {
    /// Whether losing the active path is survived.
    #[must_use]
    pub const fn is_protected(self) -> bool {
        matches!(self, Self::Protected)
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected => f.write_str("protected"),
            Self::Unprotected { reason } => write!(f, "unprotected: {reason}"),
        }
    }
}

/// Why losing the active path is not survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unprotected {
    /// What the session says.
    Session(UnprotectedReason),
    /// The server is not a gateway.
    NotAGateway,
    /// The device mandates one way for all traffic, or the target is reached on one path only; see
    /// [`ModeReason`].
    OnePathMandated,
    /// The connection is plain TCP, though MPTCP was asked for.
    FellBack,
    /// The kernel has not opened an MPTCP subflow on the backup path, or something on that path does not let it
    /// through.
    NoBackupSubflow,
    /// The MPTCP subflow on the backup path is gone, and the kernel does not open it anew.
    BackupSubflowLost,
    /// The MPTCP subflow on the primary path is gone; the backup carries the bytes alone.
    PrimarySubflowLost,
    /// No MPTCP subflow is left.
    NoSubflow,
    /// The platform does not tell whether the server speaks MPTCP, nor whether there is a subflow on the backup path.
    PlatformDoesNotTell,
}

impl fmt::Display for Unprotected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(reason) => reason.fmt(f),
            Self::NotAGateway => f.write_str("the server is not a gateway"),
            Self::OnePathMandated => f.write_str("only one path may be used"),
            Self::FellBack => f.write_str("the server or the way to it does not let MPTCP through"),
            Self::NoBackupSubflow => f.write_str("there is no MPTCP subflow on the backup path"),
            Self::BackupSubflowLost => f.write_str("the MPTCP subflow on the backup path is gone"),
            Self::PrimarySubflowLost => f.write_str(
                "the MPTCP subflow on the primary path is gone and the backup carries the bytes alone",
            ),
            Self::NoSubflow => f.write_str("no MPTCP subflow is left"),
            Self::PlatformDoesNotTell => f.write_str(
                "the system does not tell whether its connection became MPTCP and has a backup",
            ),
        }
    }
}

impl From<twinpath_proto::Protection> for Protection {
    fn from(protection: twinpath_proto::Protection) -> Self {
        match protection {
            twinpath_proto::Protection::Protected => Self::Protected,
            twinpath_proto::Protection::Unprotected { reason } => Self::Unprotected {
                reason: Unprotected::Session(reason),
            },
        }
    }
}

/// The interface under a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PathInfo {
    /// The system's name of it, as in `wlan0`; "system route" where no interface was chosen.
    pub name: Arc<str>,
    /// What it is.
    pub kind: InterfaceKind,
    /// What its bytes cost.
    pub cost: Cost,
}

impl PathInfo {
    /// A path over an interface of that name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: InterfaceKind, cost: Cost) -> Self {
        Self {
            name: name.into(),
            kind,
            cost,
        }
    }
}
