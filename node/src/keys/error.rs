//! Why a key cannot be had.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::KeyKind;
use super::foreign::Foreign;

/// Why a key cannot be made, kept or read. No text of it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    // What was asked for: ask for something else.
    /// A key of that name is there already.
    #[error(
        "key file {} exists already; choose another --name, or overwrite it with --force \
         (the old key is then lost)", path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// No such key.
    #[error("there is no {kind} key {}; make one with `node keys new`, or name another", path.display())]
    NotFound {
        /// Where it should be.
        path: PathBuf,
        /// What was looked for.
        kind: KeyKind,
    },
    /// A name that would not make a file name of its own.
    #[error("{0:?} is no name for a key; use letters, digits, '-' and '_', at most 64 of them")]
    Name(String),
    /// Something to import that is no secret key.
    #[error("this is no {kind} secret: {problem}")]
    Secret {
        /// What it should be.
        kind: KeyKind,
        /// What is wrong with it, and what is accepted.
        problem: Cow<'static, str>,
    },
    /// Nothing protects a file under an empty password.
    #[error("the password is empty; choose one")]
    EmptyPassword,

    // The file: name another one, or restore it.
    /// The file holds a key for something else.
    #[error(
        "key file {} holds a {found} key, but a {wanted} key is needed; name the right file",
        path.display()
    )]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: KeyKind,
        /// What is needed.
        wanted: KeyKind,
    },
    /// The password does not open the file. A file with damaged secrets looks the same.
    #[error("wrong password for key file {} (or the file was altered)", path.display())]
    WrongPassword {
        /// The file.
        path: PathBuf,
    },
    /// Not a key file, or no longer one.
    #[error("key file {} is damaged: {reason}; restore it from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A key file of a format that this program does not open.
    #[error("key file {} is {what}, which is not supported; {cure}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to do.
        cure: &'static str,
    },

    // The system.
    /// The operating system refused.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl KeyError {
    pub(super) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }

    pub(super) fn foreign(path: &Path, Foreign { what, cure }: Foreign) -> Self {
        Self::Unsupported {
            path: path.to_owned(),
            what,
            cure,
        }
    }

    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
