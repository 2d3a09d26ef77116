//! Multipath TCP of the kernel.

mod info;
mod path_manager;

pub(crate) use info::mptcp_info;
pub(crate) use path_manager::PathManager;

/// `IPPROTO_MPTCP` (include/uapi/linux/in.h).
pub(crate) const PROTOCOL: Option<i32> = Some(libc::IPPROTO_MPTCP);
