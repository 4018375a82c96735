//! Whom a request means: pages on loopback are for this machine, not for what its browsers run.
//!
//! A page of another site can have its own name point to 127.0.0.1 once it is loaded (DNS rebinding),
//! and then reads the answers as if they were its own. The browser still names that site in `Host`.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::settings::LiveSettings;

/// Names under which the pages are served. Addresses always are, whichever this machine has: no other
/// party can make one point here.
#[derive(Clone, Debug)]
pub(super) struct Hosts(pub(super) LiveSettings);

impl Hosts {
    /// Whether a request with this `Host` is served.
    fn allow(&self, host: &[u8]) -> bool {
        let Ok(authority) = Authority::try_from(host) else {
            return false;
        };
        let name = authority.host().to_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let is_named = |host: &String| host.to_lowercase() == name;
        name == "localhost"
            || address.parse::<IpAddr>().is_ok()
            || self.0.borrow().http_hosts.iter().any(is_named)
    }
}

/// Refuses requests to names that are not this node's. Who sends no `Host` is no browser.
pub(super) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let named = request.headers().get_all(header::HOST);
    let named = named.iter().map(|value| value.as_bytes());
    let target = request.uri().authority();
    let mut all = named.chain(target.map(|target| target.as_str().as_bytes()));
    match all.all(|host| hosts.allow(host)) {
        true => next.run(request).await,
        false => refusal(),
    }
}

fn refusal() -> Response {
    let text = "this node is not served under that name: ask by its address or as localhost, or name it \
                in http_hosts\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::settings::{Reloadable, fixed};

    fn hosts(names: &[&str]) -> Hosts {
        Hosts(fixed(Reloadable {
            http_hosts: names.iter().map(ToString::to_string).collect(),
            ..Reloadable::default()
        }))
    }

    #[test]
    fn addresses_and_named_hosts_are_served() {
        let hosts = hosts(&["Node-1", "node.example.org"]);
        let served = [
            "localhost",
            "LocalHost:9080",
            "127.0.0.1:9080",
            "[::1]:9080",
            "192.0.2.7",
            "node-1:9080",
            "NODE.example.org",
        ];
        for host in served {
            assert!(hosts.allow(host.as_bytes()), "{host}");
        }
        let refused = [
            "attacker.example",
            "attacker.example:9080",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example:9080",
            "node-1.attacker.example",
            "",
            "a b",
        ];
        for host in refused {
            assert!(!hosts.allow(host.as_bytes()), "{host}");
        }
    }

    #[tokio::test]
    async fn a_browser_that_was_rebound_reads_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/status", get(|| async { "secret" }))
            .layer(from_fn_with_state(hosts(&[]), check));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let ask = async |line: &str, host: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {line} HTTP/1.1\r\n{host}connection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let good = ask("/status", &format!("host: {address}\r\n")).await;
        assert!(good.starts_with("HTTP/1.1 200"), "{good}");
        for (line, host) in [
            ("/status", "host: attacker.example:9080\r\n"),
            ("/nowhere", "host: attacker.example:9080\r\n"),
            ("http://attacker.example/status", "host: 127.0.0.1\r\n"),
            ("/status", "host: 127.0.0.1\r\nhost: attacker.example\r\n"),
        ] {
            let bad = ask(line, host).await;
            assert!(bad.starts_with("HTTP/1.1 403"), "{line} {host} {bad}");
            assert!(
                !bad.contains("secret") && bad.contains("http_hosts"),
                "{bad}"
            );
        }
    }
}
