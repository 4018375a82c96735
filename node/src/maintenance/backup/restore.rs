//! From a backup to a store.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use quorate_storage::Store;

use super::manifest::walk;
use super::{BackupError, KEYS, Manifest, STORE, copy_file, make_private_dir, sync_dir};
use crate::clock;

/// Where a store is put together before it takes its place.
const UNFINISHED: &str = "store.restoring";

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says.
    pub manifest: Manifest,
    /// Where the store that was there before is now.
    pub replaced: Option<PathBuf>,
    /// Key files that were restored.
    pub keys: Vec<PathBuf>,
}

/// Checks every byte of a backup.
///
/// # Errors
/// [`BackupError`] says what is wrong.
pub fn verify(from: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(from)?;
    // The names are another party's input; none may lead out of the folder.
    for file in &manifest.files {
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !Path::new(&file.path).components().all(plain) {
            return Err(BackupError::Damaged {
                path: from.to_owned(),
                reason: format!("{:?} is no path inside of it", file.path),
            });
        }
    }
    manifest.check(from)?;
    Ok(manifest)
}

/// Puts the store of a backup into `data_dir`, and its keys into `keys` where that is given. The
/// store is marked: nothing is signed with its log before that is completed.
///
/// A store that is there is kept aside where `replace` says so; otherwise nothing is changed. A
/// restore that was cut short leaves what was there before, and can be done again.
///
/// # Errors
/// [`BackupError`].
pub fn restore(
    from: &Path,
    data_dir: &Path,
    keys: Option<&Path>,
    replace: bool,
) -> Result<Restored, BackupError> {
    let manifest = verify(from)?;
    let target = data_dir.join(STORE);
    let occupied = fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_some());
    if occupied && !replace {
        return Err(BackupError::Occupied { path: target });
    }
    // A node that runs on it holds its lock, which is dropped only when the store has moved.
    let held = match occupied {
        true => Some(Store::open_existing(&target)),
        false => None,
    };
    if let Some(Err(error @ quorate_storage::StoreError::Locked { .. })) = held {
        return Err(error.into());
    }
    fs::create_dir_all(data_dir).map_err(|error| BackupError::io("create", data_dir, &error))?;
    let unfinished = data_dir.join(UNFINISHED);
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(BackupError::io("remove", &unfinished, &error));
        }
        _ => {}
    }
    let copied = copy(&from.join(STORE), &unfinished)?;
    mark(&unfinished)?;
    tracing::debug!(files = copied.len(), "store copied");
    let restored_keys = match (keys, from.join(KEYS)) {
        (Some(folder), source) if source.is_dir() => copy_keys(&source, folder)?,
        _ => Vec::new(),
    };
    let replaced = match occupied {
        true => Some(set_aside(&target, data_dir)?),
        false => {
            // An empty folder may be there.
            let _ = fs::remove_dir(&target);
            None
        }
    };
    drop(held);
    fs::rename(&unfinished, &target)
        .map_err(|error| BackupError::io("move into place", &target, &error))?;
    sync_dir(data_dir)?;
    Ok(Restored {
        manifest,
        replaced,
        keys: restored_keys,
    })
}

/// Opens it, which reads what it is, and notes that it comes from a backup.
fn mark(store: &Path) -> Result<(), BackupError> {
    let (store, _) = Store::open_existing(store)?;
    store.mark_restored(clock::now().millis())?;
    Ok(store.flush()?)
}

fn copy(from: &Path, to: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut copied = Vec::new();
    fs::create_dir(to).map_err(|error| BackupError::io("create", to, &error))?;
    walk(from, "", &mut |path, name| {
        let target = to.join(name);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)
                .map_err(|error| BackupError::io("create", folder, &error))?;
        }
        copy_file(path, &target)?;
        copied.push(target);
        Ok(())
    })?;
    sync_dir(to)?;
    Ok(copied)
}

/// Never over a key that is there.
fn copy_keys(from: &Path, to: &Path) -> Result<Vec<PathBuf>, BackupError> {
    make_private_dir(to)?;
    let mut copied = Vec::new();
    walk(from, "", &mut |path, name| {
        let target = to.join(name);
        match File::create_new(&target) {
            Ok(_) => copy_file(path, &target)?,
            Err(error) => return Err(BackupError::io("create", &target, &error)),
        }
        copied.push(target);
        Ok(())
    })?;
    sync_dir(to)?;
    Ok(copied)
}

fn set_aside(store: &Path, data_dir: &Path) -> Result<PathBuf, BackupError> {
    let aside = data_dir.join(format!("store.replaced-{}", clock::now().millis()));
    fs::rename(store, &aside).map_err(|error| BackupError::io("move aside", store, &error))?;
    Ok(aside)
}
