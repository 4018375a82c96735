//! A section of a service: declared elsewhere, listed with one line in [`RunOptions`].

use std::net::SocketAddr;

use quorate_node::settings::declare::Section;
use serde_json::json;

use super::*;

quorate_node::settings! {
    /// As a service declares it in its own folder.
    pub(crate) struct ExampleSection {
        group "Example" {
            /// Address on which the example listens.
            listen: Option<SocketAddr> { value: "ADDR", example: || json!("127.0.0.1:9443") }

            /// Names of those who may
            /// ask it.
            names: Option<Vec<String>> { value: "NAME", example: || json!(["a"]) }

            /// Sessions at a time.
            sessions: Option<u32> { value: "COUNT", default: |_| 64.into(), reload: true }
        }
    }
}

impl Section for ExampleSection {
    const NAME: &'static str = "example";

    fn problems(&self) -> Vec<(&'static str, String)> {
        let none = self.sessions == Some(0);
        none.then(|| ("sessions", "must be above 0".into()))
            .into_iter()
            .collect()
    }
}

fn settings(section: &str, line: &[&str]) -> Option<ExampleSection> {
    let options = resolve(&format!("{FILE}\n{section}"), line).expect("resolved");
    options.to_settings().expect("settings").section()
}

#[test]
fn a_section_comes_from_the_file_flags_and_its_defaults() {
    let listen = "127.0.0.1:1".parse().ok();
    let file = "[example]\nlisten = \"127.0.0.1:1\"";
    let usual = ExampleSection {
        listen,
        names: None,
        sessions: Some(64),
    };
    assert_eq!(settings(file, &[]), Some(usual.clone()));
    let line = ["--example-sessions", "3", "--example-names", "a, b,"];
    let given = ExampleSection {
        names: Some(vec!["a".into(), "b".into()]),
        sessions: Some(3),
        ..usual
    };
    assert_eq!(settings(file, &line), Some(given.clone()));
    let alone = ExampleSection {
        listen: None,
        ..given
    };
    assert_eq!(settings("", &line), Some(alone));
    assert_eq!(
        settings("", &[]),
        None,
        "it is not there unless it is named"
    );
}

#[test]
fn mistakes_in_a_section_are_named_with_those_of_the_node() {
    let file = format!("{FILE}\n[example]\nsessions = 0");
    let options = resolve(&file, &["--http", "nine"]).expect("resolved");
    let error = options.to_settings().expect_err("refused").to_string();
    for told in [
        "\n  http: \"nine\" cannot be read",
        "\n  example.sessions: must be above 0",
    ] {
        assert!(error.contains(told), "{error}");
    }
    for (line, told) in [
        (
            "sessions = \"x\"",
            "line 3: sessions: invalid type: string \"x\", expected a whole number; write it as in sessions = 64",
        ),
        ("session = 1", "line 3: unknown field `session`"),
        (
            "listen = \"here\"",
            "write it as in listen = \"127.0.0.1:9443\"",
        ),
    ] {
        let error = parse_file(&format!("upnp = true\n[example]\n{line}")).expect_err(line);
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_section_is_in_the_default_file_and_in_the_help() {
    let text = template(Role::Operator).expect("a file");
    let shown = "\n#[example]\n# Address on which the example listens.\n# Flag --example-listen, \
                 environment QUORATE_EXAMPLE_LISTEN.\n#listen = \"127.0.0.1:9443\"\n";
    assert!(text.contains(shown), "{text}");
    assert!(text.contains("\n#sessions = 64\n"), "{text}");
    let mut command = RunOptions::augment_args(clap::Command::new("node"));
    let help = command.render_long_help().to_string();
    for told in [
        "Example:",
        "--example-names <NAME>",
        "Names of those who may ask it",
        "Sessions at a time [default: 64]",
        "[env: QUORATE_EXAMPLE_SESSIONS=]",
    ] {
        assert!(help.contains(told), "{told}: {help}");
    }
}

#[test]
fn two_listeners_on_one_port_are_named() {
    let file = format!(
        "{FILE}\n[bridge]\nhttp_s2e = \"0.0.0.0:9080\"\nhttp_e2s = \"127.0.0.1:8082\"\nhttp_metrics_e2s = \"127.0.0.1:8082\"\napi_key = \"topsecret\""
    );
    let options = resolve(&file, &[]).expect("resolved");
    let error = options.to_settings().expect_err("refused").to_string();
    for told in [
        "\n  bridge.http_s2e: 0.0.0.0:9080 is taken by http; give it a port of its own",
        "\n  bridge.http_metrics_e2s: 127.0.0.1:8082 is taken by bridge.http_e2s",
    ] {
        assert!(error.contains(told), "{error}");
    }
    let shown = serde_json::to_string(&options.redacted()).expect("text");
    assert!(!shown.contains("topsecret"), "{shown}");
}
