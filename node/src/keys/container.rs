//! The encrypted file: Web3 Secret Storage, version 3.
//!
//! Written with scrypt and AES-128-CTR, read also with PBKDF2. A file is somebody else's input:
//! every length and cost in it is checked before it is used, so that none of them can make this
//! program panic or take the memory of the machine.

use std::path::Path;

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy::primitives::keccak256;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyError, KeyKind, Password, Secret};

const VERSION: u32 = 3;
const CIPHER: &str = "aes-128-ctr";
const PRF: &str = "hmac-sha256";

/// scrypt needs 128 * n * r bytes; the standard cost takes 256 MiB, and nobody asks for more than this.
const MAX_SCRYPT_BYTES: u64 = 1 << 30;
/// Times the memory is filled; geth's light setting has 6.
const MAX_SCRYPT_P: u32 = 16;
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
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default)]
    id: String,
    /// What the format has no place for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quorate: Option<Label>,
    version: u32,
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
        dklen: u32,
        n: u64,
        p: u32,
        r: u32,
        salt: Hex,
    },
    Pbkdf2 {
        c: u32,
        dklen: u32,
        prf: String,
        salt: Hex,
    },
}

/// Bytes as hexadecimal text without 0x.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text.strip_prefix("0x").unwrap_or(&text)).map(Self)
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

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, KeyError> {
        let container: Self = serde_json::from_str(text)
            .map_err(|error| KeyError::damaged(path, error.to_string()))?;
        if container.version != VERSION {
            return Err(KeyError::Unsupported {
                path: path.to_owned(),
                what: format!("keystore version {}", container.version),
                cure: "convert it to version 3",
            });
        }
        Ok(container)
    }

    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    pub(super) fn kind(&self) -> KeyKind {
        self.quorate.as_ref().map_or(KeyKind::Signing, |l| l.kind)
    }

    /// The public part as the file claims it; `None` where it does not, as foundry's files.
    pub(super) fn public(&self) -> Option<String> {
        match (&self.quorate, &self.address) {
            (Some(label), _) => Some(label.public.clone()),
            (None, Some(address)) => Some(match address.parse::<quorate_proto::Address>() {
                Ok(address) => address.to_string(),
                Err(_) => address.clone(),
            }),
            (None, None) => None,
        }
    }

    /// Decrypts, and checks that the secret is that of the public part in the file.
    pub(super) fn open(&self, password: &Password, path: &Path) -> Result<Secret, KeyError> {
        let crypto = &self.crypto;
        if crypto.cipher != CIPHER {
            return Err(KeyError::Unsupported {
                path: path.to_owned(),
                what: format!("cipher {:?}", crypto.cipher),
                cure: "write it again with geth or foundry, which use aes-128-ctr",
            });
        }
        let iv: [u8; 16] = sized("iv", &crypto.cipherparams.iv, path)?;
        let expected: [u8; 32] = sized("mac", &crypto.mac, path)?;
        let mut text = Zeroizing::new(sized::<32>("ciphertext", &crypto.ciphertext, path)?);
        let key = crypto.kdf.derive(password, path)?;
        if mac(&key, text.as_slice()) != expected {
            return Err(KeyError::WrongPassword {
                path: path.to_owned(),
            });
        }
        apply_cipher(&key, &iv, text.as_mut_slice());
        let secret = Secret::new(*text);
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
    fn derive(&self, password: &Password, path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let mut key = Zeroizing::new([0_u8; 32]);
        let damaged = |reason: &str| Err(KeyError::damaged(path, reason));
        let (Self::Scrypt { dklen, salt, .. } | Self::Pbkdf2 { dklen, salt, .. }) = self;
        if *dklen != 32 || salt.0.len() > MAX_SALT_BYTES {
            return damaged("dklen must be 32, and the salt at most 256 bytes");
        }
        match self {
            Self::Scrypt { n, p, r, salt, .. } => {
                let memory = n
                    .checked_mul(u64::from(*r))
                    .and_then(|x| x.checked_mul(128));
                let bounded = memory.is_some_and(|bytes| bytes <= MAX_SCRYPT_BYTES);
                if !n.is_power_of_two() || !bounded || *p > MAX_SCRYPT_P {
                    return damaged("the scrypt cost is out of bounds (1 GiB, p of 16)");
                }
                // A power of two below 2^30 has at most 30 trailing zeros.
                let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
                let Ok(params) = scrypt::Params::new(log_n, *r, *p, 32) else {
                    return damaged("the scrypt cost breaks RFC 7914: n must be below 2^(16 r)");
                };
                match scrypt::scrypt(password.as_bytes(), &salt.0, &params, key.as_mut_slice()) {
                    Ok(()) => Ok(key),
                    Err(_) => damaged("the scrypt cost breaks RFC 7914"),
                }
            }
            Self::Pbkdf2 { c, prf, salt, .. } => {
                if prf != PRF || *c == 0 || *c > MAX_PBKDF2_ROUNDS {
                    return damaged("PBKDF2 must use hmac-sha256 and 1 to 10,000,000 rounds");
                }
                let (password, salt) = (password.as_bytes(), &salt.0);
                pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, *c, key.as_mut_slice());
                Ok(key)
            }
        }
    }
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
