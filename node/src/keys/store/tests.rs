use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// The secret and the password of the test vectors in the definition of the format.
const VECTOR_SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const VECTOR_ADDRESS: &str = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";
const VECTOR_PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
"kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
/// The same secret in the form that geth writes, made with other tools.
const GETH: &str = r#"{"address":"008aeeda4d805471df9b2a5b0f38a0c3bcba786b","crypto":{"cipher":"aes-128-ctr",
"ciphertext":"afe85c3df0b509e866393a7d991cee6f7a871201a3838305fea6c51f7395d892","cipherparams":{"iv":"000102030405060708090a0b0c0d0e0f"},
"kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"p":1,"r":8,"salt":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
"mac":"6da7a4fe178d4b2a9cbb21a0188190e21a64b0c3eb8ce685624eced36a45e089"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

const LIGHT: Saving = Saving {
    strength: Strength::Light,
    overwrite: false,
};

fn password(text: &str) -> Password {
    Password::new(text).expect("a password")
}

fn store() -> (TempDir, KeyStore) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = KeyStore::open(dir.path().join("keys"));
    (dir, store)
}

/// Changes one key file as a text editor would.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(path).expect("a file");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut value);
    fs::write(path, value.to_string()).expect("written");
}

#[test]
fn every_kind_comes_back_as_it_was() {
    let (_dir, store) = store();
    for kind in KeyKind::ALL {
        let secret = Secret::new([7; 32]);
        let info = store
            .import(kind, "a", &secret, &password("p"), LIGHT)
            .expect("kept");
        assert_eq!(info.warning, None);
        let loaded = store.load(kind, "a", &password("p")).expect("opened");
        assert_eq!(loaded.bytes(), secret.bytes());
        let by_path = store.load(kind, &info.path.to_string_lossy(), &password("p"));
        assert_eq!(by_path.expect("opened").bytes(), secret.bytes());
    }
}

#[test]
fn files_of_other_wallets_open() {
    let (dir, store) = store();
    for text in [VECTOR_PBKDF2, GETH] {
        let path = dir.path().join("key.json");
        fs::write(&path, text).expect("written");
        let key = store.load_signing(&path.to_string_lossy(), &password("testpassword"));
        assert_eq!(key.expect("opened").address().to_string(), VECTOR_ADDRESS);
    }
}

#[test]
fn a_foundry_keystore_without_ending_is_found_by_its_name() {
    let (dir, _) = store();
    fs::write(dir.path().join("vector"), VECTOR_PBKDF2).expect("written");
    let store = KeyStore::open(dir.path());
    assert!(
        store
            .load_signing("vector", &password("testpassword"))
            .is_ok()
    );
    assert_eq!(store.list().expect("listed").keys[0].name, "vector");
}

#[test]
fn files_have_the_form_that_other_wallets_read() {
    let (_dir, store) = store();
    let secret = Secret::parse(KeyKind::Signing, VECTOR_SECRET).expect("a secret");
    let info = store
        .import(KeyKind::Signing, "a", &secret, &password("p"), LIGHT)
        .expect("kept");
    let value: Value =
        serde_json::from_str(&fs::read_to_string(&info.path).expect("a file")).expect("JSON");
    assert_eq!(value["version"], 3);
    assert_eq!(value["address"], "008aeeda4d805471df9b2a5b0f38a0c3bcba786b");
    assert_eq!(value["id"].as_str().expect("text").len(), 36);
    assert_eq!(value["crypto"]["kdf"], "scrypt");
    assert_eq!(value["crypto"]["kdfparams"]["n"], 4096);
    assert!(value.get("quorate").is_none());
}

#[test]
fn standard_strength_is_that_of_geth() {
    let (_dir, store) = store();
    let info = store
        .create(KeyKind::Signing, "a", &password("p"), Saving::default())
        .expect("kept");
    let text = fs::read_to_string(&info.path).expect("a file");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["crypto"]["kdfparams"]["n"], 262_144);
    assert!(store.load_signing("a", &password("p")).is_ok());
}

#[test]
fn nothing_is_overwritten_unless_asked_for() {
    let (_dir, store) = store();
    let first = store
        .create(KeyKind::Peer, "a", &password("p"), LIGHT)
        .expect("kept");
    let again = store.create(KeyKind::Peer, "a", &password("p"), LIGHT);
    assert_eq!(
        again,
        Err(KeyError::Exists {
            path: first.path.clone()
        })
    );
    let forced = Saving {
        overwrite: true,
        ..LIGHT
    };
    let second = store
        .create(KeyKind::Peer, "a", &password("p"), forced)
        .expect("kept");
    assert_ne!(first.public, second.public);
    let files = fs::read_dir(store.dir()).expect("a folder").count();
    assert_eq!(files, 1, "temporary files are left");
}

#[test]
fn a_wrong_password_says_so() {
    let (_dir, store) = store();
    let info = store
        .create(KeyKind::Signing, "a", &password("p"), LIGHT)
        .expect("kept");
    let found = store
        .load_signing("a", &password("q"))
        .map(|key| key.address());
    assert_eq!(found, Err(KeyError::WrongPassword { path: info.path }));
    assert_eq!(Password::new("").err(), Some(KeyError::EmptyPassword));
}

#[test]
fn a_key_of_another_kind_says_what_it_is() {
    let (_dir, store) = store();
    let info = store
        .create(KeyKind::Peer, "a", &password("p"), LIGHT)
        .expect("kept");
    let path = info.path.to_string_lossy().into_owned();
    let error = store
        .load_signing(&path, &password("p"))
        .map(|key| key.address());
    let error = error.expect_err("refused").to_string();
    assert!(
        error.ends_with("holds a peer key, but a signing key is needed; name the right file"),
        "{error}"
    );
    let missing = store
        .load(KeyKind::Ed25519, "a", &password("p"))
        .map(|_| ());
    let path = store.dir().join("a.ed25519.json");
    assert_eq!(
        missing,
        Err(KeyError::NotFound {
            path,
            kind: KeyKind::Ed25519
        })
    );
}

#[test]
fn every_damage_is_an_error_that_names_the_file() {
    let table = [
        ("/crypto/cipherparams/iv", json!("00"), "iv has 1 bytes"),
        ("/crypto/mac", json!(""), "mac has 0 bytes"),
        ("/crypto/ciphertext", json!("abc"), "Odd number of digits"),
        ("/crypto/ciphertext", json!("zz"), "Invalid character"),
        ("/crypto/kdfparams/dklen", json!(16), "dklen must be 32"),
        (
            "/crypto/kdfparams/n",
            json!(1000),
            "not defined for n = 1000",
        ),
        (
            "/crypto/kdfparams/n",
            json!("many"),
            "no number of its field",
        ),
        ("/crypto/kdfparams/p", json!(-1), "no number of its field"),
        ("/crypto/kdfparams/r", json!(0), "not defined"),
        ("/crypto/ciphertext", json!(""), "ciphertext has 0 bytes"),
        ("/crypto", json!({}), "missing field"),
    ];
    let (_dir, store) = store();
    for (index, (place, value, expected)) in table.into_iter().enumerate() {
        let name = format!("k{index}");
        let info = store
            .create(KeyKind::Signing, &name, &password("p"), LIGHT)
            .expect("kept");
        edit(&info.path, |file| {
            *file.pointer_mut(place).expect(place) = value;
        });
        let opened = store.load_signing(&name, &password("p"));
        let error = opened.map(|key| key.address()).expect_err(place);
        let text = error.to_string();
        assert!(text.contains(expected), "{place}: {text}");
        assert!(text.contains("is damaged: "), "{place}: {text}");
        assert!(text.contains(&format!("{name}.signing.json")), "{text}");
    }
}

#[test]
fn a_relabelled_file_is_found_out() {
    let (_dir, store) = store();
    let info = store
        .create(KeyKind::Ed25519, "a", &password("p"), LIGHT)
        .expect("kept");
    edit(&info.path, |v| v["quorate"]["kind"] = json!("peer"));
    let moved = store.dir().join("b.peer.json");
    fs::rename(&info.path, moved).expect("moved");
    let error = store
        .load(KeyKind::Peer, "b", &password("p"))
        .expect_err("refused");
    assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
}

#[test]
fn names_stay_inside_the_folder() {
    let (_dir, store) = store();
    for name in ["", "../a", "a/b", "a.b", "ä", &"a".repeat(65)] {
        let found = store.create(KeyKind::Peer, name, &password("p"), LIGHT);
        assert_eq!(found, Err(KeyError::Name(name.to_owned())));
    }
}

#[test]
fn a_folder_lists_keys_without_passwords() {
    let (_dir, store) = store();
    assert!(store.list().expect("listed").keys.is_empty());
    for (kind, name) in [
        (KeyKind::Peer, "b"),
        (KeyKind::Signing, "b"),
        (KeyKind::Ed25519, "a"),
    ] {
        store
            .create(kind, name, &password("p"), LIGHT)
            .expect("kept");
    }
    fs::write(store.dir().join("broken.json"), "{").expect("written");
    fs::write(store.dir().join("password.txt"), "p").expect("written");
    let listing = store.list().expect("listed");
    let names: Vec<_> = listing
        .keys
        .iter()
        .map(|k| (k.name.as_str(), k.kind))
        .collect();
    let expected = [
        ("a", KeyKind::Ed25519),
        ("b", KeyKind::Signing),
        ("b", KeyKind::Peer),
    ];
    assert_eq!(names, expected);
    assert!(listing.keys.iter().all(|key| key.public.is_some()));
    assert_eq!(listing.unreadable.len(), 1);
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, store) = store();
    let info = store
        .create(KeyKind::Peer, "a", &password("p"), LIGHT)
        .expect("kept");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&info.path), mode(store.dir())), (0o600, 0o700));
    fs::set_permissions(&info.path, fs::Permissions::from_mode(0o644)).expect("changed");
    let warning = store.list().expect("listed").keys[0]
        .warning
        .clone()
        .expect("a warning");
    assert!(
        warning.contains("mode 644") && warning.contains("chmod 600"),
        "{warning}"
    );
}

#[test]
fn secrets_are_read_in_their_usual_forms() {
    let bare = Secret::parse(KeyKind::Signing, VECTOR_SECRET).expect("a secret");
    let prefixed = Secret::parse(KeyKind::Signing, &format!(" 0x{VECTOR_SECRET}\n"));
    assert_eq!(prefixed.expect("a secret").bytes(), bare.bytes());
    let mut array = vec![9_u8; 32];
    array.extend([1; 32]);
    let text = serde_json::to_string(&array).expect("JSON");
    let seed = Secret::parse(KeyKind::Ed25519, &text).expect("a secret");
    assert_eq!(seed.bytes(), &[9; 32]);
    for (kind, text) in [
        (KeyKind::Signing, text.as_str()),
        (KeyKind::Signing, "0xhunter2"),
        (KeyKind::Peer, "[1,2,3]"),
        (KeyKind::Peer, "[hunter2]"),
    ] {
        let error = Secret::parse(kind, text).expect_err("refused").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    for text in [
        VECTOR_SECRET.to_uppercase(),
        format!("0X{VECTOR_SECRET}"),
        format!("\u{feff}0x{VECTOR_SECRET}\r\n"),
    ] {
        let secret = Secret::parse(KeyKind::Signing, &text).expect("a secret");
        assert_eq!(secret.bytes(), bare.bytes(), "{text}");
    }
}

#[test]
fn zero_is_no_signing_key() {
    let (_dir, store) = store();
    let zero = Secret::new([0; 32]);
    let found = store.import(KeyKind::Signing, "a", &zero, &password("p"), LIGHT);
    assert!(matches!(found, Err(KeyError::Secret { .. })), "{found:?}");
}

#[test]
fn nothing_secret_is_printed() {
    let secret = Secret::parse(KeyKind::Peer, VECTOR_SECRET).expect("a secret");
    assert_eq!(
        format!("{secret:?} {:?}", password("hunter2")),
        "Secret(***) Password(***)"
    );
}
