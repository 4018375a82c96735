//! What a backup consists of.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use quorate_proto::store::SignerRecord;
use quorate_storage::{SCHEMA_VERSION, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{BackupError, STORE, sync_dir};
use crate::clock;

/// The manifest's file.
pub const MANIFEST: &str = "BACKUP.json";
/// The version of manifests that is written, and the only one that is read.
pub const VERSION: u32 = 2;
const FORMAT: &str = "quorate-backup";
/// Larger ones are none: a file of the store takes 150 bytes, and a store of 1 TB has 64,000 files.
const MAX_BYTES: u64 = 32 << 20;
const BUFFER: usize = 1 << 16;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    version: u32,
    /// Id of the network whose store it is.
    pub network: String,
    /// The storage engine.
    pub engine: String,
    /// Schema of the store.
    pub schema_version: u32,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
    /// Version of the program that made it.
    pub program: String,
    /// Operators whose signing log is in it.
    pub operators: Vec<Contents>,
    /// Every file, by its path below the backup, ascending.
    pub files: Vec<FileEntry>,
}

/// The log of one operator, as far as the backup goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Its address.
    pub operator: String,
    /// Newest sequence of a binding or presence that the log stands behind.
    pub sequence: u64,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative, with `/`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes in hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Describes what [`super::copy_store`] left in `dir`. Opens it once, so that it is known to
    /// open.
    pub(super) fn of(dir: &Path) -> Result<Self, BackupError> {
        let (store, identity) = Store::open_existing(dir.join(STORE))?;
        let contents = |(operator, record): ([u8; 20], SignerRecord)| Contents {
            operator: format!("0x{}", hex::encode(operator)),
            sequence: record.sequence,
        };
        let operators = store.signers()?.into_iter().map(contents).collect();
        let engine = store.engine_kind().map(|kind| kind.to_string());
        drop(store);
        Ok(Self {
            format: FORMAT.into(),
            version: VERSION,
            network: identity.network,
            engine: engine.unwrap_or_default(),
            schema_version: SCHEMA_VERSION,
            created_ms: clock::now().millis(),
            program: env!("CARGO_PKG_VERSION").into(),
            operators,
            files: files(dir)?,
        })
    }

    /// Reads the manifest of a backup.
    pub(super) fn read(dir: &Path) -> Result<Self, BackupError> {
        let path = dir.join(MANIFEST);
        let incomplete = |reason: String| BackupError::Incomplete {
            path: dir.to_owned(),
            reason,
        };
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(incomplete(format!("it has no {MANIFEST}")));
            }
            Err(error) => return Err(BackupError::io("read", &path, &error)),
        };
        if size > MAX_BYTES {
            return Err(incomplete(format!("its {MANIFEST} has {size} bytes")));
        }
        let text = fs::read(&path).map_err(|error| BackupError::io("read", &path, &error))?;
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|error| incomplete(format!("{MANIFEST} cannot be read: {error}")))?;
        if manifest.format != FORMAT {
            return Err(incomplete(format!("its format is {:?}", manifest.format)));
        }
        if manifest.version != VERSION || manifest.schema_version != SCHEMA_VERSION {
            let reason = format!(
                "it has version {} and a store of schema {}, and was made by version {} of the program; \
                 this one knows {VERSION} and {SCHEMA_VERSION}",
                manifest.version, manifest.schema_version, manifest.program
            );
            return Err(BackupError::OtherVersion { reason });
        }
        Ok(manifest)
    }

    /// Whole, and behind everything else.
    pub(super) fn write(&self, dir: &Path) -> Result<(), BackupError> {
        sync_tree(dir)?;
        let path = dir.join(MANIFEST);
        let write = || {
            let mut file = tempfile::Builder::new()
                .prefix(".manifest-")
                .tempfile_in(dir)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|refused| refused.error)
        };
        write().map_err(|error| BackupError::io("write", &path, &error))?;
        sync_dir(dir)
    }

    /// Whether exactly these files are there, with exactly these bytes.
    pub(super) fn check(&self, dir: &Path) -> Result<(), BackupError> {
        let damaged = |reason: String| BackupError::Damaged {
            path: dir.to_owned(),
            reason,
        };
        let found = files(dir)?;
        for file in &self.files {
            match found.iter().find(|other| other.path == file.path) {
                None => return Err(damaged(format!("{} is missing", file.path))),
                Some(other) if other != file => {
                    return Err(damaged(format!("{} has other bytes", file.path)));
                }
                Some(_) => {}
            }
        }
        match found.iter().find(|file| !self.files.contains(file)) {
            Some(file) => Err(damaged(format!("{} does not belong to it", file.path))),
            None => Ok(()),
        }
    }

    /// The sum of the files' sizes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Every file below `dir` but the manifest.
fn files(dir: &Path) -> Result<Vec<FileEntry>, BackupError> {
    let mut files = Vec::new();
    walk(dir, "", &mut |path, name| {
        if name != MANIFEST && !name.starts_with(".manifest-") {
            let entry = describe(path, name);
            files.push(entry.map_err(|error| BackupError::io("read", path, &error))?);
        }
        Ok(())
    })?;
    files.sort();
    Ok(files)
}

fn describe(path: &Path, name: &str) -> io::Result<FileEntry> {
    let mut file = File::open(path)?;
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
    Ok(FileEntry {
        path: name.to_owned(),
        bytes,
        sha256: hex::encode(hash.finalize()),
    })
}

/// Calls `visit` with every file below `dir` and its relative path. Links are not followed: nothing
/// that a node writes has any.
pub(super) fn walk(
    dir: &Path,
    prefix: &str,
    visit: &mut dyn FnMut(&Path, &str) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let failed = |error: &io::Error| BackupError::io("read", dir, error);
    for entry in fs::read_dir(dir).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        let kind = entry.file_type().map_err(|error| failed(&error))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            walk(&entry.path(), &format!("{name}/"), visit)?;
        } else if kind.is_file() {
            visit(&entry.path(), &name)?;
        } else {
            return Err(BackupError::Damaged {
                path: dir.to_owned(),
                reason: format!("{name} is no plain file"),
            });
        }
    }
    Ok(())
}

fn sync_tree(dir: &Path) -> Result<(), BackupError> {
    let mut folders = std::collections::BTreeSet::from([dir.to_owned()]);
    walk(dir, "", &mut |path, _| {
        folders.extend(path.parent().map(Path::to_owned));
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(|error| BackupError::io("sync", path, &error))
    })?;
    folders.iter().try_for_each(|folder| sync_dir(folder))
}
