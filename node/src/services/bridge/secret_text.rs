//! Settings that are shown to no user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::settings::declare::{ParseError, SettingValue, parse};

/// A key, or a URL that holds one. Only [`SecretText::reveal`] gives it away, and a file that is written from settings:
/// hide it there before.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretText(String);

impl SecretText {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What stands for it where settings are shown.
    #[must_use]
    pub fn hidden() -> Self {
        Self("***".to_owned())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for SecretText {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.trim() {
            "" => Err("it is empty".into()),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for SecretText {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<SecretText> for String {
    fn from(secret: SecretText) -> Self {
        secret.0
    }
}

impl SettingValue for SecretText {
    const SECRET: bool = true;

    fn parse_text(text: &str) -> Result<serde_json::Value, ParseError> {
        parse::<Self>(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_nothing_is_none() {
        for text in ["\"\"", "\" \""] {
            assert!(serde_json::from_str::<SecretText>(text).is_err(), "{text}");
        }
        let key: SecretText = serde_json::from_str("\" topsecret \"").unwrap();
        assert_eq!(key.reveal(), "topsecret");
        assert_eq!(format!("{key:?}"), "***");
    }
}
