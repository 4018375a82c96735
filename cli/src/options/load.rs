//! From flags, environment and file to one set of options.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use toml::Table;

use super::{RunArgs, RunOptions, expand_home, redact};

/// A configuration that cannot be used.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    Unreadable { path: String, reason: String },
    /// The file is not what it should be.
    Syntax { path: String, reason: String },
    /// Settings that are missing or make no sense: all of them.
    Problems(Vec<Problem>),
}

/// What is wrong with one setting, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The key in the file.
    pub(crate) key: String,
    /// Cause and cure.
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, text: impl fmt::Display) -> Self {
        Self {
            key: key.into(),
            text: redact(&text.to_string()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, reason } => {
                write!(
                    f,
                    "cannot read the configuration {path}: {reason}; correct --config"
                )
            }
            Self::Syntax { path, reason } => {
                write!(f, "the configuration {path} is wrong: {reason}")
            }
            Self::Problems(problems) => {
                f.write_str("the configuration is not complete or not right:")?;
                for Problem { key, text } in problems {
                    write!(f, "\n  {key}: {text}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl RunArgs {
    /// All options after precedence: flag, environment, file, default.
    pub(crate) fn resolve(&self) -> Result<RunOptions, ConfigError> {
        let file = match &self.config {
            Some(path) => read_file(&expand_home(path))?,
            None => RunOptions::default(),
        };
        let given = overlay(&file, &self.options)?;
        match given.role {
            Some(role) => overlay(&RunOptions::defaults(role), &given),
            None => Err(ConfigError::Problems(vec![Problem::new(
                "role",
                "not set; use --role operator or --role registry (QUORATE_ROLE, or role in the file)",
            )])),
        }
    }
}

/// Reads a file; unknown keys are refused by name.
pub(crate) fn read_file(path: &Path) -> Result<RunOptions, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: shown.clone(),
        reason: error.to_string(),
    })?;
    parse_file(&text).map_err(|reason| ConfigError::Syntax {
        path: shown,
        reason,
    })
}

pub(super) fn parse_file(text: &str) -> Result<RunOptions, String> {
    toml::from_str(text).map_err(|error| {
        // The error's own text quotes the line, which may hold a secret.
        let line = error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or(text);
            before.matches('\n').count() + 1
        });
        match line {
            Some(line) => redact(&format!("line {line}: {}", error.message())),
            None => redact(error.message()),
        }
    })
}

/// `over` where it has a value, else `under`. Lists and chains are replaced, not joined.
fn overlay(under: &RunOptions, over: &RunOptions) -> Result<RunOptions, ConfigError> {
    let merged = table_of(under).and_then(|mut table| {
        table.extend(table_of(over)?);
        table
            .try_into()
            .map_err(|error: toml::de::Error| error.message().to_owned())
    });
    // Both are valid options, so that their union is one.
    merged.map_err(|reason| ConfigError::Problems(vec![Problem::new("configuration", reason)]))
}

/// Options as the file would hold them.
pub(crate) fn table_of(value: &impl Serialize) -> Result<Table, String> {
    Table::try_from(value).map_err(|error| error.to_string())
}
