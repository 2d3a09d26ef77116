//! How a socket is to be made.

use std::{fmt, time::Duration};

/// What a socket is bound to, which decides by which interface it leaves the device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Binding {
    /// The system's routes decide.
    #[default]
    Unbound,
    /// One interface. Linux and Android go by the name, the others by the index.
    Interface {
        /// The system's name.
        name: String,
        /// The system's index, or 0 to look it up by the name.
        index: u32,
    },
    /// An Android network, by its `Network.getNetworkHandle()`. An error on other platforms.
    AndroidNetwork(u64),
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbound => f.write_str("the system's route"),
            Self::Interface { name, .. } => f.write_str(name),
            Self::AndroidNetwork(handle) => write!(f, "network {handle}"),
        }
    }
}

/// How [`connect`](crate::connect()) makes a socket, and [`tune`](crate::tune) an accepted one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// What it is bound to. Not used by [`tune`](crate::tune).
    pub binding: Binding,
    /// Ask the peer for Multipath TCP (RFC 8684); what came of it, [`mptcp_info`] tells. Such a
    /// socket has no `user_timeout`, and its `binding` holds for the first subflow only. Not used by
    /// [`tune`](crate::tune). Default: no.
    ///
    /// [`mptcp_info`]: crate::mptcp::mptcp_info
    pub mptcp: bool,
    /// Send small writes at once (`TCP_NODELAY`). Default: yes.
    pub nodelay: bool,
    /// Idle time after which the kernel asks the peer for a sign of life; `None`: never. Default:
    /// 15 minutes. Whole seconds are used.
    pub keepalive: Option<Duration>,
    /// How long sent bytes may stay unacknowledged before the kernel gives the connection up;
    /// `None`: the system's limit. Default: `None`, see [`of_leg`](Self::of_leg).
    ///
    /// On Linux and Android this also ends a connection whose peer lives and acknowledges every
    /// probe, but has had its window closed for that long: it is only for peers that always read.
    ///
    /// `TCP_USER_TIMEOUT` on Linux and Android; in whole seconds, `TCP_RXT_CONNDROPTIME` on Apple's
    /// systems and `TCP_MAXRT` on Windows.
    pub user_timeout: Option<Duration>,
    /// Report the socket as writable only while fewer than this many bytes wait in the kernel
    /// unsent (`TCP_NOTSENT_LOWAT`); `None`: the system's limit, which is none. Default: `None`.
    /// Without effect on Windows.
    pub notsent_lowat: Option<u32>,
    /// The kernel's send buffer, in bytes; `None`: sized by the kernel, which is nearly always
    /// better. Default: `None`.
    pub send_buffer: Option<usize>,
    /// The kernel's receive buffer, in bytes; `None`: sized by the kernel. Default: `None`.
    pub recv_buffer: Option<usize>,
}

/// See [`ConnectOptions::keepalive`].
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(15 * 60);

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            binding: Binding::Unbound,
            mptcp: false,
            nodelay: true,
            keepalive: Some(KEEPALIVE),
            user_timeout: None,
            notsent_lowat: None,
            send_buffer: None,
            recv_buffer: None,
        }
    }
}

/// See [`ConnectOptions::of_leg`].
const LEG_TIMEOUT: Duration = Duration::from_secs(60);

impl ConnectOptions {
    /// The defaults for a leg of a session: `user_timeout` is 60 s.
    ///
    /// The ends of a session read their legs whatever the application does, so silence of the
    /// kernel at the other end always means that the path is dead. A plain connection has no such
    /// peer: one that pauses reading for a minute is in order.
    #[must_use]
    pub fn of_leg() -> Self {
        Self {
            user_timeout: Some(LEG_TIMEOUT),
            ..Self::default()
        }
    }

    /// The defaults, bound to something.
    #[must_use]
    pub fn bound_to(binding: Binding) -> Self {
        Self {
            binding,
            ..Self::default()
        }
    }
}

/// How [`listen`](crate::listen) makes a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections may wait to be accepted; the system has its own limit above it (on
    /// Linux, `net.core.somaxconn`). Default: 1024.
    pub backlog: i32,
    /// Whether a listener on an IPv6 address refuses IPv4. Default: no, so that `[::]` takes both
    /// on every platform.
    pub v6_only: bool,
    /// Accept only what arrives on this interface. Default: [`Binding::Unbound`].
    pub binding: Binding,
    /// Accept Multipath TCP as well as TCP, where the kernel has it; elsewhere TCP alone, without an
    /// error. Default: no.
    pub mptcp: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 1024,
            v6_only: false,
            binding: Binding::Unbound,
            mptcp: false,
        }
    }
}
