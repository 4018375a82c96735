//! The program from outside: what it prints, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Runs the program in a folder of its own, without the settings of the user who runs the tests.
struct Shell {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

impl Shell {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("password"), "correct horse\n").expect("written");
        Self {
            dir,
            variables: Vec::new(),
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    fn run(&self, line: &str) -> Ran {
        Ran::from(self.command(line).output().expect("it runs"))
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUORATE_")) {
            command.env_remove(name);
        }
        command
            .args(line.split_whitespace())
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    fn json(&self, line: &str) -> Value {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).expect("JSON")
    }
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("a code"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

#[test]
fn help_names_every_command_setting_and_exit_code() {
    let help = Shell::new().run("--help");
    assert_eq!(help.code, 0);
    for word in [
        "keys",
        "config",
        "request",
        "verify",
        "explain",
        "tasks",
        "status",
        "operators",
        "register",
        "deregister",
        "--home-rpc",
        "QUORATE_HOME_RPC",
        "[default: rocksdb]",
        "Home chain:",
        "Exit codes:",
    ] {
        assert!(help.stdout.contains(word), "{word}");
    }
    assert_eq!(Shell::new().run("--version").code, 0);
}

#[test]
fn help_does_not_show_secrets_of_the_environment() {
    let shell = Shell::new()
        .with("QUORATE_HOME_RPC", "https://h/topsecret")
        .with(
            "QUORATE_CHAINS",
            "id=1,rpc=https://h/topsecret,state-manager=0x0",
        );
    for line in [
        "--help",
        "verify --help",
        "register --help",
        "config show --help",
    ] {
        assert!(!shell.run(line).stdout.contains("topsecret"), "{line}");
    }
}

#[test]
fn wrong_flags_end_with_64() {
    for line in [
        "--rolle operator",
        "keys",
        "request state --to /ip4/1.2.3.4/tcp/1",
        "verify",
        "status now",
    ] {
        let ran = Shell::new().run(line);
        assert_eq!(ran.code, 64, "{line}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{line}");
    }
    let ran = Shell::new().run("explain 0x1g");
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            64,
            "error: \"0x1g\" is no task id; it has 64 hexadecimal digits, or its first ones\n"
        )
    );
}

#[test]
fn a_node_without_settings_says_what_to_set() {
    let ran = Shell::new().run("");
    assert_eq!(ran.code, 78);
    assert!(ran.stderr.contains("role: not set"), "{}", ran.stderr);
    let ran = Shell::new().run("--role operator");
    assert_eq!(ran.code, 78);
    assert!(
        ran.stderr
            .contains("registry: not set; use --registry, QUORATE_REGISTRY"),
        "{}",
        ran.stderr
    );
}

#[test]
fn keys_are_made_listed_and_not_overwritten() {
    let shell = Shell::new();
    let made = shell.run("keys new --light --password-file password");
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(
        made.stdout.starts_with("NAME     KIND     PUBLIC"),
        "{}",
        made.stdout
    );
    let listed = shell.json("keys list --json");
    let kinds: Vec<&str> = listed
        .as_array()
        .expect("keys")
        .iter()
        .filter_map(|k| k["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["signing", "peer"]);
    assert!(
        listed[1]["public"]
            .as_str()
            .expect("text")
            .starts_with("12D3KooW")
    );
    assert!(Path::new(&shell.path(".quorate/keys/default.signing.json")).is_file());
    let again = shell.run("keys new --kind peer --light --password-file password");
    assert_eq!(again.code, 4);
    assert!(
        again
            .stderr
            .contains("exists already; choose another --name"),
        "{}",
        again.stderr
    );
    let forced = shell.run("keys new --kind peer --light --force --password-file password --json");
    assert_eq!(forced.code, 0);
    assert_ne!(
        shell.json("keys list --json")[1]["public"],
        listed[1]["public"]
    );
    let other = shell.run("keys new --kind ed25519 --light --password-file password");
    assert_eq!(other.code, 0, "{}", other.stderr);
    assert_eq!(shell.json("keys list --json")[1]["kind"], "ed25519");
}

#[test]
fn keys_are_imported_from_text_and_from_keystores() {
    let shell = Shell::new();
    // The first account of every local test chain.
    let secret = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    std::fs::write(shell.path("secret"), format!("0x{secret}\n")).expect("written");
    let line = "keys import secret --kind signing --light --password-file password --json";
    assert_eq!(
        shell.json(line)[0]["public"],
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    );
    let line = "keys import .quorate/keys/default.signing.json --kind signing --name copy --light \
                --password-file password --json";
    assert_eq!(
        shell.json(line)[0]["public"],
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    );
    std::fs::write(shell.path("secret"), "hunter2").expect("written");
    let bad = shell.run("keys import secret --kind peer --light --password-file password");
    assert_eq!(bad.code, 4);
    assert!(bad.stderr.contains("this is no peer secret") && !bad.stderr.contains("hunter2"));
}

#[test]
fn passwords_come_from_file_or_environment() {
    let none = Shell::new().run("keys new --light");
    assert_eq!(none.code, 4);
    assert!(
        none.stderr
            .contains("use --password-file FILE or set QUORATE_PASSWORD"),
        "{}",
        none.stderr
    );
    let shell = Shell::new().with("QUORATE_PASSWORD", "correct horse");
    assert_eq!(shell.run("keys new --light").code, 0);
}

#[test]
fn an_empty_folder_says_how_to_fill_it() {
    let ran = Shell::new().run("keys list");
    assert_eq!(ran.code, 0);
    assert!(
        ran.stdout.contains("make some with `node keys new`"),
        "{}",
        ran.stdout
    );
    assert_eq!(
        Shell::new().json("keys list --json"),
        Value::Array(Vec::new())
    );
}

const FILE: &str = r#"
role = "operator"
operator = "0x1111111111111111111111111111111111111111"
password_file = "password"
home_chain_id = 31337
home_rpc = ["http://127.0.0.1:1/topsecret"]
registry = "0x2222222222222222222222222222222222222222"
epoch_manager = "0x3333333333333333333333333333333333333333"
listen = ["/ip4/127.0.0.1/tcp/0"]
http = "off"
[[chains]]
chain_id = 31338
rpc = ["http://127.0.0.1:1/topsecret"]
state_manager = "0x4444444444444444444444444444444444444444"
"#;

#[test]
fn a_configuration_is_printed_checked_and_shown() {
    let shell = Shell::new();
    let file = shell.run("config default --role registry");
    assert!(
        file.stdout.contains("\nrole = \"registry\"\n"),
        "{}",
        file.stdout
    );
    std::fs::write(shell.path("node.toml"), FILE).expect("written");
    let keyless = shell.run("config check --config node.toml");
    assert_eq!(keyless.code, 4);
    assert!(
        keyless.stderr.contains("there is no peer key"),
        "{}",
        keyless.stderr
    );
    shell.run("keys new --light --password-file password");
    let checked = shell.run("config check --config node.toml");
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(
        checked.stdout.ends_with("\nThe configuration is good.\n"),
        "{}",
        checked.stdout
    );
    let shown = shell.run("config show --config node.toml --drain-ms 7");
    assert!(shown.stdout.contains("drain_ms = 7\n"), "{}", shown.stdout);
    assert!(shown.stdout.contains("http://127.0.0.1:1") && !shown.stdout.contains("topsecret"));
    let json = shell.json("config show --config node.toml --json");
    assert_eq!(json["chains"][0]["chain_id"], 31338);
}

#[test]
fn the_environment_stands_between_flags_and_file() {
    let shell = Shell::new()
        .with("QUORATE_DRAIN_MS", "8")
        .with("QUORATE_LOG", "warn");
    std::fs::write(shell.path("node.toml"), format!("drain_ms = 9\n{FILE}")).expect("written");
    let json = shell.json("config show --config node.toml --log error --json");
    assert_eq!(
        (&json["drain_ms"], &json["log"]),
        (&Value::from(8), &Value::from("error"))
    );
}

#[test]
fn wrong_files_end_with_78() {
    let shell = Shell::new();
    std::fs::write(
        shell.path("node.toml"),
        "role = \"operator\"\nlissten = 1\n",
    )
    .expect("written");
    let ran = shell.run("--config node.toml");
    assert_eq!(ran.code, 78);
    assert!(
        ran.stderr.contains("line 2: unknown field `lissten`"),
        "{}",
        ran.stderr
    );
    let ran = shell.run("--config absent.toml");
    assert_eq!(ran.code, 78);
    assert!(ran.stderr.contains("correct --config"), "{}", ran.stderr);
    let ran = shell.run("config default --role king");
    assert_eq!(ran.code, 64);
    assert!(
        ran.stderr.contains("use operator, registry or relayer"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_node_with_the_wrong_password_does_not_start() {
    let shell = Shell::new();
    std::fs::write(shell.path("node.toml"), FILE).expect("written");
    assert_eq!(
        shell.run("keys new --light --password-file password").code,
        0
    );
    std::fs::write(shell.path("password"), "wrong").expect("written");
    let ran = shell.run("--config node.toml");
    assert_eq!(ran.code, 4);
    assert!(
        ran.stderr.contains("wrong password for key file"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("topsecret"), "{}", ran.stderr);
}

#[test]
fn a_node_runs_until_it_is_told_to_stop() {
    let shell = Shell::new();
    std::fs::write(shell.path("node.toml"), FILE).expect("written");
    assert_eq!(
        shell.run("keys new --light --password-file password").code,
        0
    );
    let line = "--config node.toml --engine sled --log-format json";
    let mut node = shell
        .command(line)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut log = BufReader::new(node.stderr.take().expect("a log")).lines();
    let listening = |line: &String| line.contains("listening");
    let line = log
        .by_ref()
        .map_while(Result::ok)
        .find(listening)
        .expect("it listens");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["level"], "INFO");
    // Its store is its own.
    let second = shell.run("--config node.toml --engine sled");
    assert_eq!(second.code, 3);
    assert!(
        second.stderr.contains("is locked by another process"),
        "{}",
        second.stderr
    );
    let told = Command::new("kill")
        .arg(node.id().to_string())
        .status()
        .expect("told");
    assert!(told.success());
    let rest: Vec<String> = log.map_while(Result::ok).collect();
    assert_eq!(node.wait().expect("it ends").code(), Some(0), "{rest:?}");
    assert!(
        rest.iter().all(|line| !line.contains("topsecret")),
        "{rest:?}"
    );
}

#[test]
fn queries_say_where_they_asked_in_vain() {
    let ran = Shell::new().run("status --http 127.0.0.1:1");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .starts_with("error: no node answers at 127.0.0.1:1"),
        "{}",
        ran.stderr
    );
    let ran = Shell::new().run("operators --to /ip4/127.0.0.1/tcp/1");
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("cannot reach /ip4/127.0.0.1/tcp/1: ")
            && ran.stderr.contains("Connection refused"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_signing_log_goes_from_store_to_store_and_belongs_to_one_operator() {
    const FILE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fuzz/corpus/signing_log/two_keys"
    );
    let shell = Shell::new();
    let operator = format!("0x{}", "11".repeat(20));
    let found = shell.json(&format!("keys log inspect {FILE} --json"));
    assert_eq!(found["log"]["operator"], operator);
    assert_eq!(found["log"]["entries"], 3);

    let import = format!("keys log import {FILE} --data-dir data");
    let missing = shell.run(&import);
    assert_eq!(missing.code, 64, "{}", missing.stderr);
    assert!(missing.stderr.contains("--operator"), "{}", missing.stderr);
    let other = shell.run(&format!("{import} --operator 0x{}", "22".repeat(20)));
    assert_eq!(other.code, 2, "{}", other.stderr);
    assert!(
        other.stderr.contains("nothing was changed"),
        "{}",
        other.stderr
    );
    let own = shell.run(&format!("{import} --operator {operator}"));
    assert_eq!(own.code, 0, "{}", own.stderr);
    assert!(own.stdout.contains("Signs now"), "{}", own.stdout);

    let export = "keys log export --data-dir data --output log.json --json";
    let missing = shell.run(export);
    assert_eq!(missing.code, 64, "{}", missing.stderr);
    let written = shell.json(&format!("{export} --operator {operator}"));
    assert_eq!(written["log"]["entries"], 3);
    assert_eq!(written["log"]["complete"], true);
}
