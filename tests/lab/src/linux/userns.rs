//! Becoming root of a small world of one's own.

use std::fs;
use std::io;

use super::netlink::Netlink;
use super::sys;
use super::world::LOOPBACK;
use crate::error::{LabError, Step as _};

const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Lets an ordinary user have a lab: moves the process into a user namespace in which it is root.
///
/// It must be called at the very start of `main`, before the first thread. Nothing outside changes;
/// the process's own network from then on is a loopback device and nothing else; files are still opened with the rights of the user. A process that may create network
/// namespaces already is left as it is.
///
/// # Errors
///
/// When the process has several threads, or the system's policy forbids user namespaces.
pub fn become_root_in_user_namespace() -> Result<(), LabError> {
    if has_capabilities() {
        return Ok(());
    }
    let (user, group) = sys::effective_ids();
    sys::unshare_user().map_err(refused)?;
    // The group map may only be written once changing supplementary groups is given up.
    fs::write("/proc/self/setgroups", "deny").step(|| "give up setgroups".into())?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).step(|| "map the user id".into())?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).step(|| "map the group id".into())?;
    // The network is a new one as well, with not even a loopback device that is up. Whoever cannot
    // have devices falls back on that.
    Netlink::route()
        .and_then(|mut route| route.set_device_up(LOOPBACK, true))
        .step(|| "bring the loopback device up".into())
}

fn has_capabilities() -> bool {
    let needed = CAP_NET_ADMIN | CAP_SYS_ADMIN;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_some_and(|has| has & needed == needed)
}

fn refused(source: io::Error) -> LabError {
    // unshare(2) answers EINVAL for CLONE_NEWUSER in a process with several threads, ENOSPC at the
    // limit on namespaces, and EPERM or EACCES where a policy is in the way.
    match source.raw_os_error() {
        Some(libc::EINVAL) if threads() > 1 => return LabError::MultiThreaded,
        _ => {}
    }
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let hint = if limit.trim() == "0" {
        "sysctl user.max_user_namespaces is 0"
    } else if is_on("kernel/apparmor_restrict_unprivileged_userns") {
        "sysctl kernel.apparmor_restrict_unprivileged_userns is 1"
    } else if is_off("kernel/unprivileged_userns_clone") {
        "sysctl kernel.unprivileged_userns_clone is 0"
    } else {
        "the kernel or the container's seccomp profile forbids them"
    };
    LabError::UserNamespaceDenied { hint, source }
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

fn is_on(sysctl: &str) -> bool {
    value(sysctl).is_some_and(|value| value != "0")
}

fn is_off(sysctl: &str) -> bool {
    value(sysctl).is_some_and(|value| value == "0")
}

fn value(sysctl: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/{sysctl}")).ok()?;
    Some(text.trim().to_owned())
}
