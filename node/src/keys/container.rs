//! The encrypted file: Web3 Secret Storage, version 3.
//!
//! Written with scrypt and AES-128-CTR, read also with PBKDF2. A file is another party's input:
//! every length and cost in it is checked before it is used, so that none of them can make this
//! program panic or take the memory of the machine.

use std::path::Path;

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy::primitives::keccak256;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::foreign::{self, Foreign};
use super::scrypt::{self, Cost};
use super::{KeyError, KeyKind, Password, Secret};

const VERSION: u32 = 3;
const CIPHER: &str = "aes-128-ctr";

/// The standard cost of scrypt takes 256 MiB, and no wallet asks for more than this.
const MAX_SCRYPT_BYTES: u64 = 1 << 30;
/// Bytes that are filled in all, p times the memory: about 20 s.
const MAX_SCRYPT_FILLED: u64 = 16 << 30;
/// About 10 s; wallets write 262,144.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;
const MAX_SALT_BYTES: usize = 256;

/// What it costs to try a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strength {
    /// scrypt n = 2^18, p = 1, as geth writes by default: 256 MiB and about a second.
    #[default]
    Standard,
    /// scrypt n = 2^12, p = 6, geth's light setting: 4 MiB and some 50 ms. For local networks
    /// and tests, where the keys are worth nothing.
    Light,
}

impl Strength {
    const fn scrypt(self) -> (u64, u32) {
        match self {
            Self::Standard => (1 << 18, 1),
            Self::Light => (1 << 12, 6),
        }
    }
}

/// A key file as it stands on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Container {
    /// Address of a secp256k1 key, without 0x as geth writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    crypto: Crypto,
    #[serde(default)]
    id: String,
    /// What the format has no place for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quorate: Option<Label>,
    #[serde(default = "version", deserialize_with = "number")]
    version: u32,
}

const fn version() -> u32 {
    VERSION
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Label {
    kind: KeyKind,
    public: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: Hex,
    #[serde(flatten)]
    kdf: Kdf,
    mac: Hex,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CipherParams {
    iv: Hex,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt {
        #[serde(deserialize_with = "number")]
        dklen: u32,
        #[serde(deserialize_with = "number")]
        n: u64,
        #[serde(deserialize_with = "number")]
        p: u32,
        #[serde(deserialize_with = "number")]
        r: u32,
        salt: Hex,
    },
    Pbkdf2 {
        #[serde(deserialize_with = "number")]
        c: u32,
        #[serde(deserialize_with = "number")]
        dklen: u32,
        prf: String,
        salt: Hex,
    },
}

/// A number, or a text of one.
fn number<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let of_text = |text: &str| text.trim().parse().ok();
    // "262144.0", as tools write it whose numbers are all floating.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let of_float =
        |float: f64| (float.fract() == 0.0 && (0.0..1e15).contains(&float)).then_some(float as u64);
    let number = value.as_u64().or_else(|| value.as_f64().and_then(of_float));
    let number = number.or_else(|| value.as_str().and_then(of_text));
    let fits = number.and_then(|number| T::try_from(number).ok());
    fits.ok_or_else(|| serde::de::Error::custom(format!("{value} is no number of its field")))
}

/// Bytes as hexadecimal text without 0x.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(super::secret::digits(&text)).map(Self)
    }
}

impl From<Hex> for String {
    fn from(bytes: Hex) -> Self {
        hex::encode(bytes.0)
    }
}

impl Container {
    /// Encrypts `secret`. `path` is where it will be kept, for error texts.
    pub(super) fn seal(
        kind: KeyKind,
        secret: &Secret,
        password: &Password,
        strength: Strength,
        path: &Path,
    ) -> Result<Self, KeyError> {
        let public = kind.public_of(secret)?;
        let (n, p) = strength.scrypt();
        let kdf = Kdf::Scrypt {
            dklen: 32,
            n,
            p,
            r: 8,
            salt: Hex(random::<32>(path)?.to_vec()),
        };
        let key = kdf.derive(password, path)?;
        let iv = random::<16>(path)?;
        let mut text = Zeroizing::new(*secret.bytes());
        apply_cipher(&key, &iv, text.as_mut_slice());
        let crypto = Crypto {
            cipher: CIPHER.to_owned(),
            cipherparams: CipherParams {
                iv: Hex(iv.to_vec()),
            },
            mac: Hex(mac(&key, text.as_slice()).to_vec()),
            ciphertext: Hex(text.to_vec()),
            kdf,
        };
        let signing = kind == KeyKind::Signing;
        Ok(Self {
            address: signing.then(|| bare(&public)),
            crypto,
            id: uuid(random::<16>(path)?),
            quorate: (!signing).then_some(Label { kind, public }),
            version: VERSION,
        })
    }

    /// Names of fields and algorithms may be in any case, as geth reads them.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, KeyError> {
        let damaged = |error: &serde_json::Error| KeyError::damaged(path, error.to_string());
        let value = match serde_json::from_str(text) {
            Ok(value) => foreign::lower(value),
            Err(_) if !text.trim_start().starts_with(['{', '[']) => {
                return Err(KeyError::foreign(path, Foreign::of_text(text)));
            }
            Err(error) => return Err(damaged(&error)),
        };
        if let Some(foreign) = Foreign::of_json(&value) {
            return Err(KeyError::foreign(path, foreign));
        }
        serde_json::from_value(value).map_err(|error| damaged(&error))
    }

    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    pub(super) fn kind(&self) -> KeyKind {
        self.quorate.as_ref().map_or(KeyKind::Signing, |l| l.kind)
    }

    /// The public part as the file claims it; `None` where it does not, as foundry's files, or not
    /// as an Ethereum address.
    pub(super) fn public(&self) -> Option<String> {
        if let Some(label) = &self.quorate {
            return Some(label.public.clone());
        }
        let address = self.address.as_ref()?.parse::<quorate_proto::Address>();
        address.ok().map(|address| address.to_string())
    }

    /// Decrypts, and checks that the secret is that of the public part in the file.
    pub(super) fn open(&self, password: &Password, path: &Path) -> Result<Secret, KeyError> {
        let crypto = &self.crypto;
        let iv: [u8; 16] = sized("iv", &crypto.cipherparams.iv, path)?;
        let expected: [u8; 32] = sized("mac", &crypto.mac, path)?;
        // Leading zeros of a secret are left out by some.
        let length = crypto.ciphertext.0.len();
        let Some(zeros) = 32_usize.checked_sub(length).filter(|_| length > 0) else {
            let text = format!("ciphertext has {length} bytes instead of 32");
            return Err(KeyError::damaged(path, text));
        };
        let mut secret = Zeroizing::new([0_u8; 32]);
        let text = &mut secret[zeros..];
        text.copy_from_slice(&crypto.ciphertext.0);
        let key = crypto.kdf.derive(password, path)?;
        if mac(&key, text) != expected {
            return Err(KeyError::WrongPassword {
                path: path.to_owned(),
            });
        }
        apply_cipher(&key, &iv, text);
        let secret = Secret::new(*secret);
        let found = self
            .kind()
            .public_of(&secret)
            .map_err(|error| KeyError::damaged(path, error.to_string()))?;
        match self.public() {
            Some(claimed) if !claimed.eq_ignore_ascii_case(&found) => Err(KeyError::damaged(
                path,
                format!("it says that it holds {claimed}, but it holds {found}"),
            )),
            _ => Ok(secret),
        }
    }
}

impl Kdf {
    /// The first 32 bytes of the derived key; more of them would not change these.
    fn derive(&self, password: &Password, path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let (Self::Scrypt { dklen, salt, .. } | Self::Pbkdf2 { dklen, salt, .. }) = self;
        if *dklen < 32 || salt.0.len() > MAX_SALT_BYTES {
            let reason = "dklen must be 32 or more, and the salt at most 256 bytes";
            return Err(KeyError::damaged(path, reason));
        }
        let (password, salt) = (password.as_bytes(), &salt.0);
        match *self {
            Self::Scrypt { n, p, r, .. } => {
                let cost = checked(Cost { n, r, p }, path)?;
                Ok(scrypt::derive(password, salt, cost))
            }
            Self::Pbkdf2 { c, .. } if (1..=MAX_PBKDF2_ROUNDS).contains(&c) => {
                let mut key = Zeroizing::new([0_u8; 32]);
                pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, c, key.as_mut_slice());
                Ok(key)
            }
            Self::Pbkdf2 { c, .. } => {
                let reason = format!("PBKDF2 of {c} rounds is not between 1 and 10,000,000");
                Err(KeyError::damaged(path, reason))
            }
        }
    }
}

/// The cost, if scrypt is defined for it and this machine is not brought down by it.
fn checked(cost: Cost, path: &Path) -> Result<Cost, KeyError> {
    let Cost { n, r, p } = cost;
    if !cost.is_defined() {
        let reason = format!("scrypt is not defined for n = {n}, r = {r}, p = {p}");
        return Err(KeyError::damaged(path, reason));
    }
    let memory = cost.memory().filter(|bytes| *bytes <= MAX_SCRYPT_BYTES);
    let filled = memory.and_then(|bytes| bytes.checked_mul(u64::from(p)));
    if filled.is_none_or(|bytes| bytes > MAX_SCRYPT_FILLED) {
        return Err(KeyError::Unsupported {
            path: path.to_owned(),
            what: format!(
                "a keystore whose scrypt cost n = {n}, r = {r}, p = {p} is out of bounds (1 GiB of memory, 16 GiB filled)"
            ),
            cure: "write it again with a lower cost",
        });
    }
    Ok(cost)
}

/// keccak256(second half of the derived key ‖ ciphertext).
fn mac(key: &[u8; 32], ciphertext: &[u8]) -> [u8; 32] {
    let mut preimage = Zeroizing::new(key[16..].to_vec());
    preimage.extend_from_slice(ciphertext);
    keccak256(preimage.as_slice()).0
}

fn apply_cipher(key: &[u8; 32], iv: &[u8; 16], data: &mut [u8]) {
    let mut half = Zeroizing::new([0_u8; 16]);
    half.copy_from_slice(&key[..16]);
    ctr::Ctr128BE::<aes::Aes128>::new((&*half).into(), iv.into()).apply_keystream(data);
}

fn sized<const N: usize>(what: &str, bytes: &Hex, path: &Path) -> Result<[u8; N], KeyError> {
    bytes.0.as_slice().try_into().map_err(|_| {
        let found = bytes.0.len();
        KeyError::damaged(path, format!("{what} has {found} bytes instead of {N}"))
    })
}

fn random<const N: usize>(path: &Path) -> Result<[u8; N], KeyError> {
    let mut bytes = [0_u8; N];
    match OsRng.try_fill_bytes(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(KeyError::Io {
            action: "draw random numbers for",
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

fn bare(address: &str) -> String {
    address.trim_start_matches("0x").to_ascii_lowercase()
}

/// Version 4, variant 1.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    parts.join("-")
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;
