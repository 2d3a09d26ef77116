//! Multipath TCP of the kernel.

mod diag;
mod info;
mod path_manager;

pub(crate) use diag::{end_subflow, last_heard_at};
pub(crate) use info::mptcp_info;
pub(crate) use path_manager::PathManager;

/// `IPPROTO_MPTCP` (include/uapi/linux/in.h).
pub(crate) const PROTOCOL: Option<i32> = Some(libc::IPPROTO_MPTCP);
