//! From flags, environment and file to one set of options.

use std::fmt;
use std::path::Path;

use quorate_node::BridgeSection;
use quorate_node::keys::read_text;
use quorate_node::settings::Role;
use quorate_node::settings::declare::Setting;
use serde_json::{Map, Value};

use super::declared::{defaults, settings, value_in};
use super::deployed::with_deployed;
use super::{RunArgs, RunOptions, expand_home, mistakes, redact};
use crate::environment::variable;

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
        let has_urls = settings()
            .filter(|setting| setting.secret)
            .any(|setting| setting.name() == key || setting.variable() == key);
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
        let given = overlay(&file, &self.options.without_blanks()?)?;
        let given = with_deployed(given, &variable)?;
        match given.role {
            Some(role) => given.over_defaults(role),
            None => Err(ConfigError::Problems(vec![Problem::new(
                "role",
                "not set; use --role operator or --role registry (QUORATE_ROLE, or role in the file)",
            )])),
        }
    }
}

impl RunOptions {
    /// These options, and for what they do not set what is usual for a role.
    pub(super) fn over_defaults(&self, role: Role) -> Result<Self, ConfigError> {
        self.changed(|fields| {
            let given = std::mem::replace(fields, defaults(role, fields));
            merge(fields, given);
        })
    }

    /// Lists without what stands before, between and behind commas when there is nothing. A list of
    /// nothing else is as one that is not set.
    fn without_blanks(&self) -> Result<Self, ConfigError> {
        self.changed(|fields| fields.retain(|_, value| tidy(value)))
    }

    /// With other fields, which are valid as well.
    fn changed(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<Self, ConfigError> {
        let changed = fields_of(self).and_then(|mut fields| {
            change(&mut fields);
            serde_json::from_value(fields.into())
        });
        changed.map_err(|reason| ConfigError::Problems(vec![Problem::new("configuration", reason)]))
    }

    /// The settings that have another value in `other`.
    pub(crate) fn differences(&self, other: &Self) -> Vec<&'static Setting> {
        let fields = |options| fields_of(options).unwrap_or_default();
        let (before, after) = (fields(self), fields(other));
        let differs = |setting: &&Setting| value_in(&before, setting) != value_in(&after, setting);
        settings().filter(differs).collect()
    }

    /// Whether a node that runs with these may go on with others.
    ///
    /// # Errors
    /// Names what needs a restart.
    pub(crate) fn may_become(&self, other: &Self) -> Result<(), ConfigError> {
        let fixed = self.differences(other).into_iter();
        let fixed = fixed.filter(|setting| !setting.reload);
        let told = |setting: &Setting| {
            let text = "needs a restart to change: put it back, or restart the node";
            Problem::new(setting.name(), text)
        };
        let problems: Vec<Problem> = fixed.map(told).collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ConfigError::Problems(problems)),
        }
    }

    /// All of it as far as it may be shown.
    pub(crate) fn redacted(mut self) -> Self {
        self.bridge.iter_mut().for_each(BridgeSection::hide_secrets);
        let home = self.home_rpc.iter_mut().flatten();
        let chains = self.chains.iter_mut().flatten();
        home.chain(chains.flat_map(|chain| &mut chain.rpc))
            .for_each(|provider| *provider = provider.redacted());
        self
    }
}

/// Whether anything is left of a value.
fn tidy(value: &mut Value) -> bool {
    let keep = |item: &mut Value| match item {
        Value::String(text) => {
            *text = text.trim().to_owned();
            !text.is_empty()
        }
        other => tidy(other),
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.retain_mut(keep);
            !items.is_empty()
        }
        Value::Object(fields) => {
            for value in fields.values_mut() {
                tidy(value);
            }
            true
        }
        _ => true,
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
    options.without_blanks()
}

pub(super) fn parse_file(text: &str) -> Result<RunOptions, String> {
    toml::from_str(text).map_err(|error| mistakes::explain(text, &error))
}

/// `over` where it has a value, else `under`. Lists and chains are replaced, not joined; sections are joined.
pub(super) fn overlay(under: &RunOptions, over: &RunOptions) -> Result<RunOptions, ConfigError> {
    let over = fields_of(over).unwrap_or_default();
    under.changed(|fields| merge(fields, over))
}

fn merge(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

/// What is set. Not as a table of TOML, whose numbers end at 63 bits: files may have larger ones.
pub(super) fn fields_of(options: &RunOptions) -> serde_json::Result<Map<String, Value>> {
    let mut fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(options)?)?;
    let sections = fields.values_mut().filter_map(Value::as_object_mut);
    sections.for_each(|section| section.retain(|_, value| !value.is_null()));
    fields.retain(|_, value| !value.is_null());
    Ok(fields)
}
