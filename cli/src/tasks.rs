//! `node explain` and `node tasks`: what became of tasks, and why.

mod events;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod live;

use clap::Args;
use libp2p::Multiaddr;
use quorate_node::api::{OperatorReport, TaskLine, TaskReport, Timeline, TransferReport};
use quorate_node::client::{Client, ClientError, TransferQuestion};
use quorate_proto::wire::ErrorCode;
use quorate_proto::{Statement, U256};

use crate::bridge::show;
use crate::exit::{NegativeAnswer, Usage};
use crate::format;
use crate::http::NodeArgs;
use crate::output;
use crate::table::{Facts, Table};

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// Task id, or its first digits
    #[arg(required_unless_present = "live")]
    task: Option<String>,

    /// Follow all tasks as they happen, until Ctrl-C; with --json one object a line
    #[arg(long, conflicts_with = "task")]
    live: bool,

    /// Ask an operator over the network instead of a node over HTTP: its multiaddr
    #[arg(long, value_name = "MULTIADDR")]
    peer: Option<Multiaddr>,

    /// Network id, where the operator named by --peer serves several
    #[arg(long, value_name = "ID", env = "QUORATE_NETWORK", requires = "peer")]
    network: Option<String>,

    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct TasksListArgs {
    /// How many, newest first
    #[arg(long, default_value_t = 20)]
    limit: usize,

    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) async fn explain(args: ExplainArgs) -> anyhow::Result<()> {
    let Some(task) = &args.task else {
        return live::follow(&args).await;
    };
    let digits = task.strip_prefix("0x").unwrap_or(task);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(not_a_task(task));
    }
    let timeline = match &args.peer {
        Some(peer) => ask(peer, &args, digits).await?,
        None => args.node.get(&format!("/tasks/{digits}/timeline")).await?,
    };
    match args.node.json {
        true => output::json(&timeline)?,
        false => {
            output::text(render(&timeline))?;
            if let Some(transfer) = transfer_of(&args, &timeline).await? {
                output::text(format!("\n{}", show::part(&transfer)))?;
            }
        }
    }
    Ok(())
}

/// The transfer that a task is about, where the node serves its route.
async fn transfer_of(
    args: &ExplainArgs,
    timeline: &Timeline,
) -> anyhow::Result<Option<TransferReport>> {
    let statement = timeline.task.statement.statement();
    let Some(peer) = &args.peer else {
        return show::about(&args.node, &statement).await;
    };
    let Statement::Transfer(transfer) = &statement else {
        return Ok(None);
    };
    let question = TransferQuestion::Number {
        route: transfer.route.id(),
        nonce: transfer.nonce,
    };
    match connect(peer, args).await?.transfer(question).await {
        Ok(news) => Ok(Some(news.report)),
        Err(ClientError::Failed(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn ask(peer: &Multiaddr, args: &ExplainArgs, digits: &str) -> anyhow::Result<Timeline> {
    let client = connect(peer, args).await?;
    match client.timeline_of(digits).await {
        Ok(timeline) => Ok(timeline),
        Err(ClientError::Failed(failure)) if failure.code == ErrorCode::Invalid => {
            Err(Usage(failure.message).into())
        }
        Err(ClientError::Failed(failure)) => Err(NegativeAnswer(failure.message).into()),
        Err(error) => Err(error.into()),
    }
}

async fn connect(peer: &Multiaddr, args: &ExplainArgs) -> anyhow::Result<Client> {
    use anyhow::Context as _;
    Client::connect(peer, args.network.as_deref())
        .await
        .context("no answer; correct --peer, or ask another operator")
}

fn not_a_task(text: &str) -> anyhow::Error {
    let text = format!("{text:?} is no task id; it has 64 hexadecimal digits, or its first ones");
    Usage(text).into()
}

pub(crate) async fn list(args: TasksListArgs) -> anyhow::Result<()> {
    let lines: Vec<TaskLine> = args
        .node
        .get(&format!("/tasks?limit={}", args.limit))
        .await?;
    match args.node.json {
        true => output::json(&lines)?,
        false if lines.is_empty() => output::line("This node has seen no task yet.")?,
        false => output::text(task_table(&lines))?,
    }
    Ok(())
}

fn task_table(lines: &[TaskLine]) -> Table {
    let mut table = Table::new(&[
        "FIRST SEEN",
        "STATUS",
        ">AFTER",
        ">CHAIN",
        ">BLOCK",
        ">NEXT",
        ">EPOCH",
        "TASK",
    ]);
    for line in lines {
        table.row([
            format::time_ms(line.created_ms),
            line.status.clone(),
            line.certified_ms.map(format::millis).unwrap_or_default(),
            line.chain_id.map(text).unwrap_or_default(),
            line.block_number.map(text).unwrap_or_default(),
            line.next_epoch.map(text).unwrap_or_default(),
            line.epoch.to_string(),
            line.task_id.clone(),
        ]);
    }
    table
}

fn text(number: impl ToString) -> String {
    number.to_string()
}

pub(crate) fn render(timeline: &Timeline) -> String {
    let report = &timeline.task;
    format!(
        "{}{}\n{}{}\n{}",
        facts(report),
        providers(report),
        events::table(timeline),
        operators(report),
        weights(report)
    )
}

fn facts(report: &TaskReport) -> Facts {
    let mut facts = Facts::default();
    facts.add("Task", &report.task_id);
    let statement = report.statement.statement();
    facts.add("Statement", statement.words().says);
    // A vote is true of no time.
    let since = Some(statement.fact_time()).filter(|time| *time > 0);
    facts.add_some("True since", since.map(format::time));
    facts.add("Epoch", statement.epoch());
    facts.add("Digest", &report.statement.digest);
    facts.add("Status", status(report));
    facts.add(
        "First seen",
        format!("{}, {}", format::time_ms(report.created_ms), origin(report)),
    );
    let announced = (report.attempts > 0).then(|| format::count(report.attempts as usize, "time"));
    facts.add_some("Announced", announced);
    facts.add_some("Own read", own_read(report));
    facts
}

fn own_read(report: &TaskReport) -> Option<String> {
    let took = report.read_ms.map(format::millis)?;
    let block = match (report.read_at_number, report.read_at_block.as_deref()) {
        (Some(number), Some(hash)) => format!(" at block {number} ({})", format::short(hash)),
        (None, Some(hash)) => format!(" at block {}", format::short(hash)),
        _ => String::new(),
    };
    let basis = match report.read_basis.as_deref() {
        Some("proof") => ", proven",
        Some("vote") => ", by vote of the providers",
        _ => "",
    };
    Some(format!("{took}{block}{basis}"))
}

/// What each provider said in this node's own read; empty where it read nothing.
fn providers(report: &TaskReport) -> String {
    if report.providers.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["PROVIDER", "ASKED FOR", "SAID", ">AFTER", "DETAIL"]);
    for line in &report.providers {
        table.row([
            line.provider.clone(),
            line.question.clone(),
            line.answer.clone(),
            format::millis(line.ms),
            line.detail.clone().unwrap_or_default(),
        ]);
    }
    format!("\n{table}")
}

fn status(report: &TaskReport) -> String {
    let took = report
        .certified_ms
        .map(|ms| format!(", certified after {}", format::millis(ms)));
    #[allow(clippy::cast_precision_loss)]
    let ended = report.ended_ms.filter(|_| took.is_none()).map(|ms| {
        format!(
            " after {}",
            format::millis(ms.saturating_sub(report.created_ms) as f64)
        )
    });
    // What an expired task lacked is told by the tables below.
    let told = report.status == "expired" && report.threshold.is_some();
    let failure = report
        .failure
        .as_ref()
        .filter(|_| !told)
        .map(|reason| format!(": {reason}"));
    let parts = [took, ended, failure].into_iter().flatten();
    parts.fold(report.status.clone(), |text, part| text + &part)
}

fn origin(report: &TaskReport) -> String {
    let is_asked = report.statement.statement().is_asked_by_users();
    match (&report.announced_by, report.entry) {
        (_, true) if !is_asked => "announced by this node".into(),
        (_, true) => "asked by a user of this node".into(),
        (Some(operator), false) => format!("announced by {operator}"),
        (None, false) => "announced by the mesh".into(),
    }
}

fn operators(report: &TaskReport) -> Table {
    let mut table = Table::new(&[
        "OPERATOR",
        ">WEIGHT",
        ">SHARE",
        "OUTCOME",
        "READ",
        ">SEEN",
        ">AFTER",
        "CERTIFICATE",
        "REASON",
    ]);
    let mut operators: Vec<&OperatorReport> = report.operators.iter().collect();
    operators.sort_by(|a, b| {
        order(a)
            .partial_cmp(&order(b))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    for operator in operators {
        table.row(row(operator, report));
    }
    table
}

/// Who signed, who refused, who is silent; each in the order of their answers.
fn order(operator: &OperatorReport) -> (u8, f64) {
    let rank = match operator.outcome.as_str() {
        "signed" => 0,
        "refused" => 1,
        _ => 2,
    };
    (rank, operator.after_ms.unwrap_or(f64::MAX))
}

fn row(operator: &OperatorReport, report: &TaskReport) -> [String; 9] {
    let late = if operator.late { ", late" } else { "" };
    let reason = [operator.code.as_deref(), operator.detail.as_deref()];
    let reason: Vec<&str> = reason
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
        .collect();
    let within = report.certificate_signers.contains(&operator.operator);
    [
        operator.operator.clone(),
        operator
            .weight
            .as_deref()
            .map(format::amount_text)
            .unwrap_or_default(),
        operator
            .weight
            .as_deref()
            .map(|weight| share(report, weight))
            .unwrap_or_default(),
        format!("{}{late}", operator.outcome),
        operator.read_basis.clone().unwrap_or_default(),
        operator.seen_ms.map(format::millis).unwrap_or_default(),
        operator.after_ms.map(format::millis).unwrap_or_default(),
        if within {
            "in it".into()
        } else {
            String::new()
        },
        reason.join(": "),
    ]
}

fn weights(report: &TaskReport) -> Facts {
    let shown = |text: &str| match share(report, text).as_str() {
        "-" => format::amount_text(text),
        share => format!("{} ({share})", format::amount_text(text)),
    };
    let mut facts = Facts::default();
    facts.add("Signed", shown(&report.signed_weight));
    facts.add("Refused", shown(&report.refused_weight));
    facts.add_some("Needed", report.threshold.as_deref().map(shown));
    facts.add_some("Missing", report.missing_weight.as_deref().map(shown));
    facts.add_some(
        "Total",
        report.total_weight.as_deref().map(format::amount_text),
    );
    facts
}

fn share(report: &TaskReport, weight: &str) -> String {
    let total: Option<U256> = report
        .total_weight
        .as_deref()
        .and_then(|total| total.parse().ok());
    match (weight.parse(), total) {
        (Ok(part), Some(total)) => format::percent(part, total),
        _ => "-".into(),
    }
}

#[cfg(test)]
mod tests;
