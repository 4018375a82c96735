//! Standard output and error that are full or closed.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::support::{CODES, REGISTRY, RunOutput, Sandbox, corpus};

/// Pages of a node, and what a command makes of them.
const PAGES: [(&str, &str); 8] = [
    ("/bridge", r#"{"routes":[],"under_way":[],"ended":[]}"#),
    ("/tasks", "[]"),
    ("/members", "[]"),
    ("/events", r#"{"events":[],"before":7}"#),
    ("/evidence", r#"{"evidence":[],"after":null}"#),
    ("/providers", "[]"),
    (
        "/operators",
        r#"{"epoch":1,"total_weight":"1","threshold":"1","fixed_at":1,"operators":[],"members":[]}"#,
    ),
    ("/", "{}"),
];

/// A node that answers every question alike, for as long as the test runs.
fn stub() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or_default();
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default();
            let page = PAGES.iter().find(|(begin, _)| path.starts_with(begin));
            let body = page.map_or("{}", |(_, body)| body);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    address
}

pub(crate) fn full() -> Stdio {
    let opened = OpenOptions::new().write(true).open("/dev/full");
    opened.expect("a device that is full").into()
}

/// A pipe whose reader is gone.
pub(crate) fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Every command that ends without a network, and some that fail.
fn lines(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let made = sandbox.run(&["keys", "new", "--light", "--name", "a"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let http = stub();
    let secret = sandbox.write("secret", "11".repeat(32));
    let (certificate, set) = (corpus("file/certificate"), corpus("file/set"));
    let evidence = corpus("file/evidence");
    let mut lines = vec![
        words("--help"),
        words("--version"),
        words("nonsense"),
        words("config default"),
        words("config default --role registry"),
        words("config show --role registry"),
        words("config show --role registry --json"),
        words("config check"),
        words("keys new --light --name b --force"),
        words("keys list"),
        words("keys list --json"),
        words(&format!(
            "keys import {secret} --kind peer --light --name c --force"
        )),
        words(&format!(
            "verify {certificate} --set {set} --home-chain-id 31337 --registry {REGISTRY}"
        )),
        words(&format!(
            "verify {certificate} --set {set} --home-chain-id 31337 --registry {REGISTRY} --json"
        )),
        words(&format!(
            "evidence verify {evidence} --set {set} --home-chain-id 31337 --registry {REGISTRY}"
        )),
        words("doctor"),
        words("doctor --json"),
        words("--role registry"),
        words("request state --chain 1 --user 0x01 --key 1 --block 1 --to /ip4/127.0.0.1/tcp/1"),
        words("backup --to backup"),
        words("restore --from nowhere"),
    ];
    for command in [
        "status",
        "status --ready",
        "tasks",
        "providers",
        "bridge status",
        "operators",
        "explain 0x12",
        "evidence list",
        "registry members",
        "registry events",
        "registry events --json",
        "tasks --json",
        "operators --json",
    ] {
        lines.push(words(&format!("{command} --http {http}")));
    }
    lines
}

fn end(mut command: Command) -> RunOutput {
    RunOutput::of(&command.output().expect("run"))
}

#[test]
fn no_command_panics_or_ends_with_a_code_of_its_own() {
    let sandbox = Sandbox::new();
    for line in lines(&sandbox) {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let node = || sandbox.node(&line);
        let usual = end(node());
        let code = usual.code.expect("a code");
        let sound = |output: &RunOutput, what: &str| {
            let known = output.code.is_some_and(|code| CODES.contains(&code));
            assert!(
                known && !output.err.contains("panicked"),
                "{line:?}, {what}: {output:?}"
            );
        };
        sound(&usual, "as usual");
        let mut command = node();
        command.stdout(full());
        let output = end(command);
        sound(&output, "full output");
        if !usual.out.is_empty() {
            output.fails(1, &["cannot write the output: "]);
        }
        // A reader that has enough changes nothing about the answer.
        for (what, errors) in [
            ("closed output", false),
            ("closed error", true),
            ("full error", true),
        ] {
            let mut command = node();
            match (what, errors) {
                ("full error", _) => command.stderr(full()),
                (_, true) => command.stderr(closed()),
                (_, false) => command.stdout(closed()),
            };
            let output = end(command);
            sound(&output, what);
            assert_eq!(
                output.code,
                Some(code),
                "{line:?}, {what}: {output:?}; usually {usual:?}"
            );
        }
    }
}
