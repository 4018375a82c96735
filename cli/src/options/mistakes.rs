//! What is wrong in a file that does not parse: the line, the key, what stands there, and a form
//! that is right.

use super::declared::{find, form, is_table};
use super::redact;

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
struct Line<'a> {
    key: &'a str,
    value: &'a str,
    /// The table that it stands in.
    section: &'a str,
}

/// The error in full, without what may be a secret.
pub(super) fn explain(text: &str, error: &toml::de::Error) -> String {
    let Some(span) = error.span() else {
        return redact(&reason(error.message(), None));
    };
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line = Line::around(text, number);
    let reason = reason(error.message(), line.as_ref());
    let told = match (unknown_or_missing(error.message()), &line) {
        (Some(("missing", name)), _) => with_form(reason, name, "chains"),
        (Some(_), _) | (None, None) => reason,
        (None, Some(line)) => {
            let told = format!("{}: {reason}", line.key);
            with_form(told, line.key, line.section)
        }
    };
    redact(&format!("line {number}: {told}"))
}

impl<'a> Line<'a> {
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
        let table = |line: &&&str| line.trim().starts_with('[');
        let section = lines.iter().rev().filter(table);
        let section = section
            .map(|line| line.trim().trim_matches(['[', ']']))
            .find(|name| is_table(name));
        Some(Self {
            key,
            value,
            section: section.unwrap_or_default(),
        })
    }

    /// Whether what stands here may be repeated: URLs have secrets in them.
    fn is_public(&self) -> bool {
        self.key != "url"
            && !find(self.section, self.key).is_some_and(|setting| setting.secret)
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

fn reason(message: &str, line: Option<&Line<'_>>) -> String {
    let is_public = line.is_some_and(Line::is_public);
    let is_syntax = !message.starts_with("invalid type") && !message.starts_with("unknown");
    if let Some(word) = line.and_then(Line::bare_word).filter(|_| is_syntax) {
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
fn with_form(told: String, key: &str, section: &str) -> String {
    let value = find(section, key).and_then(form);
    match value.and_then(|value| toml::Value::try_from(value).ok()) {
        Some(value) => format!("{told}; write it as in {key} = {value}"),
        None if key == "chains" => format!("{told}; each chain is a table [[chains]]"),
        None => told,
    }
}

/// The message without the text that stands where something else should: it may be a URL whose
/// secret could be anywhere in it.
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
