//! The part of a download that an earlier run has left: the bytes in `FILE.part`, and what they are of in `FILE.part.json`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Where a download goes until it is whole.
#[derive(Debug)]
pub(super) struct Partial {
    file: PathBuf,
    part: PathBuf,
    note: PathBuf,
}

/// What is known of the bytes that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Where they came from.
    pub(super) url: String,
    /// A strong validator of what they are a part of.
    pub(super) validator: String,
    /// The size of the whole, if it was told.
    pub(super) total: Option<u64>,
}

impl Partial {
    pub(super) fn of(file: &Path) -> Self {
        let with = |suffix: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            file: file.to_owned(),
            part: with(".part"),
            note: with(".part.json"),
        }
    }

    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// What an earlier run has left of that URL, and how many bytes; `None` if it cannot be gone on with.
    pub(super) fn known(&self, url: &str) -> Option<(Known, u64)> {
        let size = fs::metadata(&self.part).ok()?.len();
        let text = fs::read_to_string(&self.note).ok()?;
        let note: Value = serde_json::from_str(&text).ok()?;
        let known = Known {
            url: note.get("url")?.as_str()?.to_owned(),
            validator: note.get("validator")?.as_str()?.to_owned(),
            total: note.get("total").and_then(Value::as_u64),
        };
        (known.url == url && size > 0).then_some((known, size))
    }

    /// Opens the part to append to it, hashed up to its end. A part that is there and not to be kept is emptied.
    pub(super) fn open(&self, keep: bool) -> io::Result<(File, Sha256, u64)> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(!keep)
            .read(true)
            .write(true)
            .open(&self.part)?;
        let (hash, size) = hash_of(&mut file)?;
        file.seek(SeekFrom::End(0))?;
        Ok((file, hash, size))
    }

    /// Writes down what the bytes are a part of; without a strong validator nobody can go on with them.
    pub(super) fn note(&self, known: Option<&Known>) -> io::Result<()> {
        match known {
            Some(Known {
                url,
                validator,
                total,
            }) => {
                let note = json!({ "url": url, "validator": validator, "total": total });
                fs::write(&self.note, note.to_string())
            }
            None => remove(&self.note),
        }
    }

    /// The download is whole.
    pub(super) fn finish(&self) -> io::Result<()> {
        fs::rename(&self.part, &self.file)?;
        remove(&self.note)
    }

    /// Nothing of it is of use.
    pub(super) fn discard(&self) -> io::Result<()> {
        remove(&self.note)?;
        remove(&self.part)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn hash_of(file: &mut File) -> io::Result<(Sha256, u64)> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hash, size)),
            read => {
                hash.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_part_is_gone_on_with_only_for_its_url_and_with_a_validator() {
        let directory = tempfile::tempdir().unwrap();
        let partial = Partial::of(&directory.path().join("file.bin"));
        assert_eq!(partial.known("http://a/"), None);
        let (mut file, _, size) = partial.open(true).unwrap();
        assert_eq!(size, 0);
        file.write_all(b"half").unwrap();
        assert_eq!(partial.known("http://a/"), None, "there is no note");
        let known = Known {
            url: "http://a/".to_owned(),
            validator: "\"1\"".to_owned(),
            total: Some(8),
        };
        partial.note(Some(&known)).unwrap();
        assert_eq!(partial.known("http://a/"), Some((known, 4)));
        assert_eq!(partial.known("http://b/"), None);
        let (mut file, hash, size) = partial.open(true).unwrap();
        assert_eq!((size, hash.finalize()), (4, Sha256::digest(b"half")));
        file.write_all(b"half").unwrap();
        partial.finish().unwrap();
        assert_eq!(
            fs::read(directory.path().join("file.bin")).unwrap(),
            b"halfhalf"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_to_be_kept_is_emptied() {
        let directory = tempfile::tempdir().unwrap();
        let partial = Partial::of(&directory.path().join("file.bin"));
        fs::write(partial.part(), b"old").unwrap();
        let (_, _, size) = partial.open(false).unwrap();
        assert_eq!(size, 0);
        partial.discard().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
