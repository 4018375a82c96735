//! Copies of a node's store to fall back on: `node backup` and `node restore`.
//!
//! A backup is a folder with the store and, written last, a manifest that names every file with its
//! size and hash. Without its manifest, or with any other file than it names, it is none. What a
//! backup cannot hold is what the key signs afterwards: a restored store does not sign until that is
//! settled.

mod manifest;
mod restore;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use quorate_storage::{Store, StoreError};

pub use manifest::{Contents, FileEntry, MANIFEST, Manifest, VERSION};
pub use restore::{Restored, restore, verify};

use crate::keys::KeyStore;

/// Folders of a backup.
const STORE: &str = "store";
const KEYS: &str = "keys";

/// Why there is no backup, or it was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The folder to write to is in use.
    #[error("{} is not empty; name a folder that does not exist yet", path.display())]
    NotEmpty {
        /// Which one.
        path: PathBuf,
    },
    /// There is a store where one is to be restored.
    #[error(
        "{} holds a store already; name another --data-dir, or keep that store aside with --replace",
        path.display()
    )]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// Not a backup, or one whose making was cut short.
    #[error("{} is no complete backup: {reason}; name another one", path.display())]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// Not what was written.
    #[error("the backup {} is damaged: {reason}; use another one", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Of another network than asked for.
    #[error(
        "the backup is of network {found}, the configuration of {configured}; name the right one"
    )]
    OtherNetwork {
        /// Of the backup.
        found: String,
        /// Of the configuration.
        configured: String,
    },
    /// Made by a program with another layout.
    #[error("the backup needs another version of this program: {reason}")]
    OtherVersion {
        /// Why.
        reason: String,
    },
}

impl BackupError {
    fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// Copies an open store below `to`, which must not exist or be empty. Still without manifest: no
/// backup yet.
///
/// # Errors
/// [`BackupError`].
pub fn copy_store(store: &Store, to: &Path) -> Result<(), BackupError> {
    let mut entries = match fs::read_dir(to) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(to).map_err(|error| BackupError::io("create", to, &error))?;
            fs::read_dir(to).map_err(|error| BackupError::io("read", to, &error))?
        }
        Err(error) => return Err(BackupError::io("read", to, &error)),
    };
    if entries.next().is_some() {
        let path = to.to_owned();
        return Err(BackupError::NotEmpty { path });
    }
    Ok(store.copy_to(&to.join(STORE))?)
}

/// Adds the key files of a folder to what [`copy_store`] left. They stay under their password; the
/// notes that a key is new stay behind.
///
/// # Errors
/// [`BackupError`].
pub fn copy_keys(keys: &KeyStore, to: &Path) -> Result<(), BackupError> {
    let listing = keys.list().map_err(|error| BackupError::Io {
        action: "read",
        path: keys.dir().to_owned(),
        reason: error.to_string(),
    })?;
    let folder = to.join(KEYS);
    make_private_dir(&folder)?;
    for key in listing.keys {
        copy_file_into(&key.path, &folder)?;
    }
    Ok(())
}

/// Makes what is in `to` a backup: writes its manifest.
///
/// # Errors
/// [`BackupError`].
pub fn seal(to: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::of(to)?;
    manifest.write(to)?;
    Ok(manifest)
}

fn make_private_dir(dir: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| BackupError::io("create", dir, &error))
}

/// A copy under the same name, on disk, with the same mode.
fn copy_file_into(file: &Path, folder: &Path) -> Result<(), BackupError> {
    let target = folder.join(file.file_name().unwrap_or_default());
    copy_file(file, &target)
}

fn copy_file(file: &Path, target: &Path) -> Result<(), BackupError> {
    let copy = || {
        fs::copy(file, target)?;
        fs::File::open(target)?.sync_all()
    };
    copy().map_err(|error| BackupError::io("copy", file, &error))
}

fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| BackupError::io("sync", dir, &error))
}

#[cfg(test)]
mod tests;
