//! Variables that are set and empty, quotation marks in them, and users without a home.

use crate::support::{REGISTRY, RunOutput, Sandbox};

/// Every setting of a node as a variable, as `node --help` tells them.
fn variables(sandbox: &Sandbox) -> Vec<String> {
    let help = sandbox.run(&["--help"]).out;
    let names = help.split("[env: ").skip(1);
    names
        .filter_map(|rest| rest.split(['=', ']']).next().map(str::to_owned))
        .collect()
}

fn config(sandbox: &Sandbox) -> String {
    sandbox.write(
        "node.toml",
        format!(
            "role = \"registry\"\nhome_chain_id = 1\nhome_rpc = [\"http://127.0.0.1:1\"]\n\
             registry = \"{REGISTRY}\"\nepoch_manager = \"{REGISTRY}\"\n"
        ),
    )
}

#[test]
fn every_variable_that_is_empty_is_as_one_that_is_not_set() {
    let sandbox = Sandbox::new();
    let config = config(&sandbox);
    let line = ["config", "show", "--config", &config];
    let mut command = sandbox.node(&line);
    let usual = RunOutput::of(
        &command
            .env_remove("QUORATE_PASSWORD_FILE")
            .output()
            .expect("run"),
    );
    assert_eq!(usual.code, Some(0), "{usual:?}");
    let names = variables(&sandbox);
    assert!(names.len() > 30, "{names:?}");
    for name in names
        .iter()
        .map(String::as_str)
        .chain(["NO_COLOR", "QUORATE_PEER_SECRET"])
    {
        command.env(name, "");
    }
    let empty = RunOutput::of(&command.output().expect("run"));
    assert_eq!((empty.code, &empty.out), (Some(0), &usual.out), "{empty:?}");
}

#[test]
fn secrets_and_passwords_that_are_empty_are_not_there() {
    let sandbox = Sandbox::new();
    sandbox.run(&["keys", "new", "--light"]);
    let config = config(&sandbox);
    let mut command = sandbox.node(&["config", "check", "--config", &config]);
    command
        .env("QUORATE_PEER_SECRET", "")
        .env("QUORATE_PASSWORD", "");
    let output = RunOutput::of(&command.output().expect("run"));
    assert!(output.out.contains("default.peer.json"), "{output:?}");
    let mut command = sandbox.node(&["keys", "new", "--light", "--name", "b"]);
    command
        .env("QUORATE_PASSWORD", "")
        .env("QUORATE_PASSWORD_FILE", "");
    let output = RunOutput::of(&command.output().expect("run"));
    output.fails(4, &["use --password-file FILE or set QUORATE_PASSWORD"]);
}

#[test]
fn quotation_marks_in_variables_are_named() {
    let sandbox = Sandbox::new();
    let config = config(&sandbox);
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
        let mut command = sandbox.node(line);
        let output = RunOutput::of(&command.env(name, value).output().expect("run"));
        output.fails(code, &["quotation marks"]);
        assert!(!output.err.contains("topsecret"), "{output:?}");
        assert!(code == 64 || output.err.contains(name), "{output:?}");
    }
    // Of a setting that a command does not use, it says nothing.
    let mut command = sandbox.node(&["config", "default"]);
    let output = RunOutput::of(
        &command
            .env("QUORATE_DATA_DIR", "\"x\"")
            .output()
            .expect("run"),
    );
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[test]
fn addresses_and_times_that_are_mistyped_are_refused_by_every_command() {
    let sandbox = Sandbox::new();
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
        sandbox.run(line).fails(64, &[mistyped, "EIP-55"]);
    }
    let user = ["--user", REGISTRY, "--timestamp", "1732972800000"];
    let output = sandbox.run(&[&state[..], &to, &user].concat());
    output.fails(64, &["1732972800000", "milliseconds", "Unix seconds"]);
}

/// As in a container with `user: "54321"`.
#[cfg(unix)]
#[test]
#[ignore = "only root may run as another user"]
fn a_user_without_a_home_is_asked_for_folders() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let sandbox = Sandbox::new();
    std::fs::set_permissions(&sandbox.dir, std::fs::Permissions::from_mode(0o777)).expect("set");
    let config = config(&sandbox);
    for (line, part) in [
        (&["keys", "new", "--light"][..], "--key-dir"),
        (&["keys", "list"], "--key-dir"),
        (&["config", "check", "--config", &config], "--data-dir"),
        (&["--config", &config], "--data-dir"),
        (&["backup", "--to", "x"], "--data-dir"),
    ] {
        let mut command = sandbox.node(line);
        command.env_remove("HOME").uid(54321);
        let output = command.output().expect("root may be another user");
        RunOutput::of(&output).fails(78, &["no home folder", part]);
        assert!(!sandbox.path("~").exists());
    }
}
