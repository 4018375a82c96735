//! `node evidence`: who signed two facts for one slot, what proves it, and how it gets to the judge.

mod file;
mod submit;
mod verify;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use libp2p::Multiaddr;
use quorate_node::client::{Client, EvidenceQuestion};
use quorate_proto::{Address, EvidenceId};
use serde::Deserialize;
use serde_json::json;

pub(crate) use self::file::EvidenceFile;
use crate::certificate::domain_of;
use crate::exit::{NegativeAnswer, Usage};
use crate::format;
use crate::http::NodeArgs;
use crate::options::address;
use crate::output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// List the evidence that a node holds
    List(EvidenceListArgs),
    /// Show one piece of evidence: both statements with their signatures
    Show(EvidenceShowArgs),
    /// Check evidence against operator sets, with the keys on the home chain, or both
    Verify(verify::EvidenceVerifyArgs),
    /// Send evidence to the judge on the home chain, which jails the operator
    Submit(submit::SubmitArgs),
}

/// Whom to ask.
#[derive(Args, Debug)]
struct SourceArgs {
    /// Multiaddr of an operator or registry to ask instead of a node of one's own
    #[arg(long, value_name = "MULTIADDR")]
    to: Option<Multiaddr>,

    /// Network id, where the peer at --to serves several
    #[arg(long, value_name = "ID", requires = "to")]
    network: Option<String>,

    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct EvidenceListArgs {
    /// Only evidence against this operator
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    operator: Option<Address>,

    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct EvidenceShowArgs {
    /// Id of the evidence, as `node evidence list` prints it
    id: String,

    #[command(flatten)]
    source: SourceArgs,
}

/// `GET /evidence`.
#[derive(Deserialize)]
struct Page {
    evidence: Vec<EvidenceFile>,
    after: Option<String>,
}

pub(crate) async fn run(command: EvidenceCommand) -> anyhow::Result<()> {
    match command {
        EvidenceCommand::List(args) => list(&args).await,
        EvidenceCommand::Show(args) => show(&args).await,
        EvidenceCommand::Verify(args) => verify::run(&args).await,
        EvidenceCommand::Submit(args) => submit::run(&args).await,
    }
}

async fn list(args: &EvidenceListArgs) -> anyhow::Result<()> {
    let all = args.source.all(args.operator).await?;
    if args.source.node.json {
        let value = json!({ "evidence": all });
        output::json(&value)?;
    } else if all.is_empty() {
        output::line("No operator is known to have signed two facts for one slot.")?;
    } else {
        output::text(table(&all))?;
    }
    Ok(())
}

pub(crate) fn table(all: &[EvidenceFile]) -> Table {
    let mut table = Table::new(&["SINCE", "OPERATOR", "ABOUT", ">EPOCHS", "EVIDENCE"]);
    for file in all {
        let [first, second] = file.epochs();
        let epochs = match first == second {
            true => first.to_string(),
            false => format!("{first}, {second}"),
        };
        table.row([
            file.found_ms.map(format::time_ms).unwrap_or_default(),
            file.operator.to_string(),
            file.about(),
            epochs,
            file.id.to_string(),
        ]);
    }
    table
}

async fn show(args: &EvidenceShowArgs) -> anyhow::Result<()> {
    let file = args.source.one(id_of(&args.id)?).await?;
    match args.source.node.json {
        true => output::json(&file)?,
        false => output::text(file)?,
    }
    Ok(())
}

/// The id that a person wrote.
fn id_of(text: &str) -> Result<EvidenceId, Usage> {
    let wrong = |_| Usage("an id of evidence has 64 hexadecimal digits, with or without 0x".into());
    text.parse().map_err(wrong)
}

impl SourceArgs {
    async fn one(&self, id: EvidenceId) -> anyhow::Result<EvidenceFile> {
        let Some(address) = &self.to else {
            return self.node.get(&format!("/evidence/{id}")).await;
        };
        let question = EvidenceQuestion {
            id: Some(id),
            ..EvidenceQuestion::default()
        };
        let found = ask(address, self.network.as_deref(), question).await?;
        let missing = || NegativeAnswer(format!("evidence {id} is not known to that peer"));
        Ok(found.into_iter().next().ok_or_else(missing)?)
    }

    /// Page after page.
    async fn all(&self, operator: Option<Address>) -> anyhow::Result<Vec<EvidenceFile>> {
        if let Some(address) = &self.to {
            let question = EvidenceQuestion {
                operator,
                ..EvidenceQuestion::default()
            };
            return ask(address, self.network.as_deref(), question).await;
        }
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let mut query = Vec::new();
            query.extend(operator.map(|operator| format!("operator={operator}")));
            query.extend(after.map(|after| format!("after={after}")));
            let path = format!("/evidence?{}", query.join("&"));
            let page: Page = self.node.get(&path).await?;
            all.extend(page.evidence);
            match page.after {
                Some(last) => after = Some(last),
                None => return Ok(all),
            }
        }
    }
}

async fn ask(
    address: &Multiaddr,
    network: Option<&str>,
    mut question: EvidenceQuestion,
) -> anyhow::Result<Vec<EvidenceFile>> {
    let client = Client::connect(address, network)
        .await
        .context("correct --to, or ask another operator")?;
    let domain = domain_of(client.network())
        .with_context(|| format!("{:?} is no network id", client.network()))?;
    let mut all = Vec::new();
    loop {
        let page = client.evidence(&question).await?;
        let file = |(evidence, found_ms)| EvidenceFile::of(&evidence, &domain, Some(found_ms));
        let last = page.entries.last().map(|(evidence, _)| evidence.id());
        all.extend(page.entries.into_iter().map(file));
        // A peer that does not get further has no more.
        if !page.more || last <= question.after || question.id.is_some() {
            return Ok(all);
        }
        question.after = last;
    }
}

#[cfg(test)]
mod tests;
