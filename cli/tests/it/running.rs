//! A node that runs, without anything around it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::pipes::{closed, full};
use crate::support::{REGISTRY, Sandbox};

const DEADLINE: Duration = Duration::from_secs(60);

/// A registry whose home chain does not answer.
fn registry(sandbox: &Sandbox, http: &str, listen: &str) -> Command {
    let line = [
        "--role",
        "registry",
        "--home-chain-id",
        "1",
        "--home-rpc",
        "http://127.0.0.1:1",
        "--log",
        "debug",
    ];
    let mut command = sandbox.node(&line);
    command.args([
        "--registry",
        REGISTRY,
        "--epoch-manager",
        REGISTRY,
        "--http",
        http,
        "--listen",
        listen,
    ]);
    command.env("QUORATE_PEER_SECRET", "22".repeat(32));
    command
}

/// An address that is free now.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// What the node answers to a question in this name; empty where it does not.
fn ask(http: &str, page: &str, host: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(http) {
        let line = format!("GET {page} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let asked = stream.write_all(line.as_bytes());
        let _ = asked.and_then(|()| stream.read_to_string(&mut answer));
    }
    answer
}

fn is_served(http: &str, host: &str) -> bool {
    ask(http, "/live", host).starts_with("HTTP/1.1 200")
}

fn wait_until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(node: &Child, signal: &str) {
    let id = node.id().to_string();
    let killed = Command::new("kill").args([signal, &id]).status();
    assert!(killed.expect("a signal").success());
}

fn wait_alive(node: &mut Child, http: &str) {
    let begun = Instant::now();
    while !is_served(http, http) {
        let ended = node.try_wait().expect("a child");
        assert!(ended.is_none() && begun.elapsed() < DEADLINE, "{ended:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_log_that_cannot_be_written_ends_no_node() {
    for errors in [full(), closed()] {
        let (sandbox, http) = (Sandbox::new(), free());
        let mut command = registry(&sandbox, &http, "/ip4/127.0.0.1/tcp/0");
        let mut node = command
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("started");
        wait_alive(&mut node, &http);
        kill(&node, "-TERM");
        assert_eq!(node.wait().expect("ended").code(), Some(0));
    }
}

#[test]
fn a_hangup_takes_new_settings_all_or_none() {
    let (sandbox, http) = (Sandbox::new(), free());
    let write = |settings: &str| {
        let text = format!(
            "role = \"registry\"\nhome_chain_id = 1\nhome_rpc = [\"http://127.0.0.1:1\"]\n\
             registry = \"{REGISTRY}\"\nepoch_manager = \"{REGISTRY}\"\nhttp = \"{http}\"\n\
             listen = [\"/ip4/127.0.0.1/tcp/0\"]\n{settings}"
        );
        sandbox.write("node.toml", text)
    };
    let config = write("");
    let log = std::fs::File::create(sandbox.path("log")).expect("a file");
    let mut command = sandbox.node(&["--config", &config]);
    command.env("QUORATE_PEER_SECRET", "22".repeat(32));
    let mut node = command.stderr(log).spawn().expect("started");
    wait_alive(&mut node, &http);
    let health = || ask(&http, "/health", &http);
    assert!(!is_served(&http, "a.example"));

    write("http_hosts = [\"a.example\"]\nlog = \"debug\"");
    kill(&node, "-HUP");
    wait_until(|| is_served(&http, "a.example"));

    for (settings, told) in [
        ("log_format = \"json\"", "log_format: needs a restart"),
        ("drain_ms = \"x\"", "line 9: drain_ms: invalid type"),
        ("log = \"a=b=c\"", "log: "),
        ("suspend_after = 0", "suspend_after: 0 would suspend"),
    ] {
        write(&format!("http_hosts = [\"b.example\"]\n{settings}"));
        kill(&node, "-HUP");
        wait_until(|| health().contains(told));
        assert!(health().contains("new settings were refused"), "{settings}");
        assert!(is_served(&http, "a.example") && !is_served(&http, "b.example"));
    }

    write("http_hosts = [\"b.example\"]\nretain_epochs = 3");
    kill(&node, "-HUP");
    wait_until(|| is_served(&http, "b.example"));
    wait_until(|| !health().contains("new settings were refused"));
    assert!(!is_served(&http, "a.example"));
    kill(&node, "-TERM");
    assert_eq!(node.wait().expect("ended").code(), Some(0));
    let log = std::fs::read_to_string(sandbox.path("log")).expect("a log");
    for told in [
        "settings read again changed=\"http_hosts log\"",
        "new settings refused",
        "settings read again changed=\"http_hosts retain_epochs log\"",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
}
