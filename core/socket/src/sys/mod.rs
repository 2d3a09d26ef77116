//! One folder or file per platform, all with the same names in them; `os` is the one of this
//! platform, and nobody above has to know which.
//!
//! `shared` holds what several of them use.

mod shared;

#[cfg(target_os = "android")]
mod android;
#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(any(
    target_os = "android",
    target_os = "linux",
    target_vendor = "apple",
    windows
)))]
mod other;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "android")]
use android as os;
#[cfg(target_vendor = "apple")]
use apple as os;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(not(any(
    target_os = "android",
    target_os = "linux",
    target_vendor = "apple",
    windows
)))]
use other as os;
#[cfg(windows)]
use windows as os;

#[cfg(all(feature = "trust", target_os = "android"))]
pub(crate) use os::platform_verifier;
pub(crate) use os::{
    Events, REUSE_ADDRESS_ON_LISTEN, bind_interface, bind_network, boottime, interfaces, resolve,
    set_notsent_lowat, set_user_timeout, tcp_health,
};
#[cfg(target_os = "linux")]
pub(crate) use os::{
    MPTCP, PathManager, RawPackets, Room, end_subflow, last_heard_at, mptcp_info, raw_is_permitted,
    runtime, save_syns, saved_syn, show_nothing,
};
#[cfg(unix)]
pub(crate) use shared::descriptors::{OUT_OF_DESCRIPTORS, raise_descriptor_limit};
#[cfg(all(feature = "trust", not(target_os = "android")))]
pub(crate) use shared::trust::platform_verifier;
#[cfg(not(target_os = "linux"))]
pub(crate) use shared::{
    no_mptcp::{MPTCP, PathManager, end_subflow, last_heard_at, mptcp_info},
    no_raw::{RawPackets, Room, raw_is_permitted, save_syns, saved_syn, show_nothing},
    no_runtime as runtime,
};

/// Sockets are handles here, of which there are as many as there is memory.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "Unix can fail here")]
pub(crate) fn raise_descriptor_limit() -> std::io::Result<u64> {
    Ok(u64::MAX)
}

/// `WSAEMFILE`.
#[cfg(not(unix))]
pub(crate) const OUT_OF_DESCRIPTORS: [i32; 1] = [10024];
