//! From flags, environment and file to one set of options.

use std::fmt;
use std::path::Path;

use quorate_node::keys::read_text;
use serde::Serialize;
use serde_json::{Map, Value};
use toml::Table;

use super::{ProviderOptions, RunArgs, RunOptions, expand_home, mistakes, redact};

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

    /// Of a value that stands in quotation marks.
    pub(crate) fn quotes(key: impl Into<String>, value: &str) -> Self {
        let key = key.into();
        let has_urls = ["rpc", "chains"]
            .iter()
            .any(|end| key.to_lowercase().ends_with(end));
        // The secret of a URL is known only where the URL is.
        let shown = if has_urls && !value.contains("://") {
            "the value"
        } else {
            value
        };
        let text = format!(
            "{shown} holds quotation marks, which are taken for a part of the value; write it \
             without them (files of environment variables keep them)"
        );
        Self::new(key, text)
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

impl ConfigError {
    /// What is wrong with single settings.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        match self {
            Self::Problems(problems) => problems,
            Self::Unreadable { .. } | Self::Syntax { .. } => Vec::new(),
        }
    }
}

impl RunArgs {
    /// All options after precedence: flag, environment, file, default.
    pub(crate) fn resolve(&self) -> Result<RunOptions, ConfigError> {
        let file = match &self.config {
            Some(path) => read_file(path)?,
            None => RunOptions::default(),
        };
        let given = overlay(&file, &self.options.clone().without_blanks())?;
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
    /// Lists without what stands before, between and behind commas when there is nothing. A list of
    /// nothing else is as one that is not set.
    fn without_blanks(mut self) -> Self {
        let lists = [
            &mut self.http_hosts,
            &mut self.listen,
            &mut self.external,
            &mut self.bootstrap,
        ];
        for list in lists {
            tidy(list, |text| {
                *text = text.trim().to_owned();
                !text.is_empty()
            });
        }
        let is_url = |provider: &mut ProviderOptions| !provider.url.reveal().is_empty();
        tidy(&mut self.home_rpc, is_url);
        self.chains
            .iter_mut()
            .flatten()
            .for_each(|chain| chain.rpc.retain_mut(is_url));
        self
    }

    /// All of it as far as it may be shown.
    pub(crate) fn redacted(mut self) -> Self {
        let home = self.home_rpc.iter_mut().flatten();
        let chains = self.chains.iter_mut().flatten();
        home.chain(chains.flat_map(|chain| &mut chain.rpc))
            .for_each(|provider| *provider = provider.redacted());
        self
    }
}

fn tidy<T>(list: &mut Option<Vec<T>>, keep: impl FnMut(&mut T) -> bool) {
    if let Some(items) = list.as_mut().filter(|items| !items.is_empty()) {
        items.retain_mut(keep);
        if items.is_empty() {
            *list = None;
        }
    }
}

/// Reads a file; unknown keys are refused by name.
pub(crate) fn read_file(path: &Path) -> Result<RunOptions, ConfigError> {
    let path = &expand_home(path)?;
    let shown = path.display().to_string();
    let text = read_text(path).map_err(|error| ConfigError::Unreadable {
        path: shown.clone(),
        reason: error.to_string(),
    })?;
    let options = parse_file(&text).map_err(|reason| ConfigError::Syntax {
        path: shown,
        reason,
    })?;
    Ok(options.without_blanks())
}

pub(super) fn parse_file(text: &str) -> Result<RunOptions, String> {
    toml::from_str(text).map_err(|error| mistakes::explain(text, &error))
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
