//! One RPC provider: a URL, and who is behind it.

use std::fmt;
use std::str::FromStr;

use alloy::transports::http::reqwest::Url;
use quorate_chain::providers::ProviderConfig;
use quorate_node::settings::declare::{ParseError, SettingValue, parse};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{SecretUrl, rpc_url};

/// A provider as people write it: a URL, a table with labels beside it, or, in one text, labels
/// where a URL has its fragment: `https://h/key#by=acme&client=geth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderOptions {
    pub(crate) url: SecretUrl,
    /// Who runs it.
    pub(crate) by: Option<String>,
    /// Which program it is.
    pub(crate) client: Option<String>,
}

/// With labels.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Labelled {
    url: SecretUrl,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
}

impl ProviderOptions {
    /// As far as it may be shown.
    pub(crate) fn redacted(&self) -> Self {
        Self {
            url: self.url.redacted(),
            ..self.clone()
        }
    }

    /// What the chain adapter wants; the error tells no secret.
    pub(super) fn to_config(&self) -> Result<ProviderConfig, String> {
        Ok(ProviderConfig {
            url: rpc_url(&self.url)?,
            by: self.by.clone(),
            client: self.client.clone(),
        })
    }

    fn label(&mut self, name: &str, value: String) -> Result<(), String> {
        let place = match name {
            "by" => &mut self.by,
            "client" => &mut self.client,
            other => {
                return Err(format!(
                    "{other:?} is no label of an RPC URL; write #by=who&client=which after it"
                ));
            }
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(format!("an RPC URL has the label {name} twice")),
        }
    }
}

impl FromStr for ProviderOptions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (url, labels) = text.trim().split_once('#').unwrap_or((text.trim(), ""));
        let mut provider = Self {
            url: url.parse().unwrap_or_else(|never| match never {}),
            by: None,
            client: None,
        };
        // Labels are written like the query of a URL.
        let labels = Url::parse(&format!("labels:?{labels}")).map_err(|error| error.to_string())?;
        for (name, value) in labels.query_pairs() {
            provider.label(&name, value.into_owned())?;
        }
        Ok(provider)
    }
}

impl SettingValue for ProviderOptions {
    const SECRET: bool = true;

    fn parse_text(text: &str) -> Result<serde_json::Value, ParseError> {
        parse::<Self>(text)
    }
}

impl Serialize for ProviderOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.by.is_none() && self.client.is_none() {
            return self.url.serialize(serializer);
        }
        let labelled = Labelled {
            url: self.url.clone(),
            by: self.by.clone(),
            client: self.client.clone(),
        };
        labelled.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProviderOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTable)
    }
}

struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = ProviderOptions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a table with url, by and client")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ProviderOptions, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ProviderOptions, A::Error> {
        let Labelled { url, by, client } = Labelled::deserialize(MapAccessDeserializer::new(map))?;
        if url.reveal().contains('#') {
            return Err(A::Error::custom(
                "an RPC URL has labels both in its text and beside it; use one way",
            ));
        }
        Ok(ProviderOptions { url, by, client })
    }
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::*;

    fn read(toml: &str) -> Result<Vec<ProviderOptions>, String> {
        let table: Table = toml.parse().map_err(|error| format!("{error}"))?;
        let rpc = table
            .get("rpc")
            .cloned()
            .unwrap_or(Value::Array(Vec::new()));
        rpc.try_into()
            .map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn all_forms_say_the_same() {
        let plain = ProviderOptions {
            url: "https://a/k?x=1".parse().expect("a URL"),
            by: None,
            client: None,
        };
        let labelled = ProviderOptions {
            by: Some("Acme Inc".into()),
            client: Some("geth".into()),
            ..plain.clone()
        };
        let forms = [
            r#"rpc = ["https://a/k?x=1", { url = "https://a/k?x=1", by = "Acme Inc", client = "geth" }]"#,
            r#"rpc = ["https://a/k?x=1", "https://a/k?x=1#by=Acme Inc&client=geth"]"#,
            r#"rpc = ["https://a/k?x=1#", "https://a/k?x=1#client=geth&by=Acme%20Inc"]"#,
            "[[rpc]]\nurl = \"https://a/k?x=1\"\n[[rpc]]\nurl = \"https://a/k?x=1\"\nby = \"Acme Inc\"\nclient = \"geth\"",
        ];
        for form in forms {
            assert_eq!(
                read(form),
                Ok(vec![plain.clone(), labelled.clone()]),
                "{form}"
            );
        }
        let written = Value::try_from(vec![plain.clone(), labelled.clone()]).expect("a value");
        let back: Vec<ProviderOptions> = written.try_into().expect("providers");
        assert_eq!(back, [plain, labelled]);
    }

    #[test]
    fn mistakes_are_named_without_secrets() {
        for (form, expected) in [
            (
                r#"rpc = ["https://a/topsecret#bye=x"]"#,
                "\"bye\" is no label",
            ),
            (
                r#"rpc = ["https://a/topsecret#by=x&by=y"]"#,
                "the label by twice",
            ),
            (
                r#"rpc = [{ url = "https://a/topsecret", of = "x" }]"#,
                "unknown field `of`",
            ),
            (r#"rpc = [{ by = "x" }]"#, "missing field `url`"),
            (
                r#"rpc = [{ url = "https://a/topsecret#by=x" }]"#,
                "both in its text and beside it",
            ),
            ("rpc = [1]", "a URL, or a table"),
        ] {
            let error = read(form).expect_err(form);
            assert!(
                error.contains(expected) && !error.contains("topsecret"),
                "{form}: {error}"
            );
        }
    }

    #[test]
    fn labels_are_shown_and_keys_are_not() {
        let provider: ProviderOptions = "https://a/topsecret#by=acme".parse().expect("one");
        let shown = serde_json::to_string(&provider.redacted()).expect("JSON");
        assert_eq!(shown, r#"{"url":"https://a","by":"acme"}"#);
        assert!(!format!("{provider:?}").contains("topsecret"));
    }
}
