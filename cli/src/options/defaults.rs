//! Defaults and examples, once, for help, file and conversion.

use std::path::PathBuf;

use quorate_node::settings::Role;
use quorate_proto::limits;
use toml::{Table, Value};

use super::load::table_of;
use super::{ChainOptions, NumberOrWord, RunOptions};

/// The least time that covers a task's whole life, and lies above it by nothing: who waits longer
/// waits for a client that has gone.
const DRAIN_MS: u64 = 15_000;
/// As `Retention::USUAL`.
const RETAIN_EPOCHS: u64 = 8;
const HOME_POLL_MS: u64 = 1_000;

impl RunOptions {
    /// What holds where nothing is set.
    pub(crate) fn defaults(role: Role) -> Self {
        let operator = role == Role::Operator;
        Self {
            role: Some(role),
            data_dir: Some(PathBuf::from(format!("~/.quorate/{role}"))),
            engine: Some("rocksdb".into()),
            http: Some("127.0.0.1:9080".into()),
            drain_ms: Some(DRAIN_MS),
            retain_epochs: Some(NumberOrWord::Number(RETAIN_EPOCHS)),
            suspend_after: (!operator).then_some(limits::MAX_MISSES),
            reinstatement: (!operator).then(|| "manual".into()),
            log: Some("info".into()),
            log_format: Some("human".into()),
            key_dir: Some(PathBuf::from("~/.quorate/keys")),
            signing_key: operator.then(|| "default".into()),
            peer_key: Some("default".into()),
            listen: Some(vec![
                "/ip4/0.0.0.0/tcp/9000".into(),
                "/ip4/0.0.0.0/udp/9000/quic-v1".into(),
            ]),
            relay: Some("auto".into()),
            upnp: Some(false),
            home_finality: Some(NumberOrWord::Word("finalized".into())),
            home_poll_ms: Some(HOME_POLL_MS),
            ..Self::default()
        }
        .with_usual_limits()
    }

    /// Values for settings without a default, to show their form.
    pub(super) fn examples() -> Self {
        let text = |text: &str| Some(text.to_owned());
        Self {
            operator: text("0x1111111111111111111111111111111111111111"),
            password_file: Some(PathBuf::from("~/.quorate/password")),
            http_hosts: Some(vec!["node.example.org".into()]),
            external: Some(vec!["/dns4/node.example.org/tcp/9000".into()]),
            bootstrap: Some(vec!["/dns4/boot.example.org/tcp/9000/p2p/12D3KooW…".into()]),
            allowed_peers: Some(vec!["12D3KooW…".into()]),
            home_chain_id: Some(1),
            home_rpc: urls(&[
                "https://rpc-a.example.org/KEY",
                "https://rpc-b.example.org/KEY",
            ]),
            home_rpc_quorum: Some(2),
            home_rpc_min_runners: Some(2),
            registry: text("0x2222222222222222222222222222222222222222"),
            epoch_manager: text("0x3333333333333333333333333333333333333333"),
            ..Self::default()
        }
    }
}

impl ChainOptions {
    pub(super) fn example() -> Self {
        Self {
            chain_id: 10,
            rpc: urls(&[
                "https://rpc-a.example.org/KEY",
                "https://rpc-b.example.org/KEY",
            ])
            .unwrap_or_default(),
            rpc_quorum: Some(2),
            rpc_min_runners: Some(2),
            state_manager: "0x4444444444444444444444444444444444444444".into(),
            finality: Some(NumberOrWord::Word("finalized".into())),
            poll_ms: Some(HOME_POLL_MS),
            reads: Some("auto".into()),
            history_slot: Some(NumberOrWord::Number(0)),
            block_numbers: Some("own".into()),
        }
    }
}

fn urls(texts: &[&str]) -> Option<Vec<super::ProviderOptions>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}

/// Adds to the help of every setting what holds where it is not set.
pub(crate) fn with_defaults_in_help(command: clap::Command) -> clap::Command {
    let mut defaults = table_of(&RunOptions::defaults(Role::Operator)).unwrap_or_default();
    // There is no default role, and the folder follows the role.
    defaults.remove("role");
    let registry = table_of(&RunOptions::defaults(Role::Registry)).unwrap_or_default();
    for key in super::template::REGISTRIES_ONLY {
        defaults.extend(registry.get(key).map(|value| (key.into(), value.clone())));
    }
    defaults.insert("data_dir".into(), Value::String("~/.quorate/<role>".into()));
    let mut command = command.mut_args(|arg| note_default(arg, &defaults));
    if let Some(config) = command.find_subcommand_mut("config") {
        let noted = config
            .clone()
            .mut_subcommands(|sub| sub.mut_args(|a| note_default(a, &defaults)));
        *config = noted;
    }
    command
}

fn note_default(arg: clap::Arg, defaults: &Table) -> clap::Arg {
    let Some(value) = defaults.get(arg.get_id().as_str()) else {
        return arg;
    };
    let shown = match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            texts.join(",")
        }
        other => other.to_string(),
    };
    let add = |help: &clap::builder::StyledStr| format!("{help} [default: {shown}]");
    let long = arg.get_long_help().map(add);
    let short = arg.get_help().map(add);
    let arg = match short {
        Some(short) => arg.help(short),
        None => arg,
    };
    match long {
        Some(long) => arg.long_help(long),
        None => arg,
    }
}
