//! What the declarations say, for help, file and conversion.

use quorate_node::settings::Role;
use quorate_node::settings::declare::{Declared as _, Section as _, Setting};
use serde_json::{Map, Value, json};

use super::{ChainOptions, RunOptions};

/// The settings of a node and of the sections of its services.
pub(super) fn settings() -> impl Iterator<Item = &'static Setting> {
    let sections = RunOptions::SECTIONS.iter().copied().flatten();
    RunOptions::SETTINGS.iter().chain(sections)
}

/// A setting by its key: in this table of the file if there is one, else in any.
pub(super) fn find(section: &str, key: &str) -> Option<&'static Setting> {
    let all = || {
        settings()
            .chain(ChainOptions::SETTINGS)
            .filter(|setting| setting.key == key)
    };
    all()
        .find(|setting| setting.section == section)
        .or_else(|| all().next())
}

/// Whether the file has a table of this name.
pub(super) fn is_table(name: &str) -> bool {
    let is_section = |section: &&[Setting]| section.iter().any(|setting| setting.section == name);
    name == ChainOptions::NAME || RunOptions::SECTIONS.iter().any(is_section)
}

/// A value that shows how a setting is written.
pub(super) fn form(setting: &Setting) -> Option<Value> {
    let example = Some((setting.example)()).filter(|value| !value.is_null());
    let mut usual = Role::ALL
        .into_iter()
        .filter_map(|role| setting.default_for(role));
    example.or_else(|| usual.next())
}

/// What holds where nothing is set, for any role.
pub(super) fn usual(setting: &Setting) -> Option<String> {
    if setting.required {
        return None;
    }
    let by_role = Role::ALL.into_iter().filter_map(|role| {
        let value = setting.default_for(role)?;
        Some((role, written(&value)))
    });
    let values: Vec<(Role, String)> = by_role.collect();
    let (role, first) = values.first()?;
    match values.iter().all(|(_, value)| value == first) {
        true => Some(first.clone()),
        false => Some(first.replace(role.name(), "<role>")),
    }
}

/// What a setting is for, without the last full stop.
pub(super) fn described(setting: &Setting) -> String {
    let only = match setting.roles {
        [Role::Operator] => ". Operators only",
        [Role::Registry] => ". Registries only",
        [Role::Relayer] => ". Relayers only",
        [Role::Operator, Role::Relayer] => ". Operators and relayers only",
        _ => "",
    };
    setting.help.trim().trim_end_matches('.').to_owned() + only
}

/// As [`described`], and whether it has to be set.
pub(super) fn help(setting: &Setting) -> String {
    let required = if setting.required { ". Required" } else { "" };
    described(setting) + required
}

/// As in a flag.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(written).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// What holds for a role beside `given`: sections that are not there have no defaults.
pub(super) fn defaults(role: Role, given: &Map<String, Value>) -> Map<String, Value> {
    let mut all = Map::new();
    let there =
        |setting: &&Setting| setting.section.is_empty() || given.contains_key(setting.section);
    for setting in settings().filter(there) {
        if let Some(value) = setting.default_for(role) {
            put(&mut all, setting, value);
        }
    }
    all
}

/// Puts a value where the file would hold it.
pub(super) fn put(fields: &mut Map<String, Value>, setting: &Setting, value: Value) {
    let table = match setting.section {
        "" => fields,
        section => {
            let table = fields.entry(section).or_insert_with(|| json!({}));
            let Some(table) = table.as_object_mut() else {
                return;
            };
            table
        }
    };
    table.insert(setting.key.to_owned(), value);
}

/// What a setting has among `fields`.
pub(super) fn value_in<'a>(fields: &'a Map<String, Value>, setting: &Setting) -> Option<&'a Value> {
    match setting.section {
        "" => fields.get(setting.key),
        section => fields.get(section)?.get(setting.key),
    }
}

pub(super) fn example_urls() -> Value {
    json!([
        "https://rpc-a.example.org/KEY",
        "https://rpc-b.example.org/KEY"
    ])
}

impl RunOptions {
    /// What holds where nothing is set.
    pub(crate) fn defaults(role: Role) -> Self {
        serde_json::from_value(defaults(role, &Map::new()).into()).unwrap_or_default()
    }
}
