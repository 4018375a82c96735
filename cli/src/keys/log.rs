//! `node keys log`: what a key has signed, as a file, out of one store and into another.

use std::fs::File;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_node::signing_log::{self, KeySummary};
use quorate_proto::{Address, Domain};
use quorate_storage::{EngineKind, Identity, Store, StoreError, WriteQueue};
use serde_json::json;

use crate::config::text;
use crate::data::{Access, Data, DataArgs, Running, absolute, domain_of};
use crate::options::expand_home;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Write what keys have signed to a file; also while the node runs
    Export(ExportArgs),
    /// Add what a file says to the signing log of a stopped node
    Import(ImportArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// File to write; it must not exist yet
    #[arg(long, value_name = "FILE")]
    output: PathBuf,

    /// Only this signing key, by its address; all of the store unless given
    #[arg(long, value_name = "ADDRESS")]
    key: Option<Address>,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// File that `node keys log export` wrote
    file: PathBuf,

    #[command(flatten)]
    data: DataArgs,
}

pub(crate) fn run(command: LogCommand) -> anyhow::Result<()> {
    match command {
        LogCommand::Export(args) => export(&args),
        LogCommand::Import(args) => import(&args),
    }
}

fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let output = absolute(&args.output)?;
    anyhow::ensure!(
        !output.exists(),
        "{} exists already; name another --output",
        output.display()
    );
    let mut file = unfinished(&output)?;
    match args.data.resolve()?.access()? {
        Access::Open(store, identity) => {
            let domain = domain_of(&identity)?;
            let (queue, guard) = WriteQueue::new(store)?;
            let keys: Vec<Address> = args.key.into_iter().collect();
            signing_log::export(
                &queue,
                &domain,
                &keys,
                file.as_file_mut(),
                progress("written"),
            )?;
            guard.close()?;
        }
        Access::Asked(running) => download(&running, args.key, file.as_file_mut())?,
    }
    file.as_file().sync_all()?;
    // Read back, so that what is summed up is what the file holds.
    let summaries = signing_log::inspect(file.reopen()?)?;
    file.persist_noclobber(&output)
        .with_context(|| format!("cannot write {}", output.display()))?;
    if args.data.json {
        let value = json!({ "file": output, "keys": summaries });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    print!("{}", table(&summaries, false));
    println!("\nWritten to {}.", output.display());
    Ok(())
}

fn download(running: &Running, key: Option<Address>, out: &mut File) -> anyhow::Result<()> {
    let path = match key {
        Some(key) => format!("/signing-log?key={key}"),
        None => "/signing-log".into(),
    };
    crate::wait(async { running.node.download(&path, &running.token, out).await })
}

/// Beside the file that it becomes.
fn unfinished(output: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let folder = output.parent().unwrap_or(Path::new("/"));
    tempfile::Builder::new()
        .prefix(".signing-log-")
        .tempfile_in(folder)
        .with_context(|| format!("cannot write to {}", folder.display()))
}

fn import(args: &ImportArgs) -> anyhow::Result<()> {
    let path = expand_home(&args.file);
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (store, identity) = store_for(&args.data.resolve()?, &path)?;
    let domain = domain_of(&identity)?;
    let (queue, guard) = WriteQueue::new(store)?;
    let summaries = signing_log::import(&queue, &domain, file, progress("read"))?;
    drop(queue);
    guard.close()?;
    if args.data.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({ "keys": summaries }))?
        );
        return Ok(());
    }
    print!("{}", table(&summaries, true));
    for key in summaries.iter().filter(|key| !key.usable) {
        eprintln!(
            "warning: the file is older than this store's backup, or was made from a log that was \
             not whole itself: {} does not sign with it",
            key.signing_key
        );
    }
    Ok(())
}

/// The store of a stopped node; a new one of the file's network where there is none yet.
fn store_for(data: &Data, file: &Path) -> anyhow::Result<(Store, Identity)> {
    let path = Store::below(&data.dir);
    match Store::open_existing(&path) {
        Err(StoreError::Missing { .. }) => {}
        Err(error @ StoreError::Locked { .. }) => {
            return Err(error).context("a log is imported while the node is stopped");
        }
        opened => return Ok(opened?),
    }
    let metadata = signing_log::metadata(File::open(file)?)?;
    let registry: Address = metadata.registry.parse().context("the file's registry")?;
    let network = Domain::new(metadata.home_chain_id, registry).network();
    let engine = text(&data.options.engine);
    let engine: EngineKind = match engine {
        "" => EngineKind::default(),
        name => name.parse().map_err(anyhow::Error::msg)?,
    };
    let identity = Identity::new(network.to_string());
    Ok((Store::open(&path, engine, &identity)?, identity))
}

/// Tells somebody at a terminal how far it is.
fn progress(what: &'static str) -> impl FnMut(u64) {
    let watched = std::io::stderr().is_terminal();
    move |entries| {
        if watched {
            let mut terminal = std::io::stderr();
            let _ = write!(terminal, "\r{entries} entries {what} …\r");
        }
    }
}

fn table(summaries: &[KeySummary], imported: bool) -> Table {
    let mut table = Table::new(&["SIGNING KEY", ">ENTRIES", ">ADDED", "COMPLETE", "SIGNS NOW"]);
    let word = |yes: bool| if yes { "yes" } else { "no" };
    let only = |text: String| if imported { text } else { String::new() };
    for key in summaries {
        table.row([
            key.signing_key.clone(),
            key.entries.to_string(),
            only(key.added.to_string()),
            word(key.complete).into(),
            only(word(key.usable).into()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_a_table() {
        let summary = KeySummary {
            signing_key: "0x11".into(),
            sequence: 7,
            complete: true,
            entries: 12,
            added: 3,
            usable: false,
        };
        let exported = "SIGNING KEY  ENTRIES  COMPLETE\n0x11              12  yes\n";
        assert_eq!(
            table(std::slice::from_ref(&summary), false).to_string(),
            exported
        );
        let imported = "SIGNING KEY  ENTRIES  ADDED  COMPLETE  SIGNS NOW\n\
                        0x11              12      3  yes       no\n";
        assert_eq!(table(&[summary], true).to_string(), imported);
    }
}
