//! What can keep a lab from being built, said so that the reader knows what to do about it.

use std::io;

/// Why the lab, or something asked of it, is not available.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The platform has no namespaces; [`Loopback`](crate::Loopback) works everywhere.
    #[error("the namespace lab needs Linux; this is {platform}")]
    Unsupported {
        /// The operating system this was built for.
        platform: &'static str,
    },
    /// The process may not create network namespaces.
    #[error(
        "no permission to create a network namespace: run as root, or call \
         become_root_in_user_namespace() first in main"
    )]
    NamespaceDenied(#[source] io::Error),
    /// The kernel or its policy refuses user namespaces to ordinary users.
    #[error("user namespaces are not available to this user ({hint})")]
    UserNamespaceDenied {
        /// The setting that is the likely reason.
        hint: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A user namespace can only be entered while the process has one thread.
    #[error("a user namespace must be entered before the process starts its first thread")]
    MultiThreaded,
    /// `/dev/net/tun` is missing or may not be opened.
    #[error(
        "cannot open /dev/net/tun: load the module `tun`, pass the device into the container, or \
         let this user open it"
    )]
    Tun(#[source] io::Error),
    /// A step of setting up or changing the lab failed.
    #[error("cannot {step}")]
    Setup {
        /// What was being done.
        step: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel has no MPTCP path manager in this namespace.
    #[error("this kernel has no mptcp path manager")]
    NoMptcp(#[source] io::Error),
    /// No link has this name.
    #[error("the lab has no link named {0:?}")]
    NoSuchLink(String),
    /// A link's name or number does not fit.
    #[error("{0}")]
    BadSpec(String),
}

impl LabError {
    /// Whether the machine or its policy is the reason, so that a test may be skipped.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unsupported { .. }
                | Self::NamespaceDenied(_)
                | Self::UserNamespaceDenied { .. }
                | Self::Tun(_)
                | Self::NoMptcp(_)
        )
    }
}

/// Names the step that failed with an OS error.
pub(crate) trait Step<T> {
    fn step(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T> Step<T> for io::Result<T> {
    fn step(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|source| LabError::Setup {
            step: what(),
            source,
        })
    }
}
