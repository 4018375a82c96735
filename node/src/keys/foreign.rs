//! Formats of keys that this program does not open, by name: such a file is not damaged, and its
//! owner is told what to do with it. Nothing of what it holds is repeated, but names of fields and
//! of algorithms.

use serde_json::{Map, Value};

/// A format of keys that is not opened here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// What it is, with its article.
    pub(super) what: String,
    /// What to do.
    pub(super) cure: &'static str,
}

const AS_HEX: &str =
    "export the secret key itself, as 64 hexadecimal digits or as a keystore of version 3";
const FROM_PHRASE: &str =
    "derive the key of one account in its wallet, and export that as 64 hexadecimal digits";
const AGAIN: &str =
    "write it again with geth, foundry or web3.py, which use scrypt and aes-128-ctr";
const WITH_IMPORT: &str = "keep its 64 hexadecimal digits with `node keys import`";
const OF_SVM: &str = "keep it with `node keys import --kind ed25519`";
const NO_SECRET: &str = "give the secret key, which has 64 hexadecimal digits";

/// Texts by how they begin.
const BEGINNINGS: [(&str, &str); 9] = [
    ("-----BEGIN", "a key in PEM"),
    ("ssh-", "an SSH key"),
    ("PuTTY-User-Key-File", "a key of PuTTY"),
    ("AGE-SECRET-KEY-", "a key of age"),
    ("xprv", "an extended key of BIP-32"),
    ("xpub", "an extended key of BIP-32"),
    ("ed25519:", "a key in base58, as NEAR wallets write it"),
    ("suiprivkey", "a key of a Sui wallet"),
    ("edsk", "a key of a Tezos wallet"),
];

/// JSON by fields that it has all of, in lower case.
const FIELDS: [(&[&str], &str, &str); 11] = [
    (&["encseed"], "a presale wallet of Ethereum", AS_HEX),
    (&["mnemonic"], "a seed phrase", FROM_PHRASE),
    (&["phrase"], "a seed phrase", FROM_PHRASE),
    (&["encoded", "encoding"], "a wallet of polkadot.js", AS_HEX),
    (&["vault"], "a wallet's vault", AS_HEX),
    (&["data", "iv", "salt"], "a wallet's vault", AS_HEX),
    (&["privatekey"], "a secret in plain JSON", WITH_IMPORT),
    (&["private_key"], "a secret in plain JSON", WITH_IMPORT),
    (&["priv_key"], "a secret in plain JSON", WITH_IMPORT),
    (&["privkey"], "a secret in plain JSON", WITH_IMPORT),
    (&["secretkey"], "a secret in plain JSON", WITH_IMPORT),
];

impl Foreign {
    fn new(what: impl Into<String>, cure: &'static str) -> Self {
        Self {
            what: what.into(),
            cure,
        }
    }

    /// Of a text where a secret should stand.
    pub(super) fn of_secret(text: &str) -> Self {
        match serde_json::from_str(text).map(lower) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => Self::of_json(&value)
                .unwrap_or_else(|| Self::new("a keystore", "name its file where a key is named")),
            _ => Self::of_text(text),
        }
    }

    /// Of a text that is no JSON.
    pub(super) fn of_text(text: &str) -> Self {
        let text = text.trim();
        let begins = BEGINNINGS.iter().find(|(begin, _)| text.starts_with(begin));
        if let Some((_, what)) = begins {
            return Self::new(*what, AS_HEX);
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let all = |fits: fn(char) -> bool| !text.is_empty() && text.chars().all(fits);
        let digits = text.trim_start_matches("0x").trim_start_matches("0X");
        match words.as_slice() {
            [] => Self::new("empty", AS_HEX),
            words
                if words.len() > 5 && words.iter().all(|w| w.chars().all(char::is_alphabetic)) =>
            {
                Self::new("a seed phrase", FROM_PHRASE)
            }
            [_] if digits.len() == 40 && is_hex(digits) => Self::new("an address", NO_SECRET),
            [_] if matches!(digits.len(), 66 | 130) && is_hex(digits) => {
                Self::new("a public key", NO_SECRET)
            }
            [_] if is_hex(digits) => {
                let what = format!("a number of {} hexadecimal digits", digits.len());
                Self::new(what, NO_SECRET)
            }
            [_] if text.len() > 40 && all(is_base58) => Self::new("a key in base58", AS_HEX),
            [_] if text.len() > 40 && all(is_base64) => Self::new("a key in base64", AS_HEX),
            _ => Self::new("no key that is known here", AS_HEX),
        }
    }

    /// Of JSON whose names are in lower case; `None` of a keystore that may be opened.
    pub(super) fn of_json(value: &Value) -> Option<Self> {
        let Value::Object(fields) = value else {
            return Some(match value.is_array() {
                true => Self::new("an array of numbers, as SVM wallets write it", OF_SVM),
                false => Self::new("a value of JSON, but no keystore", AS_HEX),
            });
        };
        let Some(Value::Object(crypto)) = fields.get("crypto") else {
            let has = |wanted: &&[&str]| wanted.iter().all(|name| fields.contains_key(*name));
            let known = FIELDS.iter().find(|(wanted, ..)| has(wanted));
            return Some(known.map_or_else(
                || Self::new(format!("JSON of another tool ({})", names(fields)), AS_HEX),
                |(_, what, cure)| Self::new(*what, cure),
            ));
        };
        if crypto.contains_key("checksum") || fields.contains_key("pubkey") {
            let cure = "it holds the BLS key of a validator, which is of no use here";
            return Some(Self::new("a keystore of EIP-2335", cure));
        }
        let version = fields.get("version").map(plain).unwrap_or_default();
        if !matches!(version.as_str(), "" | "null" | "3" | "3.0") {
            let cure = "open it with the wallet that wrote it, and export it as version 3";
            return Some(Self::new(format!("a keystore of version {version}"), cure));
        }
        Self::of_algorithms(crypto)
    }

    fn of_algorithms(crypto: &Map<String, Value>) -> Option<Self> {
        let prf = crypto.get("kdfparams").and_then(|params| params.get("prf"));
        let table = [
            ("the cipher", crypto.get("cipher"), &["aes-128-ctr"][..]),
            (
                "the key derivation",
                crypto.get("kdf"),
                &["scrypt", "pbkdf2"],
            ),
            ("PBKDF2 with", prf, &["hmac-sha256"]),
        ];
        table.into_iter().find_map(|(role, found, known)| {
            let found = plain(found?);
            let what = format!("a keystore with {role} {found}");
            (!known.contains(&found.as_str())).then(|| Self::new(what, AGAIN))
        })
    }
}

/// A short text of a value that is no secret: a version, the name of an algorithm.
fn plain(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    let shown = text.chars().filter(|letter| !letter.is_control());
    shown.take(24).collect()
}

/// The first names of fields, as far as they look like names.
fn names(fields: &Map<String, Value>) -> String {
    let fits = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-');
    let named = fields
        .keys()
        .filter(|name| name.len() <= 24 && name.chars().all(fits));
    let named: Vec<&str> = named.take(6).map(String::as_str).collect();
    match named.is_empty() {
        true => "without fields".to_owned(),
        false => format!("with the fields {}", named.join(", ")),
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_hexdigit())
}

const fn is_base58(letter: char) -> bool {
    letter.is_ascii_alphanumeric() && !matches!(letter, '0' | 'O' | 'I' | 'l')
}

const fn is_base64(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=' | '-' | '_')
}

/// JSON with all names, and the names of algorithms, in lower case; without an address or an id that
/// says nothing.
pub(super) fn lower(value: Value) -> Value {
    const NAMES: [&str; 3] = ["kdf", "cipher", "prf"];
    let Value::Object(fields) = value else {
        return value;
    };
    let fields = fields.into_iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let value = match value {
            Value::String(text) if NAMES.contains(&name.as_str()) => {
                text.trim().to_ascii_lowercase().into()
            }
            other => lower(other),
        };
        (name, value)
    });
    let says = |name: &str, value: &Value| match name {
        "id" | "address" => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        "version" => !value.is_null(),
        _ => true,
    };
    let kept = fields.filter(|(name, value)| says(name, value));
    Value::Object(kept.collect())
}
