//! Values that are more than text on their way to a setting.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use alloy::transports::http::reqwest::Url;
use quorate_node::settings::declare::{ParseError, SettingValue, parse};
use quorate_proto::Address;
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A URL as it was written, secrets included. Only [`SecretUrl::reveal`] gives them away.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct SecretUrl(String);

/// Stands for a text that is no URL: where in it the secret is cannot be known.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

impl SettingValue for NumberOrWord {
    fn parse_text(text: &str) -> Result<serde_json::Value, ParseError> {
        parse::<Self>(text)
    }
}

impl<'de> Deserialize<'de> for NumberOrWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsNumberOrWord)
    }
}

struct AsNumberOrWord;

impl Visitor<'_> for AsNumberOrWord {
    type Value = NumberOrWord;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or a word in quotation marks")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<NumberOrWord, E> {
        Ok(NumberOrWord::Number(number))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<NumberOrWord, E> {
        let below_zero = |_| E::invalid_type(Unexpected::Signed(number), &self);
        u64::try_from(number)
            .map(NumberOrWord::Number)
            .map_err(below_zero)
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<NumberOrWord, E> {
        Ok(NumberOrWord::Word(word.to_owned()))
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

/// Reads an address as people write it. Capital letters in mixed case are a checksum (EIP-55).
///
/// # Errors
/// What is wrong with it, and the cure.
pub(crate) fn address(text: &str) -> Result<Address, String> {
    let address: Address = text.trim().parse().map_err(|error| {
        format!("{text:?} cannot be read ({error}); an address has 40 hexadecimal digits after 0x")
    })?;
    let digits = text.trim().trim_start_matches("0x");
    let is_mixed = digits.contains(|c: char| c.is_ascii_lowercase())
        && digits.contains(|c: char| c.is_ascii_uppercase());
    if is_mixed && address.to_checksum(None)[2..] != *digits {
        return Err(format!(
            "{text:?} is mistyped: its capital letters are not the checksum (EIP-55) of its digits; \
             compare it with where it is from, or write it in lower case if its digits are right"
        ));
    }
    Ok(address)
}

/// Reads a time in Unix seconds.
///
/// # Errors
/// What is wrong with it, and the cure.
pub(crate) fn unix_seconds(text: &str) -> Result<u64, String> {
    let seconds = text.trim().parse().map_err(|_| {
        format!("{text:?} is no time; write it in Unix seconds, as `date +%s` prints them")
    })?;
    quorate_node::client::check_seconds(seconds)?;
    Ok(seconds)
}

/// Whether a value begins or ends with a quotation mark.
pub(crate) fn has_quotes(text: &str) -> bool {
    text.trim().starts_with(['"', '\'']) || text.trim().ends_with(['"', '\''])
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
    fn capital_letters_of_an_address_are_its_checksum() {
        let right = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let digits = &right[2..];
        for text in [
            right.to_owned(),
            right.to_lowercase(),
            format!("0x{}", digits.to_uppercase()),
            digits.to_owned(),
        ] {
            assert_eq!(address(&text).expect(&text).to_string(), right);
        }
        for (text, expected) in [
            ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267", "is mistyped"),
            ("0xF39fd6e51aad88F6F4ce6aB8827279cffFb92266", "is mistyped"),
            ("0x12", "40 hexadecimal digits"),
            ("", "40 hexadecimal digits"),
        ] {
            let error = address(text).expect_err(text);
            assert!(error.contains(expected) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn times_are_in_seconds() {
        assert_eq!(unix_seconds("1732972800"), Ok(1_732_972_800));
        for (text, expected) in [
            ("1732972800000", "milliseconds"),
            ("1732972800000000", "milliseconds"),
            ("2024-11-30", "Unix seconds"),
            ("-1", "Unix seconds"),
        ] {
            let error = unix_seconds(text).expect_err(text);
            assert!(error.contains(expected) && error.contains(text), "{error}");
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
