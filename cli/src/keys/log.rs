//! `node keys log`: what an operator has signed, as a file, out of one store and into another.

use std::fs::File;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_node::signing_log::{self, LogSummary};
use quorate_proto::{Address, Domain};
use quorate_storage::{EngineKind, Identity, Store, StoreError, WriteQueue};
use serde_json::json;

use crate::config::text;
use crate::data::{Access, Data, DataArgs, Running, absolute, domain_of};
use crate::exit::Usage;
use crate::format;
use crate::options::{address, expand_home};
use crate::output;
use crate::table::Facts;

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Write what an operator has signed to a file; also while the node runs
    Export(ExportArgs),
    /// Add what a file says to the signing log of a stopped node
    Import(LogImportArgs),
    /// Check a file, and say whose log it is and how far it goes
    Inspect(InspectArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// File to write; it must not exist yet
    #[arg(long, value_name = "FILE")]
    output: PathBuf,

    /// Address of the operator; operator in the file
    #[arg(long, value_name = "ADDRESS", env = "QUORATE_OPERATOR", value_parser = address)]
    operator: Option<Address>,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LogImportArgs {
    /// File that `node keys log export` wrote
    file: PathBuf,

    /// Address of the operator; operator in the file of the configuration
    #[arg(long, value_name = "ADDRESS", env = "QUORATE_OPERATOR", value_parser = address)]
    operator: Option<Address>,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// File that `node keys log export` wrote
    file: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: LogCommand) -> anyhow::Result<()> {
    match command {
        LogCommand::Export(args) => export(&args),
        LogCommand::Import(args) => import(&args),
        LogCommand::Inspect(args) => inspect(&args),
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
    let data = args.data.resolve()?;
    match data.access()? {
        Access::Open(store, identity) => {
            let operator = operator_of(args.operator, &data)?;
            let domain = domain_of(&identity)?;
            let (queue, guard) = WriteQueue::new(store)?;
            let out = file.as_file_mut();
            signing_log::export(&queue, &domain, operator, out, progress("written"))?;
            guard.close()?;
        }
        Access::Asked(running) => download(&running, args.operator, file.as_file_mut())?,
    }
    file.as_file().sync_all()?;
    // Read back, so that what is summed up is what the file holds.
    let summary = signing_log::inspect(file.reopen()?)?;
    file.persist_noclobber(&output)
        .with_context(|| format!("cannot write {}", output.display()))?;
    if args.data.json {
        let value = json!({ "file": output, "log": summary });
        output::json(&value)?;
        return Ok(());
    }
    output::text(facts(&summary, false))?;
    output::line(format!("\nWritten to {}.", output.display()))?;
    Ok(())
}

/// Whose log it is: a store does not say which of its logs is meant.
fn operator_of(named: Option<Address>, data: &Data) -> anyhow::Result<Address> {
    if let Some(operator) = named {
        return Ok(operator);
    }
    let configured = data.options.operator.as_deref().ok_or_else(|| {
        Usage("no operator: give --operator, its address, or --config, a file with it".into())
    })?;
    let wrong = |_| Usage(format!("operator {configured:?} is no address"));
    Ok(configured.parse().map_err(wrong)?)
}

fn download(running: &Running, operator: Option<Address>, out: &mut File) -> anyhow::Result<()> {
    let path = match operator {
        Some(operator) => format!("/signing-log?operator={operator}"),
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

fn import(args: &LogImportArgs) -> anyhow::Result<()> {
    let path = expand_home(&args.file)?;
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let data = args.data.resolve()?;
    let operator = operator_of(args.operator, &data)?;
    let (store, identity) = store_for(&data, &path)?;
    let domain = domain_of(&identity)?;
    let (queue, guard) = WriteQueue::new(store)?;
    let summary = signing_log::import(&queue, &domain, operator, file, progress("read"))?;
    drop(queue);
    guard.close()?;
    if args.data.json {
        output::json(&json!({ "log": summary }))?;
        return Ok(());
    }
    output::text(facts(&summary, true))?;
    if !summary.usable {
        output::note(
            "warning: the file is older than what this store lacks, or was made from a log that was not \
             whole itself: nothing is signed with it",
        );
    }
    Ok(())
}

fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let path = expand_home(&args.file)?;
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let summary = signing_log::inspect(file)?;
    match args.json {
        true => output::json(&json!({ "log": summary }))?,
        false => output::text(facts(&summary, false))?,
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

/// Shows the progress on a terminal.
fn progress(what: &'static str) -> impl FnMut(u64) {
    let watched = std::io::stderr().is_terminal();
    move |entries| {
        if watched {
            let mut terminal = std::io::stderr();
            let _ = write!(terminal, "\r{entries} entries {what} …\r");
        }
    }
}

fn facts(log: &LogSummary, imported: bool) -> Facts {
    let word = |yes: bool| if yes { "yes" } else { "no" };
    let mut facts = Facts::default();
    facts.add("Operator", &log.operator);
    for key in &log.signing_keys {
        facts.add("Signing key", key);
    }
    facts.add("Entries", log.entries.to_string());
    if imported {
        facts.add("Added", log.added.to_string());
    }
    match &log.begins_with {
        Some(key) => facts.add(
            "Complete",
            format!("no: it begins with {key}, what other keys signed before may be missing"),
        ),
        None => facts.add("Complete", word(log.complete)),
    }
    facts.add("Goes to", format::time_ms(log.sequence));
    if imported {
        facts.add("Signs now", word(log.usable));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_summed_up() {
        let log = LogSummary {
            operator: "0x22".into(),
            signing_keys: vec!["0x11".into(), "0x33".into()],
            sequence: 0,
            complete: true,
            begins_with: None,
            entries: 12,
            added: 3,
            usable: false,
        };
        let text = facts(&log, true).to_string();
        for part in [
            "0x22",
            "0x11",
            "0x33",
            "12",
            "3",
            "Complete",
            "yes",
            "Signs now",
            "no",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!facts(&log, false).to_string().contains("Signs now"));
        let young = LogSummary {
            begins_with: Some("0x33".into()),
            complete: false,
            ..log
        };
        let text = facts(&young, false).to_string();
        assert!(text.contains("it begins with 0x33"), "{text}");
    }
}
