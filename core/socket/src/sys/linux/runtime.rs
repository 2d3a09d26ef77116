//! Files and locks that the next boot does not see.

use std::env;
use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;

/// Nobody but the user.
const PRIVATE: u32 = 0o700;
/// Those who are not the user may not write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

pub(crate) fn directory(make: bool) -> io::Result<PathBuf> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for candidate in candidates() {
        match usable(&candidate, make) {
            Ok(()) => return Ok(candidate),
            Err(error) => {
                let text = format!("{}: {error}", candidate.display());
                failure = io::Error::new(error.kind(), text);
            }
        }
    }
    Err(failure)
}

fn candidates() -> Vec<PathBuf> {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = named("TWINPATH_RUN_DIR") {
        return vec![named.into()];
    }
    let mut candidates = Vec::new();
    if geteuid().is_root() {
        candidates.push("/run/twinpath".into());
    }
    candidates.extend(named("XDG_RUNTIME_DIR").map(|run| Path::new(&run).join("twinpath")));
    candidates.push(env::temp_dir().join(format!("twinpath-{}", geteuid().as_raw())));
    candidates
}

fn usable(directory: &Path, make: bool) -> io::Result<()> {
    if make {
        match DirBuilder::new().mode(PRIVATE).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    // A link is not followed: whoever made it might not be this user.
    let found = fs::symlink_metadata(directory)?;
    if is_own(&found) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it is not a directory that only this user may write in",
    ))
}

fn is_own(found: &Metadata) -> bool {
    found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & WRITABLE_BY_OTHERS == 0
}

pub(crate) fn lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn boot() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = env::temp_dir().join(format!("twinpath-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn only_a_directory_of_this_user_alone_is_used() {
        let scratch = scratch("runtime");
        let mine = scratch.join("mine");
        assert_eq!(
            usable(&mine, false).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        usable(&mine, true).unwrap();
        usable(&mine, true).unwrap();
        assert_eq!(fs::metadata(&mine).unwrap().mode() & 0o777, PRIVATE);
        let link = scratch.join("link");
        symlink(&mine, &link).unwrap();
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o777)).unwrap();
        for bad in [&link, &scratch] {
            let error = usable(bad, true).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{bad:?}");
        }
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn a_lock_ends_with_its_file() {
        let scratch = scratch("lock");
        let path = scratch.join("lock");
        let first = File::create(&path).unwrap();
        let second = File::open(&path).unwrap();
        assert!(lock(&first).unwrap());
        assert!(!lock(&second).unwrap());
        drop(first);
        assert!(lock(&second).unwrap());
        fs::remove_dir_all(scratch).unwrap();
    }
}
