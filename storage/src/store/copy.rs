//! A copy of an open store, made while it is written to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Store, folder};
use crate::StoreError;

impl Store {
    /// Leaves in `dir`, which must not exist yet, a whole store: all batches up to some moment of
    /// this call and none after it, in their order. Without its end, which comes last, nothing opens
    /// what is there.
    ///
    /// # Errors
    /// A folder that exists or cannot be written; a full disk.
    pub fn copy_to(&self, dir: &Path) -> Result<(), StoreError> {
        let failed = |error: &io::Error| {
            StoreError::from_io(format!("copy the store to {}", dir.display()), error)
        };
        let Some(kind) = self.engine_kind() else {
            return Err(failed(&io::Error::other("it is in no folder")));
        };
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::create_dir_all(parent.unwrap_or(Path::new("."))).map_err(|e| failed(&e))?;
        fs::create_dir(dir).map_err(|e| failed(&e))?;
        // Under another name at first, so that half of an engine's data is never taken for all.
        let unfinished = dir.join(format!("{kind}.copying"));
        self.engine().copy_to(&unfinished)?;
        fs::rename(unfinished, dir.join(kind.name())).map_err(|e| failed(&e))?;
        folder::seal(dir, kind).map_err(|e| failed(&e))
    }

    /// The engine of a store in a folder.
    pub fn engine_kind(&self) -> Option<crate::EngineKind> {
        let folder = self.inner.folder.as_ref();
        folder.map(folder::Folder::kind)
    }

    /// The folder of a store below a node's `data_dir`.
    pub fn below(data_dir: &Path) -> PathBuf {
        data_dir.join("store")
    }
}
