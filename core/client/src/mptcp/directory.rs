//! The files in which programs record what they have changed.
//!
//! A program keeps its file locked: the lock ends with the process, so that what is not locked is left by a dead one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use twinpath_socket::runtime;

use super::record::Record;

/// What the names of the files begin with.
const PREFIX: &str = "mptcp-";
/// And of those whose changes last beyond the end of their program.
const LASTING: &str = "mptcp-setup-";
/// Every reading and writing is done under the lock of this file.
const LOCK: &str = "lock";
/// A file that is no record is kept under this ending, for somebody to look at.
const DAMAGED: &str = "damaged";
/// More than any record has.
const LONGEST: u64 = 64 * 1024;
/// Nobody needs the lock for so long, unless it was stopped in between.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// The directory, locked.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    boot: String,
    _lock: File,
}

/// The file of a program.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Locked by this value if the program is dead.
    file: File,
    pub(super) record: Record,
    /// Whether its changes shall last: the program lives, or has said so.
    pub(super) alive: bool,
    /// It has said so.
    pub(super) lasting: bool,
}

impl Directory {
    /// `None` if there is none.
    pub(super) fn find() -> io::Result<Option<Self>> {
        match runtime::directory(false) {
            Ok(path) => Self::open(path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes it if there is none.
    pub(super) fn make() -> io::Result<Self> {
        Self::open(runtime::directory(true)?)
    }

    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let name = path.join(LOCK);
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name)?;
        let began = Instant::now();
        while !runtime::lock(&lock)? {
            if began.elapsed() >= PATIENCE {
                let text = format!("{} is locked by another program", name.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            thread::sleep(PAUSE);
        }
        Ok(Self {
            path,
            boot: runtime::boot()?,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn blank(&self, namespace: u64) -> Record {
        Record {
            boot: self.boot.clone(),
            namespace,
            process: std::process::id(),
            entries: Vec::new(),
        }
    }

    /// Makes the file for what lasts; there must be none.
    pub(super) fn add_lasting(&self, namespace: u64) -> io::Result<Found> {
        let path = self.path.join(format!("{LASTING}{namespace:x}"));
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        let found = Found {
            path,
            file,
            record: self.blank(namespace),
            alive: true,
            lasting: true,
        };
        found.save()?;
        Ok(found)
    }

    /// Makes the file of this process, and locks it.
    pub(super) fn add(&self, namespace: u64) -> io::Result<(PathBuf, File)> {
        let record = self.blank(namespace);
        let process = record.process;
        // The number is not unique: processes of several containers may share the directory.
        let mut number = 0_u32;
        loop {
            let path = self
                .path
                .join(format!("{PREFIX}{namespace:x}-{process}-{number}"));
            let mut options = OpenOptions::new();
            match options.read(true).write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
                Ok(file) => {
                    runtime::lock(&file)?;
                    write(&file, &record)?;
                    return Ok((path, file));
                }
            }
        }
    }

    /// The records of a network namespace. What the last boot has left is removed, and what is no record set aside.
    pub(super) fn records(&self, namespace: u64) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let is_one = |name: &str| name.starts_with(PREFIX) && !name.ends_with(DAMAGED);
            if name.is_some_and(is_one) {
                match self.look_at(&path, namespace) {
                    Ok(found) => all.extend(found),
                    Err(error) => log::warn!("{} cannot be read: {error}", path.display()),
                }
            }
        }
        // The oldest program first, as far as one can tell.
        all.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(all)
    }

    fn look_at(&self, path: &Path, namespace: u64) -> io::Result<Option<Found>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let alive = !runtime::lock(&file)?;
        let name = path.file_name().and_then(|name| name.to_str());
        let lasting = name.is_some_and(|name| name.starts_with(LASTING));
        let mut bytes = Vec::new();
        (&file).take(LONGEST).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let Some(record) = Record::parse(&text) else {
            // Empty is one whose program died before it had written anything.
            match alive {
                true => log::warn!("{} is damaged and not heeded", path.display()),
                false if bytes.is_empty() => fs::remove_file(path)?,
                false => {
                    let aside = path.with_extension(DAMAGED);
                    log::warn!("{} is damaged; kept as .{DAMAGED}", path.display());
                    fs::rename(path, aside)?;
                }
            }
            return Ok(None);
        };
        if record.boot != self.boot {
            if !alive {
                fs::remove_file(path)?;
            }
            return Ok(None);
        }
        let found = Found {
            path: path.to_owned(),
            file,
            record,
            alive: alive || lasting,
            lasting,
        };
        Ok(Some(found).filter(|found| found.record.namespace == namespace))
    }
}

impl Found {
    /// Writes the record as it is now.
    pub(super) fn save(&self) -> io::Result<()> {
        write(&self.file, &self.record)
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// In one piece, so that a program that is killed meanwhile leaves the old record or the new one.
fn write(mut file: &File, record: &Record) -> io::Result<()> {
    let text = record.print();
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// A directory of its own, or nothing where there are no locks.
    fn directory(name: &str) -> Option<Directory> {
        let name = format!("twinpath-records-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        match Directory::open(path) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            opened => Some(opened.unwrap()),
        }
    }

    #[test]
    fn a_program_is_alive_while_it_has_its_file() {
        let Some(directory) = directory("alive") else {
            return;
        };
        let (path, file) = directory.add(5).unwrap();
        let (other, _file) = directory.add(5).unwrap();
        assert_ne!(path, other, "two places of one process");
        let (_, _elsewhere) = directory.add(6).unwrap();
        let alive = |directory: &Directory| {
            let found = directory.records(5).unwrap();
            found.iter().map(|it| it.alive).collect::<Vec<_>>()
        };
        assert_eq!(alive(&directory), [true, true]);
        drop(file);
        assert_eq!(alive(&directory), [false, true]);
        fs::remove_dir_all(directory.path()).unwrap();
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_one_of_another_boot_is_void() {
        let Some(mut directory) = directory("damaged") else {
            return;
        };
        let (path, file) = directory.add(5).unwrap();
        fs::write(&path, b"\xffsomething else").unwrap();
        assert!(directory.records(5).unwrap().is_empty());
        assert!(path.exists(), "the program that lives needs it");
        drop(file);
        assert!(directory.records(5).unwrap().is_empty());
        assert!(!path.exists() && path.with_extension(DAMAGED).exists());
        assert!(directory.records(5).unwrap().is_empty());

        let (path, file) = directory.add(5).unwrap();
        drop(file);
        directory.boot = "another".into();
        assert!(directory.records(5).unwrap().is_empty());
        assert!(!path.exists());
        fs::remove_dir_all(directory.path()).unwrap();
    }

    #[test]
    fn who_waits_too_long_for_the_directory_is_told() {
        let Some(directory) = directory("locked") else {
            return;
        };
        let error = Directory::open(directory.path().to_owned()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("locked"), "{error}");
        fs::remove_dir_all(directory.path()).unwrap();
    }
}
