//! What must hold of any text in a key file.

use std::path::Path;

use super::super::Password;
use super::{Container, Kdf};

/// Memory for scrypt while fuzzing, in bytes, times p; a guess costs a millisecond.
const CHEAP_SCRYPT: u64 = 1 << 18;
const CHEAP_ROUNDS: u32 = 100;

pub(crate) fn check(bytes: &[u8]) {
    let (path, Ok(text)) = (Path::new("fuzzed.json"), std::str::from_utf8(bytes)) else {
        return;
    };
    let Ok(container) = Container::parse(text, path) else {
        return;
    };
    let written = container.to_json().expect("what was read can be written");
    let again = Container::parse(&written, path).expect("what was written can be read");
    assert_eq!(
        again.to_json().ok().as_deref(),
        Some(written.as_str()),
        "one plain form"
    );
    assert_eq!(
        (again.kind(), again.public()),
        (container.kind(), container.public())
    );
    if !is_cheap(&container.crypto.kdf) {
        return;
    }
    let password = Password::new("fuzz").expect("a password");
    let wrong = Password::new("other").expect("a password");
    if let Ok(secret) = container.open(&password, path) {
        assert!(container.open(&wrong, path).is_err(), "one password");
        let public = container.kind().public_of(&secret).expect("a key");
        let claimed = container.public().unwrap_or_else(|| public.clone());
        assert!(
            claimed.eq_ignore_ascii_case(&public),
            "it holds what it says"
        );
    }
}

const fn is_cheap(kdf: &Kdf) -> bool {
    match kdf {
        Kdf::Scrypt { n, p, r, .. } => {
            let bytes = n.saturating_mul(*r as u64).saturating_mul(128);
            bytes.saturating_mul(*p as u64) <= CHEAP_SCRYPT
        }
        Kdf::Pbkdf2 { c, .. } => *c <= CHEAP_ROUNDS,
    }
}
