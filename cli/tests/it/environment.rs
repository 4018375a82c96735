//! Variables that are set and empty, quotation marks in them, and users without a home.

use crate::support::{Desk, REGISTRY, Said};

/// Every setting of a node as a variable, as `node --help` tells them.
fn variables(desk: &Desk) -> Vec<String> {
    let help = desk.run(&["--help"]).out;
    let names = help.split("[env: ").skip(1);
    names
        .filter_map(|rest| rest.split(['=', ']']).next().map(str::to_owned))
        .collect()
}

fn config(desk: &Desk) -> String {
    desk.write(
        "node.toml",
        format!(
            "role = \"registry\"\nhome_chain_id = 1\nhome_rpc = [\"http://127.0.0.1:1\"]\n\
             registry = \"{REGISTRY}\"\nepoch_manager = \"{REGISTRY}\"\n"
        ),
    )
}

#[test]
fn every_variable_that_is_empty_is_as_one_that_is_not_set() {
    let desk = Desk::new();
    let config = config(&desk);
    let line = ["config", "show", "--config", &config];
    let mut command = desk.node(&line);
    let usual = Said::of(
        &command
            .env_remove("QUORATE_PASSWORD_FILE")
            .output()
            .expect("run"),
    );
    assert_eq!(usual.code, Some(0), "{usual:?}");
    let names = variables(&desk);
    assert!(names.len() > 30, "{names:?}");
    for name in names
        .iter()
        .map(String::as_str)
        .chain(["NO_COLOR", "QUORATE_PEER_SECRET"])
    {
        command.env(name, "");
    }
    let empty = Said::of(&command.output().expect("run"));
    assert_eq!((empty.code, &empty.out), (Some(0), &usual.out), "{empty:?}");
}

#[test]
fn secrets_and_passwords_that_are_empty_are_not_there() {
    let desk = Desk::new();
    desk.run(&["keys", "new", "--light"]);
    let config = config(&desk);
    let mut command = desk.node(&["config", "check", "--config", &config]);
    command
        .env("QUORATE_PEER_SECRET", "")
        .env("QUORATE_PASSWORD", "");
    let said = Said::of(&command.output().expect("run"));
    assert!(said.out.contains("default.peer.json"), "{said:?}");
    let mut command = desk.node(&["keys", "new", "--light", "--name", "b"]);
    command
        .env("QUORATE_PASSWORD", "")
        .env("QUORATE_PASSWORD_FILE", "");
    let said = Said::of(&command.output().expect("run"));
    said.fails(4, &["use --password-file FILE or set QUORATE_PASSWORD"]);
}

#[test]
fn quotation_marks_in_variables_are_named() {
    let desk = Desk::new();
    let config = config(&desk);
    for (line, name, value, code) in [
        (
            &["config", "check", "--config", &config][..],
            "QUORATE_HOME_RPC",
            "\"http://h.org/topsecret\"",
            78,
        ),
        (
            &["config", "check", "--config", &config],
            "QUORATE_HOME_RPC",
            "'h.org/topsecret'",
            78,
        ),
        (
            &["config", "check", "--config", &config],
            "QUORATE_DATA_DIR",
            "\"/var/lib/q\"",
            78,
        ),
        (&["status"], "QUORATE_HTTP", "\"127.0.0.1:1\"", 78),
        (
            &["config", "check", "--config", &config],
            "QUORATE_ROLE",
            "\"registry\"",
            64,
        ),
        (
            &["config", "check", "--config", &config],
            "QUORATE_DRAIN_MS",
            "'1'",
            64,
        ),
    ] {
        let mut command = desk.node(line);
        let said = Said::of(&command.env(name, value).output().expect("run"));
        said.fails(code, &["quotation marks"]);
        assert!(!said.err.contains("topsecret"), "{said:?}");
        assert!(code == 64 || said.err.contains(name), "{said:?}");
    }
    // Of a setting that a command does not use, it says nothing.
    let mut command = desk.node(&["config", "default"]);
    let said = Said::of(
        &command
            .env("QUORATE_DATA_DIR", "\"x\"")
            .output()
            .expect("run"),
    );
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn addresses_and_times_that_are_mistyped_are_refused_by_every_command() {
    let desk = Desk::new();
    let mistyped = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267";
    let to = ["--to", "/ip4/127.0.0.1/tcp/1"];
    let state = ["request", "state", "--chain", "1", "--key", "1"];
    let table: [&[&str]; 8] = [
        &[&state[..], &to, &["--block", "1", "--user", mistyped]].concat(),
        &[
            "verify",
            "x",
            "--rpc",
            "http://h.org",
            "--registry",
            mistyped,
        ],
        &["verify", "x", "--rpc", "http://h.org", "--light", mistyped],
        &["registry", "reinstate", mistyped],
        &["registry", "events", "--operator", mistyped],
        &["evidence", "list", "--operator", mistyped],
        &[
            "evidence",
            "verify",
            "x",
            "--rpc",
            "http://h.org",
            "--registry",
            mistyped,
        ],
        &[
            "keys",
            "log",
            "export",
            "--output",
            "x",
            "--operator",
            mistyped,
        ],
    ];
    for line in table {
        desk.run(line).fails(64, &[mistyped, "EIP-55"]);
    }
    let user = ["--user", REGISTRY, "--timestamp", "1732972800000"];
    let said = desk.run(&[&state[..], &to, &user].concat());
    said.fails(64, &["1732972800000", "milliseconds", "Unix seconds"]);
}

/// As in a container with `user: "54321"`.
#[cfg(unix)]
#[test]
#[ignore = "only root may be somebody else"]
fn a_user_without_a_home_is_asked_for_folders() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let desk = Desk::new();
    std::fs::set_permissions(&desk.dir, std::fs::Permissions::from_mode(0o777)).expect("set");
    let config = config(&desk);
    for (line, part) in [
        (&["keys", "new", "--light"][..], "--key-dir"),
        (&["keys", "list"], "--key-dir"),
        (&["config", "check", "--config", &config], "--data-dir"),
        (&["--config", &config], "--data-dir"),
        (&["backup", "--to", "x"], "--data-dir"),
    ] {
        let mut command = desk.node(line);
        command.env_remove("HOME").uid(54321);
        let output = command.output().expect("root may be somebody else");
        Said::of(&output).fails(78, &["no home folder", part]);
        assert!(!desk.path("~").exists());
    }
}
