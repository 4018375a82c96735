mod manual;
mod section;

use clap::FromArgMatches as _;
use quorate_node::settings::{Policy, Reinstatement, RelayUse};

pub(crate) use self::section::ExampleSection;

use super::load::{ConfigError, parse_file};
use super::*;

const FILE: &str = r#"
role = "operator"
operator = "0x1111111111111111111111111111111111111111"
drain_ms = 500
log = "debug"
home_chain_id = 31337
home_rpc = ["http://localhost:8545/key"]
registry = "0x2222222222222222222222222222222222222222"
epoch_manager = "0x3333333333333333333333333333333333333333"
home_finality = 2

[[chains]]
chain_id = 31338
rpc = ["http://localhost:8546"]
state_manager = "0x4444444444444444444444444444444444444444"
finality = "finalized"
"#;

fn flags(line: &[&str]) -> RunOptions {
    let command = RunOptions::augment_args(clap::Command::new("node"));
    let matches = command
        .try_get_matches_from(["node"].iter().chain(line))
        .expect("parsed");
    RunOptions::from_arg_matches(&matches).expect("options")
}

fn resolve(file: &str, line: &[&str]) -> Result<RunOptions, ConfigError> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("node.toml");
    std::fs::write(&path, file).expect("written");
    RunArgs {
        config: Some(path),
        options: flags(line),
        ..RunArgs::default()
    }
    .resolve()
}

#[test]
fn flags_win_over_the_file_and_that_over_defaults() {
    let options =
        resolve(FILE, &["--drain-ms", "7", "--listen", "/ip4/1.2.3.4/tcp/1"]).expect("resolved");
    assert_eq!(options.drain_ms, Some(7));
    assert_eq!(options.log.as_deref(), Some("debug"));
    assert_eq!(options.engine.as_deref(), Some("rocksdb"));
    assert_eq!(options.listen, Some(vec!["/ip4/1.2.3.4/tcp/1".to_owned()]));
    assert_eq!(options.home_finality, Some(NumberOrWord::Number(2)));
    let spec = "id=1,rpc=http://a,state-manager=0x4444444444444444444444444444444444444444";
    let chains = resolve(FILE, &["--chain", spec])
        .expect("resolved")
        .chains
        .expect("chains");
    assert_eq!(
        chains
            .iter()
            .map(|chain| chain.chain_id)
            .collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn every_setting_has_the_same_name_everywhere() {
    let command = RunOptions::augment_args(clap::Command::new("node"));
    for arg in command.get_arguments() {
        let name = arg.get_id().as_str();
        let flag = match name {
            "chains" => "chain".to_owned(),
            name => name.replace(['_', '.'], "-"),
        };
        let env = format!("QUORATE_{}", name.replace('.', "_").to_uppercase());
        assert_eq!(arg.get_long(), Some(flag.as_str()));
        assert_eq!(
            arg.get_env().and_then(|env| env.to_str()),
            Some(env.as_str())
        );
        assert!(
            arg.get_help().is_some() && arg.get_help_heading().is_some(),
            "{name}"
        );
        // Known to the file too: a wrong type is another error than an unknown key.
        let file = match name.split_once('.') {
            Some((section, key)) => format!("[{section}]\n{key} = {{ a = 1 }}"),
            None => format!("{name} = {{ a = 1 }}"),
        };
        let error = parse_file(&file).expect_err(name);
        assert!(!error.contains("unknown field"), "{name}: {error}");
    }
}

#[test]
fn the_default_file_parses_and_gives_the_defaults() {
    for role in Role::ALL {
        let text = template(role).expect("a file");
        assert_eq!(
            parse_file(&text).expect("parsed"),
            RunOptions::defaults(role),
            "{text}"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 120),
            "{text}"
        );
    }
}

#[test]
fn the_examples_of_the_default_file_are_valid() {
    let text = template(Role::Operator).expect("a file");
    let is_setting = |line: &str| {
        line.starts_with("#[") || line.starts_with("#    ") || line == "#]" || {
            let key = line
                .trim_start_matches('#')
                .split(" = ")
                .next()
                .unwrap_or_default();
            line.starts_with('#') && line.contains(" = ") && !key.contains(' ')
        }
    };
    let active: String = text
        .lines()
        .map(|line| {
            if is_setting(line) {
                line.trim_start_matches('#')
            } else {
                line
            }
        })
        .map(|line| {
            line.replace(
                "12D3KooW…",
                "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
            ) + "\n"
        })
        .collect();
    let options = parse_file(&active).expect(&active);
    let settings = options.to_settings().expect(&active);
    assert_eq!(settings.chains.len(), 1);
    assert_eq!(settings.bootstrap.len(), 1);
}

#[test]
fn the_registrys_file_has_nothing_for_operators() {
    let text = template(Role::Registry).expect("a file");
    for word in ["signing_key =", "[[chains]]", "operator ="] {
        assert!(!text.contains(word), "{word}");
    }
    for line in ["suspend_after = 5\n", "reinstatement = \"manual\"\n"] {
        assert!(text.contains(line), "{line}");
        let operators = template(Role::Operator).expect("a file");
        assert!(!operators.contains(line), "{line}");
    }
}

#[test]
fn a_registry_may_forgive_with_the_next_epoch() {
    let settings = |line: &[&str]| resolve(FILE, line).expect("resolved").to_settings();
    let usual = settings(&[]).expect("settings").policy;
    assert_eq!(usual, Policy::default());
    let line = ["--suspend-after", "9", "--reinstatement", "next-epoch"];
    let policy = settings(&line).expect("settings").policy;
    assert_eq!(
        (policy.misses, policy.reinstatement),
        (9, Reinstatement::NextEpoch)
    );
}

#[test]
fn how_a_node_is_reached_is_read_with_its_words_and_peer_ids() {
    let settings = |line: &[&str]| resolve(FILE, line).expect("resolved").to_settings();
    let peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    let usual = settings(&[]).expect("settings").reach;
    assert_eq!((usual.relay, usual.upnp), (RelayUse::Auto, false));
    assert!(usual.allowed_peers.is_empty());
    let line = ["--relay", "off", "--upnp", "true", "--allowed-peers", peer];
    let reach = settings(&line).expect("settings").reach;
    assert_eq!((reach.relay, reach.upnp), (RelayUse::Off, true));
    assert_eq!(reach.allowed_peers, [peer.parse().expect("a peer id")]);
    let line = ["--relay", "perhaps", "--allowed-peers", "/ip4/192.0.2.1"];
    let error = settings(&line).expect_err("refused").to_string();
    for told in [
        "relay",
        "perhaps",
        "use auto, on or off",
        "allowed_peers",
        "12D3KooW…",
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
}

#[test]
fn unknown_keys_are_refused_by_name_and_line() {
    let error = parse_file("role = \"operator\"\nlissten = []\n").expect_err("refused");
    assert!(
        error.starts_with("line 2: unknown field `lissten`"),
        "{error}"
    );
    let error = parse_file("[[chains]]\nchain_id = 1\nrpcs = []\n").expect_err("refused");
    assert!(error.contains("unknown field `rpcs`"), "{error}");
    let error = parse_file("home_rpc = [\"https://h/topsecret\", 1]").expect_err("refused");
    assert!(!error.contains("topsecret"), "{error}");
    let error = parse_file("home_rpc = \"https://h/a,topsecret\"").expect_err("refused");
    let expected =
        "line 1: home_rpc: invalid type: a text, expected a list; write it as in home_rpc = [";
    assert!(
        error.starts_with(expected) && !error.contains("topsecret"),
        "{error}"
    );
}

#[test]
fn a_good_configuration_becomes_settings() {
    let settings = resolve(FILE, &[])
        .expect("resolved")
        .to_settings()
        .expect("settings");
    assert_eq!(settings.role, Role::Operator);
    assert_eq!(settings.drain.as_millis(), 500);
    assert_eq!(settings.home.chain.chain_id, 31337);
    assert_eq!(settings.home.chain.finality.to_string(), "2");
    assert_eq!(settings.chains[0].chain.chain_id, 31338);
    assert_eq!(settings.http.map(|address| address.port()), Some(9080));
    assert!(settings.data_dir.ends_with(".quorate/operator"));
    assert!(!settings.data_dir.starts_with("~"));
    let off = resolve(FILE, &["--http", "off"])
        .expect("resolved")
        .to_settings()
        .expect("settings");
    assert_eq!(off.http, None);
}

#[test]
fn all_problems_are_told_at_once_with_key_and_cure() {
    let line = [
        "--role", "operator", "--http", "nine", "--engine", "oracle", "--listen", "here",
    ];
    let options = RunArgs {
        options: flags(&line),
        ..RunArgs::default()
    }
    .resolve()
    .expect("resolved");
    let text = options.to_settings().expect_err("refused").to_string();
    for expected in [
        "\n  engine: \"oracle\" cannot be read",
        "\n  listen: \"here\" cannot be read",
        "\n  http: \"nine\" cannot be read",
        "\n  operator: not set; use --operator, QUORATE_OPERATOR, or operator in the file",
        "\n  home_chain_id: not set; use --home-chain-id",
        "\n  home_rpc: no RPC URL",
        "\n  registry: not set",
        "\n  epoch_manager: not set",
        "\n  chains: an operator reads at least one chain",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
}

#[test]
fn mistakes_in_values_are_found() {
    for (line, expected) in [
        (
            ["--bootstrap", "/ip4/1.2.3.4/tcp/1"],
            "bootstrap: /ip4/1.2.3.4/tcp/1 has no peer id",
        ),
        (
            ["--home-rpc-quorum", "2"],
            "home_rpc_quorum: 2 must be 1 to 1",
        ),
        (
            ["--home-rpc", "wss://h/topsecret"],
            "home_rpc: RPC URLs of scheme wss",
        ),
        (
            ["--home-finality", "soon"],
            "home_finality: \"soon\" cannot be read",
        ),
        (["--home-poll-ms", "0"], "home_poll_ms: must be above 0"),
        (["--suspend-after", "0"], "suspend_after: 0 would suspend"),
        (
            ["--reinstatement", "never"],
            "reinstatement: \"never\" cannot be read",
        ),
        (["--registry", "0x12"], "registry: \"0x12\" cannot be read"),
        (
            ["--chain", "id=7,rpc=http://a,state-manager=b"],
            "chains.7.state_manager: \"b\" cannot be read",
        ),
        (
            ["--chain", "id=7,rpc=nonsense,state-manager=b"],
            "chains.7.rpc: ",
        ),
        (
            ["--chain", "id=4294967296,rpc=http://a,state-manager=b"],
            "does not fit 32 bits",
        ),
        (
            ["--chain", "id=7,rpc=http://a,state-manager=b,family=cosmos"],
            "chains.7.family: \"cosmos\" cannot be read",
        ),
        (
            ["--chain", "id=7,rpc=http://a,state-manager=b,family=svm"],
            "chains.7.genesis: an SVM chain is known by its genesis hash",
        ),
        (
            ["--chain", "id=7,rpc=http://a,state-manager=b,reads=maybe"],
            "chains.7.reads: \"maybe\" cannot be read",
        ),
        (
            [
                "--chain",
                "id=7,rpc=http://a,state-manager=b,history-slot=x",
            ],
            "chains.7.history_slot: \"x\" cannot be read",
        ),
    ] {
        refused(&line, expected);
    }
}

/// The problem that is told, without a secret.
fn refused(line: &[&str], expected: &str) {
    let options = resolve(FILE, line).expect("resolved");
    let text = options.to_settings().expect_err(expected).to_string();
    assert!(text.contains(expected), "{expected} is not in {text}");
    assert!(!text.contains("topsecret"), "{text}");
}

#[test]
fn what_was_given_is_named_with_its_cure() {
    for (line, expected) in [
        (
            ["--home-rpc", "h.org:8545/topsecret"],
            "home_rpc: h.org:8545 has no scheme; write it as https://host",
        ),
        (
            ["--home-rpc-min-runners", "5"],
            "home_rpc_min_runners: chain 31337 wants 5 different runners",
        ),
        (
            ["--listen", "/ip4/1.2.3.4/udp/9000"],
            "listen: /ip4/1.2.3.4/udp/9000 is no TCP or QUIC address; end it in /tcp/9000",
        ),
        (
            ["--chain", "id=7,rpc=http://a,state-manager=b,finality=-1"],
            "chains.7.finality: \"-1\" cannot be read",
        ),
        (
            ["--registry", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267"],
            "registry: \"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267\" is mistyped",
        ),
        (
            ["--data-dir", "\"/var/lib/quorate\""],
            "data_dir: \"/var/lib/quorate\" holds quotation marks",
        ),
        (
            ["--home-rpc", "\"http://h.org/topsecret\""],
            "home_rpc: \"http://h.org\" holds quotation marks",
        ),
        (
            ["--chain", "id=7,rpc='h.org/topsecret',state-manager=b"],
            "chains: the value holds quotation marks",
        ),
    ] {
        refused(&line, expected);
    }
}

#[test]
fn numbers_may_have_64_bits() {
    let file = FILE.replace("drain_ms = 500", "drain_ms = 9223372036854775808");
    let options = resolve(&file, &[]).expect("resolved");
    assert_eq!(options.drain_ms, Some(1 << 63));
    assert!(options.to_settings().is_ok());
}

#[test]
fn the_role_has_no_default() {
    let error = RunArgs::default()
        .resolve()
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("role: not set; use --role operator or --role registry"),
        "{error}"
    );
}

#[test]
fn options_are_printed_without_secrets() {
    let options = resolve(FILE, &[]).expect("resolved");
    let text = format!("{options:?}");
    assert!(
        text.contains("http://localhost:8545") && !text.contains("8545/key"),
        "{text}"
    );
    // What is merged keeps them.
    let table = toml::Table::try_from(&options).expect("a table");
    assert_eq!(
        table["home_rpc"][0].as_str(),
        Some("http://localhost:8545/key")
    );
}

#[test]
fn nothing_between_commas_is_no_item() {
    let peer = "/ip4/1.2.3.4/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    let line = [
        "--bootstrap",
        &format!("{peer}, {peer},"),
        "--home-rpc",
        ",http://a,,http://b,",
        "--http-hosts",
        "a.org,",
        "--listen",
        ",",
        "--chain",
        "id=1,rpc=http://a,,state-manager=0x4444444444444444444444444444444444444444,",
    ];
    let options = resolve(FILE, &line).expect("resolved");
    assert_eq!(options.listen, RunOptions::defaults(Role::Operator).listen);
    let settings = options.to_settings().expect("settings");
    assert_eq!(
        (settings.bootstrap.len(), settings.home.chain.rpc.len()),
        (2, 2)
    );
    assert_eq!(settings.http_hosts, ["a.org"]);
}
