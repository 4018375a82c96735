//! `node request`: asks an operator for a certificate, as any user of the network would.

mod failure;
mod live;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use libp2p::Multiaddr;
use quorate_node::client::{Answer, At, Client, ClientError, StateQuestion};
use quorate_proto::{Address, Epoch, ReadBasis, TaskId, U256};

use crate::certificate::CertificateFile;
use crate::exit::Usage;
use crate::format;
use crate::options::{address, unix_seconds};
use crate::output;

use self::live::Live;

/// The operator that was asked may have made up everything: this command trusts no set, so it checks none.
const UNVERIFIED: &str = "Nothing of it is verified yet: check it with `node verify`.";

#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// Certify the value that a user stored under a key on a chain
    State(StateArgs),
    /// Fetch the certificate of a task that was certified before
    Certificate(TaskArgs),
}

/// Whom to ask, and what to do with the answer.
#[derive(Args, Debug)]
pub(crate) struct AskArgs {
    /// Multiaddr of an operator, such as /ip4/192.0.2.1/tcp/9000; with /p2p/<peer id> no other
    /// peer can answer in its place
    #[arg(long, value_name = "MULTIADDR", env = "QUORATE_TO")]
    to: Multiaddr,

    /// Network id (home chain id and registry), where the operator serves several
    #[arg(long, value_name = "ID", env = "QUORATE_NETWORK")]
    network: Option<String>,

    /// Seconds to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,

    /// Print the certificate as JSON
    #[arg(long)]
    json: bool,

    /// Also write the certificate as JSON to this file; `node verify` reads it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("at").required(true))]
pub(crate) struct StateArgs {
    /// EIP-155 id of the chain
    #[arg(long, value_name = "ID")]
    chain: u32,

    /// Address of the account that stored the value
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    user: Address,

    /// Key, decimal or hexadecimal with 0x
    #[arg(long)]
    key: U256,

    /// As of this block
    #[arg(long, value_name = "NUMBER", group = "at")]
    block: Option<u64>,

    /// As of the last block at or before this time, in Unix seconds
    #[arg(long, value_name = "SECONDS", group = "at", value_parser = unix_seconds)]
    timestamp: Option<u64>,

    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Args, Debug)]
pub(crate) struct TaskArgs {
    /// Task id
    task: String,

    #[command(flatten)]
    ask: AskArgs,
}

pub(crate) async fn run(command: RequestCommand) -> anyhow::Result<()> {
    match command {
        RequestCommand::State(args) => state(&args).await,
        RequestCommand::Certificate(args) => certificate(&args).await,
    }
}

async fn state(args: &StateArgs) -> anyhow::Result<()> {
    let at = match (args.block, args.timestamp) {
        (Some(block), _) => At::Block(block),
        (None, Some(seconds)) => At::Timestamp(seconds),
        (None, None) => return Err(Usage("give --block or --timestamp".into()).into()),
    };
    let question = StateQuestion {
        chain_id: args.chain,
        user: args.user,
        key: args.key,
        at,
    };
    let client = connect(&args.ask).await?;
    let live = RefCell::new(Live::new());
    let started = Instant::now();
    let answer = client.request_state(&question, |progress| live.borrow_mut().update(progress));
    let answer = limited(&args.ask, with_clock(&live, answer)).await?;
    finish(&args.ask, &client, &answer, started.elapsed()).await
}

async fn certificate(args: &TaskArgs) -> anyhow::Result<()> {
    let task = task_id(&args.task)?;
    let client = connect(&args.ask).await?;
    let started = Instant::now();
    let answer = limited(&args.ask, client.certificate(task)).await?;
    finish(&args.ask, &client, &answer, started.elapsed()).await
}

async fn connect(args: &AskArgs) -> anyhow::Result<Client> {
    Client::connect(&args.to, args.network.as_deref())
        .await
        .context("no answer; correct --to, or ask another operator")
}

/// Redraws the line while nothing happens, so that the time on it runs.
async fn with_clock<T>(live: &RefCell<Live>, answer: impl Future<Output = T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    tokio::pin!(answer);
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            _ = ticks.tick() => live.borrow_mut().draw(),
        }
    };
    live.borrow_mut().clear();
    answer
}

/// Waits for an answer as long as was asked for; a failure is told in full.
async fn limited(
    args: &AskArgs,
    answer: impl Future<Output = Result<Answer, ClientError>>,
) -> anyhow::Result<Answer> {
    let limit = Duration::from_secs(args.timeout);
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(ClientError::Failed(failure))) => failure::tell(&failure, args.json),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => anyhow::bail!(
            "no answer within {} s; ask again, with a longer --timeout, or another operator",
            args.timeout
        ),
    }
}

async fn finish(
    args: &AskArgs,
    client: &Client,
    answer: &Answer,
    elapsed: Duration,
) -> anyhow::Result<()> {
    let mut file = CertificateFile::new(answer, client.network(), elapsed);
    if (args.json || args.out.is_some())
        && let Ok(signers) = client.epoch_update(Epoch(file.epoch)).await
    {
        file = file.with_compact(&signers.set);
    }
    let json = serde_json::to_string_pretty(&file)? + "\n";
    if let Some(path) = &args.out {
        write_out(path, &json)?;
    }
    if args.json {
        output::text(json)?;
        return Ok(());
    }
    let signers = format::count(file.signers.len(), "operator");
    let from = if file.stored {
        ", from the operator's store"
    } else {
        ""
    };
    #[allow(clippy::cast_precision_loss)]
    let took = format::millis(elapsed.as_micros() as f64 / 1_000.0);
    let reads = reads(&answer.read_bases);
    output::text(format!(
        "Claimed to be signed by {signers}, in {took}{from}{reads}. {UNVERIFIED}\n\n{file}"
    ))?;
    if let Some(path) = &args.out {
        output::line(format!("\nWritten to {}.", path.display()))?;
    }
    Ok(())
}

/// How the signers are said to know what they read.
fn reads(bases: &[ReadBasis]) -> String {
    let words = [(ReadBasis::Proof, "proof"), (ReadBasis::Vote, "vote")];
    let counted = words.map(|(basis, word)| {
        let count = bases.iter().filter(|said| **said == basis).count();
        (count > 0).then(|| format!("{count} by {word}"))
    });
    let counted: Vec<String> = counted.into_iter().flatten().collect();
    match counted.is_empty() {
        true => String::new(),
        false => format!("; said to have read {}", counted.join(", ")),
    }
}

fn write_out(path: &Path, json: &str) -> anyhow::Result<()> {
    std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a task id as people write it.
pub(crate) fn task_id(text: &str) -> anyhow::Result<TaskId> {
    text.parse().map_err(|_| {
        Usage(format!(
            "{text:?} is no task id; it has 64 hexadecimal digits"
        ))
        .into()
    })
}
