//! `node backup` and `node restore`.

use std::path::PathBuf;
use std::time::Duration;

use alloy::transports::http::reqwest::Url;
use clap::Args;
use quorate_node::backup::{self, BackupError, Manifest};
use quorate_proto::Address;
use serde_json::json;

use crate::config::key_store;
use crate::data::{Access, DataArgs, Running, absolute};
use crate::format;
use crate::options::{RunOptions, expand_home};
use crate::output;
use crate::table::Facts;

/// A store of 100 GB on a disk of its own takes less.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// Folder to make; it must not exist yet, or be empty. A running node writes it
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Copy the key files too, under the password that they have. Without this a backup holds no
    /// secrets
    #[arg(long)]
    with_keys: bool,

    /// Folder of the key files; key_dir in the file [default: ~/.quorate/keys]
    #[arg(long, value_name = "DIR", env = "QUORATE_KEY_DIR")]
    key_dir: Option<PathBuf>,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// Folder that `node backup` made
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// Keep a store that is in the data folder aside, and put this one in its place
    #[arg(long)]
    replace: bool,

    /// Put the key files of the backup there too; never over one that is there
    #[arg(long, value_name = "DIR")]
    keys_to: Option<PathBuf>,

    /// Only check the backup
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    data: DataArgs,
}

pub(crate) async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let to = absolute(&args.to)?;
    let data = args.data.resolve()?;
    match data.access()? {
        Access::Open(store, _) => backup::copy_store(&store, &to)?,
        Access::Asked(running) => ask(&running, &to).await?,
    }
    if args.with_keys {
        let defaults = RunOptions::defaults(quorate_node::settings::Role::Operator);
        let key_dir = args.key_dir.clone().or(data.options.key_dir.clone());
        let options = RunOptions {
            key_dir: key_dir.or(defaults.key_dir),
            ..RunOptions::default()
        };
        backup::copy_keys(&key_store(&options)?, &to)?;
    }
    let manifest = backup::seal(&to)?;
    print(
        &manifest,
        args.data.json,
        &[("Backup", to.display().to_string())],
    )
}

async fn ask(running: &Running, to: &std::path::Path) -> anyhow::Result<()> {
    let mut target = Url::parse("http://node/backup")?;
    let text = to.to_str();
    let text = text.ok_or_else(|| anyhow::anyhow!("{} is no text", to.display()))?;
    target.query_pairs_mut().append_pair("to", text);
    let path = format!("/backup?{}", target.query().unwrap_or_default());
    running
        .node
        .post_long(&path, &running.token, PATIENCE)
        .await
}

pub(crate) fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let from = absolute(&args.from)?;
    let data = args.data.resolve()?;
    let manifest = backup::verify(&from)?;
    check_network(&manifest, &data.options)?;
    if args.check {
        return print(
            &manifest,
            args.data.json,
            &[("Good", from.display().to_string())],
        );
    }
    let keys = args.keys_to.as_deref().map(expand_home).transpose()?;
    let restored = backup::restore(&from, &data.dir, keys.as_deref(), args.replace)?;
    let mut facts = vec![("Restored to", data.dir.display().to_string())];
    if let Some(replaced) = restored.replaced {
        facts.push(("The store before", replaced.display().to_string()));
    }
    for key in restored.keys {
        facts.push(("Key file", key.display().to_string()));
    }
    print(&restored.manifest, args.data.json, &facts)?;
    if !restored.manifest.operators.is_empty() {
        output::note(
            "The node will not sign with it yet: what was signed after the backup is not in it. \
             See \"Keys and backups\" in docs/operations.md.",
        );
    }
    Ok(())
}

/// Only where the configuration says which network it is for.
fn check_network(manifest: &Manifest, options: &RunOptions) -> anyhow::Result<()> {
    let (Some(chain), Some(registry)) = (options.home_chain_id, &options.registry) else {
        return Ok(());
    };
    let Ok(registry) = registry.parse::<Address>() else {
        return Ok(());
    };
    let configured = quorate_proto::Domain::new(chain, registry)
        .network()
        .to_string();
    if configured == manifest.network {
        return Ok(());
    }
    let found = manifest.network.clone();
    Err(BackupError::OtherNetwork { found, configured }.into())
}

fn print(
    manifest: &Manifest,
    as_json: bool,
    first: &[(&'static str, String)],
) -> anyhow::Result<()> {
    if as_json {
        let mut value = serde_json::to_value(manifest)?;
        for (name, text) in first {
            value[name.to_lowercase().replace(' ', "_")] = json!(text);
        }
        output::json(&value)?;
        return Ok(());
    }
    let mut facts = Facts::default();
    for (name, text) in first {
        facts.add(name, text);
    }
    facts.add("Made", format::time_ms(manifest.created_ms));
    facts.add("Network", &manifest.network);
    facts.add("Engine", &manifest.engine);
    facts.add("Size", format!("{:.1} MB", size(manifest.bytes())));
    for contents in &manifest.operators {
        facts.add("Signing log of", &contents.operator);
    }
    output::text(facts)?;
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn size(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
