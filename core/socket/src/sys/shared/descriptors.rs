//! How many files a process may have open, by `setrlimit`.
#![allow(unsafe_code, reason = "getrlimit and setrlimit")]
#![allow(
    clippy::unnecessary_cast,
    reason = "rlim_t differs in size and sign between systems"
)]

use std::io;

/// This process has too many open, or the system has.
pub(crate) const OUT_OF_DESCRIPTORS: [i32; 2] = [libc::EMFILE, libc::ENFILE];

pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = read()?;
    let soft = limit.rlim_cur;
    if soft >= limit.rlim_max {
        return Ok(soft as u64);
    }
    limit.rlim_cur = limit.rlim_max;
    if write(&limit).is_err() {
        // Darwin's kernel has a limit of its own below the hard one, which is often "unlimited".
        limit.rlim_cur = limit.rlim_max.min(DARWINS_MOST).max(soft);
        write(&limit)?;
    }
    Ok(limit.rlim_cur as u64)
}

/// `OPEN_MAX` of <sys/syslimits.h>.
const DARWINS_MOST: libc::rlim_t = 10_240;

fn read() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit)
}

fn write(limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: `limit` is a valid rlimit to read from.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
