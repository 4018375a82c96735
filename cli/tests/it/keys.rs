//! What `node keys import` says of files that it does not keep.

use crate::support::Desk;

const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

/// A keystore of another password, without a label.
fn keystore(desk: &Desk) -> String {
    let secret = desk.write("secret", SECRET);
    let old = desk.write("old", "\u{feff}other\r\n");
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
    let said = desk.run(&[&line[..], &["--password-file", &old]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    desk.path("elsewhere/default.signing.json")
        .to_string_lossy()
        .into_owned()
}

#[test]
fn a_wrong_password_of_the_file_points_to_the_flag_for_it() {
    let desk = Desk::new();
    let file = keystore(&desk);
    let line = ["keys", "import", &file, "--kind", "signing", "--light"];
    desk.run(&line)
        .fails(4, &["wrong password", "--old-password-file"]);
    let old = desk.write("old", "other");
    let said = desk.run(&[&line[..], &["--old-password-file", &old]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn an_ethereum_keystore_becomes_no_other_kind_of_key() {
    let desk = Desk::new();
    let (file, old) = (keystore(&desk), desk.write("old", "other"));
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
        desk.run(&line).fails(4, &[&needed]);
    }
}

#[test]
fn marks_and_encodings_are_seen() {
    let desk = Desk::new();
    let marked = desk.write("marked", format!("\u{feff}0x{}\r\n", SECRET.to_uppercase()));
    let said = desk.run(&["keys", "import", &marked, "--kind", "signing", "--light"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let utf16: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = desk.write("utf16", utf16);
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
        desk.run(&line).fails(4, &["UTF-16", "save it as UTF-8"]);
    }
    let phrase = desk.write(
        "phrase",
        "test test test test test test test test test test test junk",
    );
    let said = desk.run(&["keys", "import", &phrase, "--kind", "signing", "--force"]);
    said.fails(4, &["a seed phrase"]);
    assert!(!said.err.contains("junk"), "{said:?}");
}
