//! What several platforms use.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) mod addrinfo;
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) mod clock;
#[cfg(unix)]
pub(super) mod descriptors;
#[cfg(any(target_os = "android", target_vendor = "apple"))]
pub(super) mod ifaddrs;
#[cfg(not(target_os = "linux"))]
pub(super) mod lookup;
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) mod names;
#[cfg(not(target_os = "linux"))]
pub(super) mod no_mptcp;
#[cfg(not(target_os = "linux"))]
pub(super) mod no_raw;
#[cfg(not(target_os = "linux"))]
pub(crate) mod no_runtime;
#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
pub(super) mod silent;
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) mod sockaddr;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) mod tcp_info;
#[cfg(all(feature = "trust", not(target_os = "android")))]
pub(super) mod trust;
