//! The small words of the protocol: roles, legs, service types.

use std::fmt;

/// Which of the two paths: the one that carries the bytes, or the one that stands by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Role {
    /// The path that carries the bytes while it is healthy (Wi-Fi).
    Primary,
    /// The path that stands by (cellular).
    Backup,
}

impl Role {
    /// Both roles, the primary first.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Backup];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Backup,
            Self::Backup => Self::Primary,
        }
    }

    /// Its place in [`ALL`](Self::ALL): 0 for the primary, 1 for the backup.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Primary => 0,
            Self::Backup => 1,
        }
    }

    pub(crate) const fn to_wire(self) -> u8 {
        self.index() as u8
    }

    pub(crate) const fn from_wire(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Primary),
            1 => Some(Self::Backup),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        })
    }
}

/// One TCP connection of a session; never used again for another one in the same session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LegId(pub(crate) u32);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leg {}", self.0)
    }
}

/// What a connection asks of its two paths; Apple's words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum ServiceType {
    /// Backup only when needed; no cellular bytes while Wi-Fi is good.
    #[default]
    Handover,
    /// Lowest delay; spends some cellular, and leaves a primary that has become slow.
    Interactive,
    /// Both paths for bandwidth. The wire format allows it; scheduling treats it as `Interactive`.
    Aggregate,
}

impl ServiceType {
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Handover => 0,
            Self::Interactive => 1,
            Self::Aggregate => 2,
        }
    }

    pub(crate) const fn from_wire(value: u8) -> Self {
        match value {
            1 => Self::Interactive,
            2 => Self::Aggregate,
            _ => Self::Handover,
        }
    }
}

/// How ready the backup is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Standby {
    /// Nothing is open on the backup until the primary is suspected.
    #[default]
    Cold,
    /// A leg is joined on the backup and idle.
    Warm,
}

/// Which end of the session this is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The end that dials.
    Client,
    /// The end that accepts.
    Gateway,
}

/// The name of a session on the wire; not a secret, joins are authenticated by a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(crate) [u8; 16]);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// An address to which a gateway wants legs to be joined (MPTCP's ADD_ADDR, in user space).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct JoinAddress {
    /// A name or an IP literal; at most 255 bytes.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a session was reset.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ResetCode {
    /// The application gave the connection up.
    Aborted,
    /// The peer broke the protocol.
    Protocol,
    /// The service behind the gateway cannot be reached.
    UpstreamUnreachable,
    /// The service behind the gateway reset its connection.
    UpstreamReset,
    /// The gateway is being stopped.
    GoingAway,
    /// A limit of the peer was reached (idle time, memory).
    LimitReached,
    /// A code that this version does not know.
    Other(u16),
}

impl ResetCode {
    pub(crate) const fn to_wire(self) -> u16 {
        match self {
            Self::Aborted => 0,
            Self::Protocol => 1,
            Self::UpstreamUnreachable => 2,
            Self::UpstreamReset => 3,
            Self::GoingAway => 4,
            Self::LimitReached => 5,
            Self::Other(code) => code,
        }
    }

    pub(crate) const fn from_wire(code: u16) -> Self {
        match code {
            0 => Self::Aborted,
            1 => Self::Protocol,
            2 => Self::UpstreamUnreachable,
            3 => Self::UpstreamReset,
            4 => Self::GoingAway,
            5 => Self::LimitReached,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for ResetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("given up by the application"),
            Self::Protocol => f.write_str("protocol violation"),
            Self::UpstreamUnreachable => {
                f.write_str("the service behind the gateway cannot be reached")
            }
            Self::UpstreamReset => f.write_str("the service behind the gateway reset"),
            Self::GoingAway => f.write_str("the gateway is going away"),
            Self::LimitReached => f.write_str("a limit of the peer was reached"),
            Self::Other(code) => write!(f, "code {code}"),
        }
    }
}
