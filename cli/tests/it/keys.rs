//! What `node keys import` says of files that it does not keep.

use crate::support::Sandbox;

const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

/// A keystore of another password, without a label.
fn keystore(sandbox: &Sandbox) -> String {
    let secret = sandbox.write("secret", SECRET);
    let old = sandbox.write("old", "\u{feff}other\r\n");
    let line = [
        "keys",
        "import",
        &secret,
        "--kind",
        "signing",
        "--light",
        "--key-dir",
        "elsewhere",
    ];
    let output = sandbox.run(&[&line[..], &["--password-file", &old]].concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    sandbox
        .path("elsewhere/default.signing.json")
        .to_string_lossy()
        .into_owned()
}

#[test]
fn a_wrong_password_of_the_file_points_to_the_flag_for_it() {
    let sandbox = Sandbox::new();
    let file = keystore(&sandbox);
    let line = ["keys", "import", &file, "--kind", "signing", "--light"];
    sandbox
        .run(&line)
        .fails(4, &["wrong password", "--old-password-file"]);
    let old = sandbox.write("old", "other");
    let output = sandbox.run(&[&line[..], &["--old-password-file", &old]].concat());
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn an_ethereum_keystore_becomes_no_other_kind_of_key() {
    let sandbox = Sandbox::new();
    let (file, old) = (keystore(&sandbox), sandbox.write("old", "other"));
    for kind in ["peer", "ed25519"] {
        let line = [
            "keys",
            "import",
            &file,
            "--kind",
            kind,
            "--old-password-file",
            &old,
        ];
        let needed = format!("holds a signing key, but a {kind} key is needed");
        sandbox.run(&line).fails(4, &[&needed]);
    }
}

#[test]
fn marks_and_encodings_are_seen() {
    let sandbox = Sandbox::new();
    let marked = sandbox.write("marked", format!("\u{feff}0x{}\r\n", SECRET.to_uppercase()));
    let output = sandbox.run(&["keys", "import", &marked, "--kind", "signing", "--light"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let utf16: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = sandbox.write("utf16", utf16);
    for line in [
        ["keys", "import", &utf16, "--kind", "signing", "--name", "b"],
        [
            "keys",
            "new",
            "--kind",
            "signing",
            "--password-file",
            &utf16,
            "--force",
        ],
    ] {
        sandbox.run(&line).fails(4, &["UTF-16", "save it as UTF-8"]);
    }
    let phrase = sandbox.write(
        "phrase",
        "test test test test test test test test test test test junk",
    );
    let output = sandbox.run(&["keys", "import", &phrase, "--kind", "signing", "--force"]);
    output.fails(4, &["a seed phrase"]);
    assert!(!output.err.contains("junk"), "{output:?}");
}
