//! The note beside a signing key that it has never signed: `<name>.signing.new`.
//!
//! A node signs with an empty log only where it knows that there is nothing to be in it. The process
//! that makes a key knows that, so the note is made with the key, and the first start takes it away. It
//! must not come back with a copy of the folder: it names its own file as the file system does, and
//! a copy is another file.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use quorate_proto::Address;
use serde::{Deserialize, Serialize};

use super::KeyError;

/// A note that is good: the key has never signed.
#[derive(Debug)]
pub struct NewKey {
    path: PathBuf,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Of the key.
    address: String,
    /// Number of the note's own file.
    inode: u64,
    /// When that file was made, in nanoseconds since the Unix epoch; 0 where the file system does not
    /// say.
    born_ns: u64,
}

impl Note {
    fn of(address: Address, file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let born = metadata.created().ok();
        let since = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let nanos = since.map_or(0, |since| since.as_nanos());
        Ok(Self {
            address: address.to_string(),
            inode: metadata.ino(),
            born_ns: u64::try_from(nanos).unwrap_or_default(),
        })
    }
}

impl NewKey {
    /// The note beside the key in `key_file`, where it is there, is of this key, and is no copy.
    #[must_use]
    pub fn look(key_file: &Path, address: Address) -> Option<Self> {
        let path = note_path(key_file);
        let note: Note = serde_json::from_str(&fs::read_to_string(&path).ok()?).ok()?;
        let own = Note::of(address, &File::open(&path).ok()?).ok()?;
        if note != own {
            tracing::warn!(note = %path.display(), key = %address,
                "the note that this key is new is a copy, or of another key; it does not count");
            return None;
        }
        Some(Self { path })
    }

    /// Takes the note away, for good.
    ///
    /// # Errors
    /// [`KeyError::Io`] where the folder cannot be written: the key must not sign then, or the note
    /// would vouch for it again.
    pub fn take_away(&self) -> Result<(), KeyError> {
        let failed = |error: &io::Error| KeyError::io("remove", &self.path, error);
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| failed(&error))
    }
}

/// Notes that the key in `key_file` has never signed.
pub(super) fn leave(key_file: &Path, address: Address) -> Result<(), KeyError> {
    let path = note_path(key_file);
    let write = || {
        remove(&path)?;
        let mut file = File::create_new(&path)?;
        let note = serde_json::to_string(&Note::of(address, &file)?)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| KeyError::io("write", &path, &error))
}

/// Of a key that takes the place of another one.
pub(super) fn forget(key_file: &Path) -> Result<(), KeyError> {
    let path = note_path(key_file);
    remove(&path).map_err(|error| KeyError::io("remove", &path, &error))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn note_path(key_file: &Path) -> PathBuf {
    key_file.with_extension("new")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Address = Address::repeat_byte(7);

    fn noted() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("default.signing.json");
        leave(&key, KEY).unwrap();
        (dir, key)
    }

    #[test]
    fn a_note_is_good_once_and_for_its_key() {
        let (dir, key) = noted();
        assert!(NewKey::look(&key, Address::repeat_byte(8)).is_none());
        assert!(NewKey::look(&dir.path().join("other.signing.json"), KEY).is_none());
        let note = NewKey::look(&key, KEY).unwrap();
        note.take_away().unwrap();
        assert!(NewKey::look(&key, KEY).is_none());
        note.take_away().unwrap();
    }

    #[test]
    fn a_copy_of_a_note_does_not_count() {
        let (dir, key) = noted();
        let other = dir.path().join("copy");
        fs::create_dir(&other).unwrap();
        let name = "default.signing.new";
        fs::copy(dir.path().join(name), other.join(name)).unwrap();
        assert!(NewKey::look(&other.join("default.signing.json"), KEY).is_none());
        // Moved, with another owner's mode, it is still the same file.
        let moved = dir.path().join("moved");
        fs::create_dir(&moved).unwrap();
        fs::rename(dir.path().join(name), moved.join(name)).unwrap();
        assert!(NewKey::look(&moved.join("default.signing.json"), KEY).is_some());
        assert!(NewKey::look(&key, KEY).is_none());
    }

    #[test]
    fn what_is_no_note_does_not_count() {
        let (dir, key) = noted();
        for text in ["", "{}", "{\"address\":\"0x\"}"] {
            fs::write(dir.path().join("default.signing.new"), text).unwrap();
            assert!(NewKey::look(&key, KEY).is_none(), "{text}");
        }
        forget(&key).unwrap();
        forget(&key).unwrap();
    }
}
