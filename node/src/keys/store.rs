//! A folder of key files.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use quorate_proto::SecretKey;

use super::container::Container;
use super::text::read_text;
use super::{KeyError, KeyKind, Password, Secret, Strength, marker};

/// Larger files are no key files; the ones of this program have about 700 bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;
const MAX_NAME: usize = 64;
const NO_SIGNING_KEY: KeyError = KeyError::Secret {
    kind: KeyKind::Signing,
    problem: Cow::Borrowed("it is zero or above the order of secp256k1"),
};

/// A folder of encrypted key files, named `<name>.<kind>.json`. Files are for their owner only,
/// appear whole or not at all, and are never overwritten unless that is asked for.
#[derive(Clone, Debug)]
pub struct KeyStore {
    dir: PathBuf,
}

/// How a key is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saving {
    /// What it costs to try a password.
    pub strength: Strength,
    /// Whether a key of the same name may be lost.
    pub overwrite: bool,
}

/// What is known of a key without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// By which commands call it.
    pub name: String,
    /// What it is for.
    pub kind: KeyKind,
    /// Address, public key or peer id, as the file says; it is checked when the file is opened.
    pub public: Option<String>,
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with the protection of the file.
    pub warning: Option<String>,
}

/// What is in a folder.
#[derive(Clone, Debug, Default)]
pub struct KeyListing {
    /// By name, then kind.
    pub keys: Vec<KeyInfo>,
    /// Files that look like key files and are none.
    pub unreadable: Vec<KeyError>,
}

impl KeyStore {
    /// The keys in `dir`, which is made when the first key is written.
    pub fn open(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a key from the system's random numbers.
    ///
    /// # Errors
    /// [`KeyError::Exists`], and what [`KeyStore::import`] may say.
    pub fn create(
        &self,
        kind: KeyKind,
        name: &str,
        password: &Password,
        saving: Saving,
    ) -> Result<KeyInfo, KeyError> {
        let path = self.file(kind, name)?;
        let secret = Secret::random().map_err(|reason| KeyError::Io {
            action: "draw random numbers for",
            path,
            reason,
        })?;
        let info = self.import(kind, name, &secret, password, saving)?;
        if kind == KeyKind::Signing {
            self.note_unused(name, &secret)?;
        }
        Ok(info)
    }

    /// Notes beside a signing key that it has never signed, so that a node may begin with it and an
    /// empty signing log. Only who knows that may say so: [`KeyStore::create`] does.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn note_unused(&self, name: &str, secret: &Secret) -> Result<(), KeyError> {
        let key = SecretKey::from_bytes(secret.bytes()).map_err(|_| NO_SIGNING_KEY)?;
        marker::leave(&self.file(KeyKind::Signing, name)?, key.address())
    }

    /// Keeps a secret that exists already.
    ///
    /// # Errors
    /// [`KeyError::Exists`], [`KeyError::Name`], [`KeyError::Secret`] and [`KeyError::Io`].
    pub fn import(
        &self,
        kind: KeyKind,
        name: &str,
        secret: &Secret,
        password: &Password,
        saving: Saving,
    ) -> Result<KeyInfo, KeyError> {
        let path = self.file(kind, name)?;
        if !saving.overwrite && path.exists() {
            return Err(KeyError::Exists { path });
        }
        let container = Container::seal(kind, secret, password, saving.strength, &path)?;
        let text = container
            .to_json()
            .map_err(|error| KeyError::damaged(&path, error.to_string()))?;
        // Before the key: between the two there is none that the note could be mistaken for.
        marker::forget(&path)?;
        self.write(&path, &text, saving.overwrite)?;
        Ok(KeyInfo {
            name: name.to_owned(),
            kind,
            public: container.public(),
            warning: exposure(&path),
            path,
        })
    }

    /// All keys of the folder; none where it does not exist.
    ///
    /// # Errors
    /// [`KeyError::Io`] where the folder cannot be read.
    pub fn list(&self) -> Result<KeyListing, KeyError> {
        let failed = |error: &io::Error| KeyError::io("read", &self.dir, error);
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(KeyListing::default());
            }
            Err(error) => return Err(failed(&error)),
        };
        let mut listing = KeyListing::default();
        for entry in entries {
            let path = entry.map_err(|error| failed(&error))?.path();
            let hidden = path
                .file_name()
                .is_none_or(|n| n.to_string_lossy().starts_with('.'));
            if hidden || !path.is_file() {
                continue;
            }
            match read(&path) {
                Ok(container) => listing.keys.push(describe(path, &container)),
                Err(error) if path.extension().is_some_and(|ending| ending == "json") => {
                    listing.unreadable.push(error);
                }
                Err(_) => {}
            }
        }
        listing
            .keys
            .sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
        listing.unreadable.sort_by_key(ToString::to_string);
        Ok(listing)
    }

    /// Opens a secp256k1 key; `which` is a name in this folder or a path.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load_signing(&self, which: &str, password: &Password) -> Result<SecretKey, KeyError> {
        let secret = self.load(KeyKind::Signing, which, password)?;
        SecretKey::from_bytes(secret.bytes()).map_err(|_| NO_SIGNING_KEY)
    }

    /// Opens a key of any kind; `which` is a name in this folder or a path. Warns in the log of a
    /// file that others can read.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(
        &self,
        kind: KeyKind,
        which: &str,
        password: &Password,
    ) -> Result<Secret, KeyError> {
        let path = self.locate(kind, which)?;
        let container = of_kind(kind, &path)?;
        if let Some(warning) = exposure(&path) {
            tracing::warn!("{warning}");
        }
        container.open(password, &path)
    }

    /// What a key's file says without its password; `which` is a name in this folder or a path.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn inspect(&self, kind: KeyKind, which: &str) -> Result<KeyInfo, KeyError> {
        let path = self.locate(kind, which)?;
        let container = read(&path)?;
        Ok(describe(path, &container))
    }

    /// The file of a key that is there; `which` is a name in this folder or a path.
    ///
    /// # Errors
    /// [`KeyError::NotFound`] and [`KeyError::Name`].
    pub fn locate(&self, kind: KeyKind, which: &str) -> Result<PathBuf, KeyError> {
        let given = Path::new(which);
        let found = if given.components().count() > 1 || which.ends_with(".json") {
            given.to_owned()
        } else {
            // Keystores of foundry carry no ending, those of geth end in the address.
            let plain = self.dir.join(which);
            match self.file(kind, which) {
                Ok(file) if file.is_file() || !plain.is_file() => file,
                Err(error) if !plain.is_file() => return Err(error),
                _ => plain,
            }
        };
        if found.is_file() {
            return Ok(found);
        }
        Err(KeyError::NotFound { path: found, kind })
    }

    fn file(&self, kind: KeyKind, name: &str) -> Result<PathBuf, KeyError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
            return Err(KeyError::Name(name.to_owned()));
        }
        Ok(self.dir.join(format!("{name}.{kind}.json")))
    }

    fn write(&self, path: &Path, text: &str, overwrite: bool) -> Result<(), KeyError> {
        let failed = |error: &io::Error| KeyError::io("write", path, error);
        make_private_dir(&self.dir).map_err(|e| KeyError::io("create", &self.dir, &e))?;
        // Made for its owner only.
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.dir)
            .map_err(|error| failed(&error))?;
        file.write_all(text.as_bytes())
            .map_err(|error| failed(&error))?;
        file.as_file().sync_all().map_err(|error| failed(&error))?;
        let kept = if overwrite {
            file.persist(path)
        } else {
            file.persist_noclobber(path)
        };
        match kept {
            Ok(_) => sync_dir(&self.dir).map_err(|error| failed(&error)),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeyError::Exists {
                    path: path.to_owned(),
                })
            }
            Err(refused) => Err(failed(&refused.error)),
        }
    }
}

impl Secret {
    /// Opens a key file of any origin, for importing it. A keystore without label holds a signing key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_file(kind: KeyKind, path: &Path, password: &Password) -> Result<Self, KeyError> {
        of_kind(kind, path)?.open(password, path)
    }
}

fn read(path: &Path) -> Result<Container, KeyError> {
    let failed = |error: &io::Error| KeyError::io("read", path, error);
    let size = fs::metadata(path).map_err(|error| failed(&error))?.len();
    if size > MAX_FILE_BYTES {
        return Err(KeyError::Unsupported {
            path: path.to_owned(),
            what: format!("a file of {size} bytes, more than any keystore has"),
            cure: "name the right file",
        });
    }
    let text = read_text(path).map_err(|error| failed(&error))?;
    Container::parse(&text, path)
}

fn of_kind(kind: KeyKind, path: &Path) -> Result<Container, KeyError> {
    let container = read(path)?;
    let found = container.kind();
    if found == kind {
        return Ok(container);
    }
    Err(KeyError::WrongKind {
        path: path.to_owned(),
        found,
        wanted: kind,
    })
}

fn describe(path: PathBuf, container: &Container) -> KeyInfo {
    let kind = container.kind();
    let file = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let ending = format!(".{kind}.json");
    let name = file
        .strip_suffix(&ending)
        .map(str::to_owned)
        .unwrap_or(file);
    KeyInfo {
        name,
        kind,
        public: container.public(),
        warning: exposure(&path),
        path,
    }
}

#[cfg(unix)]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

#[cfg(not(unix))]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

/// What to say of a file that others than its owner can read or change.
#[cfg(unix)]
fn exposure(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let file = path.display();
        format!("key file {file} is open to other users (mode {mode:o}); run: chmod 600 {file}")
    })
}

#[cfg(not(unix))]
fn exposure(_: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests;
