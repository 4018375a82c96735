//! Values that are more than text on their way to a setting.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use alloy::transports::http::reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize};

/// A URL as it was written, secrets included. Only [`SecretUrl::reveal`] gives them away.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct SecretUrl(String);

/// Stands for a text that is no URL: nobody knows where in it the secret is.
const HIDDEN: &str = "***";

impl SecretUrl {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The URL as far as it may be shown: scheme, host and port.
    pub(crate) fn redacted(&self) -> Self {
        let shown = Url::parse(&self.0).ok().and_then(|url| {
            let port = url.port().map(|port| format!(":{port}"));
            let port = port.unwrap_or_default();
            Some(format!("{}://{}{port}", url.scheme(), url.host_str()?))
        });
        Self(shown.unwrap_or_else(|| HIDDEN.to_owned()))
    }
}

impl FromStr for SecretUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted().0)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or_else(|never| match never {}))
    }
}

/// A number, or a word that stands for a rule. Files may write the number without quotes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum NumberOrWord {
    Number(u64),
    Word(String),
}

impl FromStr for NumberOrWord {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim();
        Ok(text
            .parse()
            .map_or_else(|_| Self::Word(text.to_owned()), Self::Number))
    }
}

impl fmt::Display for NumberOrWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// `text` with every URL in it cut to scheme, host and port: keys stand in user, path and query.
pub(crate) fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (scheme, tail) = rest.split_at(at + 3);
        shown.push_str(scheme);
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '\'' | '"' | ')');
        let (url, after) = tail.split_at(tail.find(ends).unwrap_or(tail.len()));
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        shown.push_str(authority.rsplit('@').next().unwrap_or_default());
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_scheme_host_and_port_only() {
        for (text, shown) in [
            ("https://h.org/v3/key?x=1", "https://h.org"),
            ("http://u:pw@[::1]:8545/", "http://[::1]:8545"),
            (
                "id=1,rpc=https://h/key,rpc=wss://i?k",
                "id=1,rpc=https://h,rpc=wss://i",
            ),
            (
                "cannot ask https://h/key: \"http://j/k\"",
                "cannot ask https://h \"http://j\"",
            ),
            ("no url at all", "no url at all"),
        ] {
            assert_eq!(redact(text), shown);
        }
        let url: SecretUrl = "https://h.org/key".parse().expect("a URL");
        assert_eq!(format!("{url:?}"), "https://h.org");
        assert_eq!(url.reveal(), "https://h.org/key");
    }

    #[test]
    fn odd_urls_are_not_shown_any_further() {
        for (text, shown) in [
            ("https:h.org/key", "https://h.org"),
            ("https:\\\\h.org\\key", "https://h.org"),
            ("http://u:key@h.org:8545?key", "http://h.org:8545"),
            ("wss://h.org/key", "wss://h.org"),
            ("h.org/key", "***"),
            ("https://h.org:99999/key", "***"),
            ("data:key", "***"),
            ("key", "***"),
            ("", "***"),
        ] {
            let url: SecretUrl = text.parse().expect("a text");
            assert_eq!(url.redacted().reveal(), shown, "{text}");
        }
    }

    #[test]
    fn numbers_and_words_keep_their_kind() {
        for text in ["12", "finalized"] {
            let value: NumberOrWord = text.parse().expect("a value");
            assert_eq!(value.to_string(), text);
        }
        assert_eq!("12".parse(), Ok(NumberOrWord::Number(12)));
    }
}
