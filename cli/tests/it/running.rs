//! A node that runs, without anything around it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::pipes::{closed, full};
use crate::support::{Desk, REGISTRY};

const DEADLINE: Duration = Duration::from_secs(60);

/// A registry whose home chain does not answer.
fn registry(desk: &Desk, http: &str, listen: &str) -> Command {
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
    let mut command = desk.node(&line);
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

fn is_alive(http: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(http) else {
        return false;
    };
    let mut answer = String::new();
    let request = format!("GET /live HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\n\r\n");
    let asked = stream.write_all(request.as_bytes());
    let read = asked.and_then(|()| stream.read_to_string(&mut answer));
    read.is_ok() && answer.starts_with("HTTP/1.1 200")
}

fn wait_alive(node: &mut Child, http: &str) {
    let begun = Instant::now();
    while !is_alive(http) {
        let ended = node.try_wait().expect("a child");
        assert!(ended.is_none() && begun.elapsed() < DEADLINE, "{ended:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_log_that_cannot_be_written_ends_no_node() {
    for errors in [full(), closed()] {
        let (desk, http) = (Desk::new(), free());
        let mut command = registry(&desk, &http, "/ip4/127.0.0.1/tcp/0");
        let mut node = command
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("started");
        wait_alive(&mut node, &http);
        let asked = Command::new("kill").arg(node.id().to_string()).status();
        assert!(asked.expect("asked to end").success());
        assert_eq!(node.wait().expect("ended").code(), Some(0));
    }
}
