use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::{EngineKind, StoreError};

/// The lock, and what the folder is.
const CARD: &str = "STORE";
const READY: &str = "ready";

/// A locked folder. `STORE` inside it is the lock, and says in two lines which engine keeps its
/// data beside it, and that the store was once complete. Lines are only ever added, so whatever a
/// crash leaves of them is true.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    kind: EngineKind,
    card: File,
    ready: bool,
}

impl Folder {
    /// Creates the folder where there is none, and takes its lock for `kind`.
    pub(super) fn lock(path: &Path, kind: EngineKind) -> Result<Self, StoreError> {
        let card = open_card(path).map_err(|e| failed(path, &e))?;
        match card.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(path, &error)),
        }
        let mut folder = Self {
            path: path.to_owned(),
            kind,
            card,
            ready: false,
        };
        folder.read_card()?;
        Ok(folder)
    }

    /// Where the engine keeps its files.
    pub(super) fn engine_dir(&self) -> PathBuf {
        self.path.join(self.kind.name())
    }

    /// The engine.
    pub(super) fn kind(&self) -> EngineKind {
        self.kind
    }

    /// Whether a whole store was here before.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Notes that a whole store is here, once its identity is on disk.
    pub(super) fn make_ready(&mut self) -> Result<(), StoreError> {
        if self.ready {
            return Ok(());
        }
        let noted = sync_dir(&self.engine_dir()).and_then(|()| self.add_line(READY));
        noted.map_err(|e| failed(&self.path, &e))?;
        self.ready = true;
        Ok(())
    }

    fn read_card(&mut self) -> Result<(), StoreError> {
        let mut text = String::new();
        self.card
            .read_to_string(&mut text)
            .map_err(|e| failed(&self.path, &e))?;
        // A line without its end is one whose writing was cut short.
        let mut lines = text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'));
        match lines.next().map(str::parse) {
            None => self.claim().map_err(|e| failed(&self.path, &e))?,
            Some(Ok(kind)) if kind == self.kind => self.ready = lines.any(|line| line == READY),
            Some(Ok(found)) => return Err(self.other_engine(found)),
            Some(Err(reason)) => return Err(StoreError::corrupt(CARD, &[], reason)),
        }
        Ok(())
    }

    /// Makes a folder without a card the chosen engine's.
    fn claim(&mut self) -> io::Result<()> {
        self.card.set_len(0)?;
        self.add_line(self.kind.name())?;
        fs::create_dir_all(self.engine_dir())?;
        sync_dir(&self.path)?;
        self.path
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .map_or(Ok(()), sync_dir)
    }

    fn add_line(&mut self, line: &str) -> io::Result<()> {
        self.card.write_all(format!("{line}\n").as_bytes())?;
        self.card.sync_all()
    }

    fn other_engine(&self, found: EngineKind) -> StoreError {
        StoreError::OtherEngine {
            path: self.path.clone(),
            found,
            configured: self.kind,
        }
    }
}

/// Which engine keeps the data of the store in `path`; `None` where there is no store.
pub(super) fn engine_of(path: &Path) -> Result<Option<EngineKind>, StoreError> {
    let text = match fs::read_to_string(path.join(CARD)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    };
    let Some((line, _)) = text.split_once('\n') else {
        return Ok(None);
    };
    let wrong = |reason: String| StoreError::corrupt(CARD, &[], reason);
    line.parse().map(Some).map_err(wrong)
}

/// Makes `path`, in which an engine's data are complete and on disk, a whole store.
pub(super) fn seal(path: &Path, kind: EngineKind) -> io::Result<()> {
    let mut card = File::create_new(path.join(CARD))?;
    card.write_all(format!("{kind}\n{READY}\n").as_bytes())?;
    card.sync_all()?;
    sync_dir(path)
}

fn open_card(path: &Path) -> io::Result<File> {
    fs::create_dir_all(path)?;
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path.join(CARD))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::from_io(format!("open store {}", path.display()), error)
}
