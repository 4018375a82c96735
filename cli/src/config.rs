//! `node config`: the file, and what comes of it.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_chain::ChainConfig;
use quorate_node::keys::{KeyKind, KeyStore};
use quorate_node::settings::{Role, Settings};

use crate::environment::{self, variable};
use crate::options::{ConfigError, RunArgs, RunOptions, deployed, expand_home, template};
use crate::table::Facts;
use crate::{logging, output};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a commented configuration file with all settings
    Default(DefaultArgs),
    /// Check the configuration and the key files without starting anything
    Check(Box<RunArgs>),
    /// Print the settings that hold after flags, environment, file and defaults, without secrets
    Show(Box<ConfigShowArgs>),
}

#[derive(Args, Debug)]
pub(crate) struct DefaultArgs {
    /// For which role: operator or registry
    #[arg(long, default_value_t = Role::Operator)]
    role: Role,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigShowArgs {
    #[command(flatten)]
    run: RunArgs,

    /// Print JSON instead of TOML
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Default(args) => {
            output::text(template(args.role).map_err(anyhow::Error::msg)?)?;
            Ok(())
        }
        ConfigCommand::Check(args) => check(&args),
        ConfigCommand::Show(args) => show(&args),
    }
}

fn check(args: &RunArgs) -> anyhow::Result<()> {
    let options = args.resolve()?;
    let settings = options.to_settings()?;
    logging::check(text(&options.log), text(&options.log_format))?;
    let keys = key_files(&options)?;
    let mut facts = Facts::default();
    facts.add("Role", settings.role);
    facts.add_some("Operator", settings.operator);
    facts.add("Store", settings.data_dir.join("store").display());
    facts.add("Home chain", home(&settings));
    for chain in &settings.chains {
        facts.add("Chain", chain_line(&chain.chain));
    }
    for key in keys {
        facts.add("Key", key);
    }
    output::text(facts)?;
    for line in deployed::told(options.role, &variable) {
        output::line(line)?;
    }
    output::line("\nThe configuration is good.")?;
    Ok(())
}

fn home(settings: &Settings) -> String {
    let home = &settings.home;
    format!("{}, registry {}", chain_line(&home.chain), home.registry)
}

fn chain_line(chain: &ChainConfig) -> String {
    let (id, providers, finality) = (chain.chain_id, chain.rpc.len(), chain.finality);
    format!("{id}, {providers} RPC, finality {finality}")
}

/// The key files that the node will open; an error where one is not there.
fn key_files(options: &RunOptions) -> anyhow::Result<Vec<String>> {
    let store = key_store(options)?;
    let mut wanted = vec![(KeyKind::Peer, &options.peer_key)];
    if options.role.is_some_and(|role| role != Role::Registry) {
        wanted.push((KeyKind::Signing, &options.signing_key));
    }
    if options.pays_on_svm() {
        wanted.push((KeyKind::Ed25519, &options.svm_key));
    }
    let mut found = Vec::new();
    for (kind, key) in wanted {
        if environment::secret(kind, options.role).is_some() {
            found.push(format!("{kind}, from the environment"));
            continue;
        }
        let path = store.locate(kind, text(key))?;
        found.push(format!("{kind}, {}", path.display()));
    }
    Ok(found)
}

fn show(args: &ConfigShowArgs) -> anyhow::Result<()> {
    let options = args.run.resolve()?.redacted();
    let shown = match args.json {
        true => serde_json::to_string_pretty(&options).map(|text| text + "\n")?,
        false => toml::to_string(&options).context("the settings do not print")?,
    };
    output::text(shown)?;
    Ok(())
}

/// The folder of the keys that the options name.
pub(crate) fn key_store(options: &RunOptions) -> Result<KeyStore, ConfigError> {
    let dir = options.key_dir.clone().unwrap_or_default();
    Ok(KeyStore::open(expand_home(&dir)?))
}

/// Settings with a default always have a text.
pub(crate) fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// For commands that use some settings of a node's file where they are not given as flags.
pub(crate) fn file_options(path: Option<&std::path::Path>) -> Result<RunOptions, ConfigError> {
    match path {
        Some(path) => crate::options::read_file(path),
        None => Ok(RunOptions::default()),
    }
}
