use serde_json::json;

use super::*;

/// The first test vector in the definition of the format: n = 2^18, r = 1, p = 8.
const VECTOR_SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt",
"kdfparams":{"dklen":32,"n":262144,"r":1,"p":8,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
const VECTOR_SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const PATH: &str = "key.json";

fn open(text: &str, password: &str) -> Result<Secret, KeyError> {
    let password = Password::new(password).expect("a password");
    let text = super::super::text_of(text.as_bytes().to_vec()).expect("text");
    Container::parse(&text, Path::new(PATH))?.open(&password, Path::new(PATH))
}

fn sealed(secret: &Secret) -> Value {
    let password = Password::new("p").expect("a password");
    let (kind, light) = (KeyKind::Signing, Strength::Light);
    let container = Container::seal(kind, secret, &password, light, Path::new(PATH));
    serde_json::to_value(container.expect("sealed")).expect("JSON")
}

#[test]
fn a_cost_with_r_1_opens() {
    let secret = open(VECTOR_SCRYPT, "testpassword").expect("opened");
    assert_eq!(hex::encode(secret.bytes()), VECTOR_SECRET);
}

#[test]
fn every_shape_of_a_keystore_opens() {
    type Change = fn(&mut Value);
    let table: [(&str, Change); 17] = [
        ("as it is", |_| {}),
        ("without an address", |v| {
            drop(v.as_object_mut().map(|o| o.remove("address")))
        }),
        ("an address of null", |v| v["address"] = Value::Null),
        ("an empty address", |v| v["address"] = json!("")),
        ("an address with 0x", |v| {
            v["address"] = json!(format!("0x{}", text(&v["address"])))
        }),
        ("an address in upper case", |v| {
            v["address"] = json!(text(&v["address"]).to_uppercase())
        }),
        ("an address of another network", |v| {
            v["address"] = json!("xdc00")
        }),
        ("no id", |v| drop(v.as_object_mut().map(|o| o.remove("id")))),
        ("an id of null", |v| v["id"] = Value::Null),
        ("an id that is a number", |v| v["id"] = json!(7)),
        ("no version", |v| {
            drop(v.as_object_mut().map(|o| o.remove("version")))
        }),
        ("a version in text", |v| v["version"] = json!("3")),
        ("Crypto", |v| {
            let crypto = v["crypto"].take();
            v["Crypto"] = crypto;
            drop(v.as_object_mut().map(|o| o.remove("crypto")));
        }),
        ("numbers in text", |v| {
            for name in ["n", "r", "p", "dklen"] {
                let field = &mut v["crypto"]["kdfparams"][name];
                *field = json!(field.to_string());
            }
        }),
        ("floating numbers", |v| {
            v["crypto"]["kdfparams"]["n"] = json!(4096.0)
        }),
        ("hexadecimal with 0x and in upper case", |v| {
            let mac = text(&v["crypto"]["mac"]).to_uppercase();
            v["crypto"]["mac"] = json!(format!("0x{mac}"));
            let iv = text(&v["crypto"]["cipherparams"]["iv"]).to_uppercase();
            v["crypto"]["cipherparams"]["iv"] = json!(iv);
        }),
        ("names of algorithms in capitals", |v| {
            v["crypto"]["kdf"] = json!("Scrypt");
            v["crypto"]["cipher"] = json!("AES-128-CTR");
        }),
    ];
    let secret = Secret::new([7; 32]);
    let sealed = sealed(&secret);
    for (shape, change) in table {
        let mut value = sealed.clone();
        change(&mut value);
        for text in [value.to_string(), format!("\u{feff}{value}\r\n")] {
            let opened = open(&text, "p").unwrap_or_else(|error| panic!("{shape}: {error}"));
            assert_eq!(opened.bytes(), secret.bytes(), "{shape}");
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_secret_without_its_leading_zeros_opens() {
    let mut bytes = [7; 32];
    bytes[..2].fill(0);
    let mut value = sealed(&Secret::new(bytes));
    let crypto: Crypto = serde_json::from_value(value["crypto"].clone()).expect("crypto");
    let password = Password::new("p").expect("a password");
    let key = crypto
        .kdf
        .derive(&password, Path::new(PATH))
        .expect("a key");
    let mut short = bytes[2..].to_vec();
    let iv = crypto
        .cipherparams
        .iv
        .0
        .as_slice()
        .try_into()
        .expect("16 bytes");
    apply_cipher(&key, &iv, &mut short);
    value["crypto"]["mac"] = json!(hex::encode(mac(&key, &short)));
    value["crypto"]["ciphertext"] = json!(hex::encode(short));
    assert_eq!(
        open(&value.to_string(), "p").expect("opened").bytes(),
        &bytes
    );
}

#[test]
fn another_format_is_named_and_never_called_damaged() {
    let phrase = "test test test test test test test test test test test junk";
    let pem = "-----BEGIN EC PRIVATE KEY-----\ntopsecret";
    let other = r#"{"ours":"topsecret","other":1}"#;
    let table = [
        (edited("/version", json!(1)), "a keystore of version 1"),
        (edited("/version", json!("1")), "a keystore of version 1"),
        (edited("/version", json!(4)), "a keystore of version 4"),
        (
            edited("/crypto/kdf", json!("argon2id")),
            "key derivation argon2id",
        ),
        (
            edited("/crypto/cipher", json!("aes-256-gcm")),
            "the cipher aes-256-gcm",
        ),
        (
            edited("/crypto/kdfparams/n", json!(1_u64 << 40)),
            "out of bounds",
        ),
        (
            edited("/crypto/kdfparams/p", json!(1 << 20)),
            "out of bounds",
        ),
        (r#"{"crypto":{"kdf":{},"checksum":{}}}"#.into(), "EIP-2335"),
        (
            r#"{"encseed":"topsecret","ethaddr":"aa"}"#.into(),
            "presale",
        ),
        (r#"{"mnemonic":"topsecret"}"#.into(), "a seed phrase"),
        (r#"{"privateKey":"topsecret"}"#.into(), "in plain JSON"),
        (
            r#"{"encoded":"topsecret","encoding":{}}"#.into(),
            "polkadot.js",
        ),
        (r#"{"data":"topsecret","iv":"","salt":""}"#.into(), "vault"),
        (
            other.into(),
            "JSON of another tool (with the fields other, ours)",
        ),
        ("[1,2,3]".into(), "an array of numbers"),
        ("{}".into(), "JSON of another tool"),
        (phrase.into(), "a seed phrase"),
        (pem.into(), "a key in PEM"),
        (VECTOR_SECRET.into(), "a number of 64 hexadecimal digits"),
        (String::new(), "empty"),
    ];
    for (text, expected) in table {
        let error = open(&text, "p").expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.contains(PATH), "{error}");
        for word in ["damaged", "restore", "topsecret", "junk"] {
            assert!(!error.contains(word), "{error}");
        }
    }
}

/// A keystore with another value at a place.
fn edited(place: &str, with: Value) -> String {
    let mut value = sealed(&Secret::new([7; 32]));
    *value.pointer_mut(place).expect("a place") = with;
    value.to_string()
}

#[test]
fn what_is_no_secret_is_named() {
    let table = [
        (
            "test test test test test test test test test test test junk",
            "a seed phrase",
        ),
        ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "an address"),
        (
            "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
            "a public key",
        ),
        ("abcdef", "a number of 6 hexadecimal digits"),
        (
            "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
            "a key in base58",
        ),
        (
            "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPP",
            "an extended key",
        ),
        (
            "CAESQPhLJ8yC0iBqs1hPbDs/vZyYkXtVQ3aXf0nOUvGJcw==",
            "a key in base64",
        ),
        ("-----BEGIN PRIVATE KEY-----", "a key in PEM"),
        ("[1,2,3]", "an array of numbers"),
        ("{\"PrivateKey\": \"topsecret\"}", "a secret in plain JSON"),
        ("", "empty"),
        ("hunter2", "no key that is known here"),
    ];
    for (text, expected) in table {
        let error = Secret::parse(KeyKind::Signing, text).expect_err(text);
        let error = error.to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(text.is_empty() || !error.contains(text), "{error}");
        assert!(!error.contains("topsecret"), "{error}");
    }
}
