//! The file that keeps a gateway's key from one run to the next.
//!
//! One line of text, `twinpath-key-1` and 64 hexadecimal digits. The word in front keeps the file from being taken
//! for the public key, which is what belongs into an app.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use twinpath_proto::{PublicKey, StaticKey};

use crate::error::KeyFileError;

const WORD: &str = "twinpath-key-1";
/// Longer than any key file, short enough to refuse a file that was named by mistake.
const MAX_LEN: u64 = 1024;

/// A key that was read from its file, or made and written there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyFile {
    /// The key.
    pub key: StaticKey,
    /// Whether the file did not exist and was made.
    pub created: bool,
    /// Whether other users of the machine can read the file; always `false` where files have no mode bits.
    ///
    /// Not an error, because orchestrators mount secrets with such modes, but worth a warning.
    pub readable_by_others: bool,
    /// Whether anybody but the owner, group included, can put another key in its place; always `false` where files have
    /// no mode bits. Worth a warning as well: clients that pin the key would refuse the gateway.
    pub writable_by_others: bool,
}

impl KeyFile {
    /// Reads the key in `path`, or makes one and writes it there, readable by its owner only.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`], which names the file. An existing file is never changed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        match read(path) {
            Err(KeyFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match create(path) {
            // Another gateway was faster; its key is the one.
            Err(KeyFileError::Create { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                read(path)
            }
            other => other,
        }
    }

    /// What clients pin.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }
}

fn read(path: &Path) -> Result<KeyFile, KeyFileError> {
    let failed = |source| KeyFileError::Read {
        path: path.to_owned(),
        source,
    };
    let malformed = |problem| KeyFileError::Malformed {
        path: path.to_owned(),
        problem,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mut content = Vec::new();
    file.take(MAX_LEN + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() as u64 > MAX_LEN {
        return Err(malformed("it is too long"));
    }
    let text = std::str::from_utf8(&content).map_err(|_| malformed("it is not text"))?;
    let mut words = text.split_whitespace();
    let digits = match (words.next(), words.next(), words.next()) {
        (Some(WORD), Some(digits), None) => digits,
        (None, ..) => return Err(malformed("it is empty")),
        _ => {
            return Err(malformed(
                "it is not `twinpath-key-1` and 64 hexadecimal digits",
            ));
        }
    };
    let bytes =
        from_hex(digits).ok_or_else(|| malformed("the key is not 64 hexadecimal digits"))?;
    let (readable_by_others, writable_by_others) = loose(&metadata);
    let what = match (readable_by_others, writable_by_others) {
        (true, true) => Some("read and changed"),
        (true, false) => Some("read"),
        (false, true) => Some("changed"),
        (false, false) => None,
    };
    if let Some(what) = what {
        let path = path.display();
        log::warn!("the key file {path} can be {what} by other users; `chmod 600 {path}`");
    }
    Ok(KeyFile {
        key: StaticKey::from_bytes(bytes),
        created: false,
        readable_by_others,
        writable_by_others,
    })
}

fn create(path: &Path) -> Result<KeyFile, KeyFileError> {
    let failed = |source| KeyFileError::Create {
        path: path.to_owned(),
        source,
    };
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| KeyFileError::Random(error.to_string()))?;
    let key = StaticKey::from_bytes(bytes);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = writeln!(file, "{WORD} {digits}").and_then(|()| file.sync_all());
    if let Err(source) = written {
        // Half a key would be refused for ever after.
        let _ = fs::remove_file(path);
        return Err(failed(source));
    }
    Ok(KeyFile {
        key,
        created: true,
        readable_by_others: false,
        writable_by_others: false,
    })
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

/// Whether others can read the file, and whether they can change it.
#[cfg(unix)]
fn loose(metadata: &fs::Metadata) -> (bool, bool) {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode();
    // A service account that reads through its group is the common deployment; none has to write.
    (mode & 0o004 != 0, mode & 0o022 != 0)
}

#[cfg(not(unix))]
fn loose(_: &fs::Metadata) -> (bool, bool) {
    (false, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_made_once_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = KeyFile::open(&path).unwrap();
        let read = KeyFile::open(&path).unwrap();
        assert!(made.created && !read.created && !read.readable_by_others);
        assert_eq!(made.public(), read.public());
        assert_eq!(made.public().to_string().len(), 64);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_a_new_file_and_a_loose_one_is_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        KeyFile::open(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        for (mode, readable, writable) in [
            (0o600, false, false),
            (0o640, false, false),
            (0o644, true, false),
            (0o660, false, true),
            (0o602, false, true),
            (0o666, true, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let file = KeyFile::open(&path).unwrap();
            let found = (file.readable_by_others, file.writable_by_others);
            assert_eq!(found, (readable, writable), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let long = "x".repeat(5000);
        for content in [
            "",
            "twinpath-key-1",
            "twinpath-key-1 12",
            "ssh-ed25519 AAAA me",
            "twinpath-key-1 zz",
            &long,
        ] {
            fs::write(&path, content).unwrap();
            let error = KeyFile::open(&path).unwrap_err();
            assert!(
                matches!(error, KeyFileError::Malformed { .. }),
                "{content:?}: {error}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = KeyFile::open(folder.path().join("no/key")).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot create the key file "),
            "{error}"
        );
    }
}
