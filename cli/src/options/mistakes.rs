//! What is wrong in a file that does not parse: the line, the key, what stands there, and a form
//! that is right.

use quorate_node::settings::Role;
use toml::{Table, Value};

use super::load::table_of;
use super::{ChainOptions, RunOptions, redact};

/// Longer texts are not repeated.
const MAX_SHOWN: usize = 40;

/// Words of the parser, and what they mean for a person.
const WORDS: [(&str, &str); 9] = [
    ("expected a sequence", "expected a list"),
    ("expected a map", "expected a table"),
    ("expected u64", "expected a whole number"),
    ("expected u32", "expected a whole number"),
    ("expected usize", "expected a whole number"),
    ("expected a string", "expected a text"),
    ("expected path string", "expected a text"),
    ("sequence, ", "a list, "),
    ("map, ", "a table, "),
];

/// A line `key = value`.
struct Entry<'a> {
    key: &'a str,
    value: &'a str,
    in_chain: bool,
}

/// The error in full, without what may be a secret.
pub(super) fn explain(text: &str, error: &toml::de::Error) -> String {
    let Some(span) = error.span() else {
        return redact(&reason(error.message(), None));
    };
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let entry = Entry::around(text, number);
    let reason = reason(error.message(), entry.as_ref());
    let told = match (unknown_or_missing(error.message()), &entry) {
        (Some(("missing", name)), _) => with_form(reason, name, true),
        (Some(_), _) | (None, None) => reason,
        (None, Some(entry)) => {
            let told = format!("{}: {reason}", entry.key);
            with_form(told, entry.key, entry.in_chain)
        }
    };
    redact(&format!("line {number}: {told}"))
}

impl<'a> Entry<'a> {
    /// That of a line, which may be a later one of a list.
    fn around(text: &'a str, number: usize) -> Option<Self> {
        let lines: Vec<&str> = text.lines().take(number).collect();
        let is_key = |key: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            !key.is_empty() && key.chars().all(fits)
        };
        let (key, value) = lines.iter().rev().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            is_key(key.trim()).then_some((key.trim(), value.trim()))
        })?;
        let in_chain = lines.iter().any(|line| line.trim().starts_with("[[chains"));
        Some(Self {
            key,
            value,
            in_chain,
        })
    }

    /// Whether what stands here may be repeated: URLs have secrets in them.
    fn is_public(&self) -> bool {
        !matches!(self.key, "rpc" | "home_rpc" | "url")
            && !self.value.contains(['/', '@'])
            && self.value.len() <= MAX_SHOWN
    }

    /// A word where a text should stand.
    fn bare_word(&self) -> Option<&'a str> {
        let word = self.value.split('#').next().unwrap_or_default().trim();
        let begins = word.starts_with(|c: char| c.is_alphabetic() || c == '/' || c == '~');
        (begins && !word.contains('"')).then_some(word)
    }
}

fn reason(message: &str, entry: Option<&Entry<'_>>) -> String {
    let is_public = entry.is_some_and(Entry::is_public);
    let is_syntax = !message.starts_with("invalid type") && !message.starts_with("unknown");
    if let Some(word) = entry.and_then(Entry::bare_word).filter(|_| is_syntax) {
        let shown = if is_public { word } else { "the text" };
        if !matches!(word, "true" | "false") {
            return format!("{shown} stands without quotation marks");
        }
    }
    let mut told = match is_public {
        true => message.to_owned(),
        false => without_texts(message),
    };
    for (word, meaning) in WORDS {
        told = told.replace(word, meaning);
    }
    told
}

/// Errors that name a field themselves.
fn unknown_or_missing(message: &str) -> Option<(&str, &str)> {
    let mut parts = message.split('`');
    let kind = parts.next()?.strip_suffix(" field ")?;
    Some((kind, parts.next()?))
}

/// Adds how the setting is written.
fn with_form(told: String, key: &str, in_chain: bool) -> String {
    let form = form(key, in_chain).or_else(|| form(key, !in_chain));
    match form {
        Some(value) => format!("{told}; write it as in {key} = {value}"),
        None if key == "chains" => format!("{told}; each chain is a table [[chains]]"),
        None => told,
    }
}

fn form(key: &str, in_chain: bool) -> Option<Value> {
    let find = |table: Result<Table, String>| table.ok()?.remove(key);
    if in_chain {
        return find(table_of(&ChainOptions::example()));
    }
    let usual = |role| table_of(&RunOptions::defaults(role));
    find(table_of(&RunOptions::examples()))
        .or_else(|| find(usual(Role::Operator)))
        .or_else(|| find(usual(Role::Registry)))
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

#[cfg(test)]
mod tests;
