//! From flags, environment and file to one set of options.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};
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

impl RunOptions {
    /// All of it as far as it may be shown.
    pub(crate) fn redacted(mut self) -> Self {
        let home = self.home_rpc.iter_mut().flatten();
        let chains = self.chains.iter_mut().flatten();
        home.chain(chains.flat_map(|chain| &mut chain.rpc))
            .for_each(|provider| *provider = provider.redacted());
        self
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
            Some(line) => redact(&format!("line {line}: {}", without_texts(error.message()))),
            None => redact(&without_texts(error.message())),
        }
    })
}

/// The message without the text that stands where something else should: it may be a URL, and nobody
/// knows where in it the secret is.
fn without_texts(message: &str) -> String {
    let (begin, end) = (message.find("string \""), message.rfind("\", expected"));
    match begin.zip(end) {
        Some((begin, end)) if begin < end => {
            let (before, after) = (&message[..begin], &message[end + 1..]);
            format!("{before}a text{after}")
        }
        _ => message.to_owned(),
    }
}

/// `over` where it has a value, else `under`. Lists and chains are replaced, not joined.
pub(super) fn overlay(under: &RunOptions, over: &RunOptions) -> Result<RunOptions, ConfigError> {
    let merged = fields_of(under).and_then(|mut fields| {
        fields.extend(fields_of(over)?);
        serde_json::from_value(fields.into())
    });
    // Both are valid options, so that their union is one.
    merged.map_err(|reason| ConfigError::Problems(vec![Problem::new("configuration", reason)]))
}

/// What is set. Not as a table of TOML, whose numbers end at 63 bits: files may have larger ones.
pub(super) fn fields_of(options: &RunOptions) -> serde_json::Result<Map<String, Value>> {
    let mut fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(options)?)?;
    fields.retain(|_, value| !value.is_null());
    Ok(fields)
}

/// Options as the file would hold them.
pub(crate) fn table_of(value: &impl Serialize) -> Result<Table, String> {
    Table::try_from(value).map_err(|error| error.to_string())
}
