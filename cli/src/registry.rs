//! `node registry …`: who takes part, as a registry sees it, and what became of operators.

use std::path::PathBuf;

use alloy::transports::http::reqwest::Url;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_node::api::{EventLine, Events, MemberLine, Operators};
use quorate_node::keys::read_text;
use quorate_proto::Address;

use crate::format;
use crate::http::NodeArgs;
use crate::options::{address, expand_home};
use crate::output;
use crate::table::Table;

#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// List all operators that ever registered, and their status
    Members(MembersArgs),
    /// List what became of operators, newest first
    Events(EventsArgs),
    /// Let a suspended operator serve again
    Reinstate(ReinstateArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ReinstateArgs {
    /// Address of the operator
    #[arg(value_parser = address)]
    operator: Address,

    /// File with the registry's token: registry.token in its data_dir
    #[arg(
        long,
        value_name = "FILE",
        env = "QUORATE_TOKEN_FILE",
        default_value = "~/.quorate/registry/registry.token"
    )]
    token_file: PathBuf,

    /// Why, for the event log
    #[arg(long)]
    reason: Option<String>,

    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct MembersArgs {
    /// Only operators with this status: waitingJoin, waitingActive, active, unactive, suspended
    #[arg(long)]
    status: Option<String>,

    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct EventsArgs {
    /// How many, at most 500
    #[arg(long, default_value_t = 50)]
    limit: usize,

    /// Only events older than the one with this number
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,

    /// Only events of this operator
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    operator: Option<Address>,

    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) async fn run(command: RegistryCommand) -> anyhow::Result<()> {
    match command {
        RegistryCommand::Members(args) => members(args).await,
        RegistryCommand::Events(args) => events(args).await,
        RegistryCommand::Reinstate(args) => reinstate(args).await,
    }
}

async fn reinstate(args: ReinstateArgs) -> anyhow::Result<()> {
    let file = expand_home(&args.token_file)?;
    let token = read_text(&file).with_context(|| {
        format!(
            "cannot read the token {}; run this on the registry's machine, as its user, with --token-file",
            file.display()
        )
    })?;
    let operator = args.operator;
    let mut path = Url::parse("http://node")?;
    path.set_path(&format!("/operators/{operator}/reinstate"));
    if let Some(reason) = &args.reason {
        path.query_pairs_mut().append_pair("reason", reason);
    }
    let (place, query) = (path.path(), path.query());
    let target = query.map_or_else(|| place.to_owned(), |query| format!("{place}?{query}"));
    args.node.post(&target, token.trim()).await?;
    output::line(format!("Reinstated {operator}."))?;
    Ok(())
}

async fn members(args: MembersArgs) -> anyhow::Result<()> {
    let page: Operators = args.node.get("/operators").await?;
    let wanted = |line: &MemberLine| args.status.as_ref().is_none_or(|s| *s == line.status);
    let lines: Vec<MemberLine> = page.members.into_iter().filter(wanted).collect();
    match args.node.json {
        true => output::json(&lines)?,
        false if lines.is_empty() => {
            output::line("No such member. Only registries keep members: is --http one's address?")?;
        }
        false => output::text(member_table(&lines))?,
    }
    Ok(())
}

fn member_table(lines: &[MemberLine]) -> Table {
    let mut table = Table::new(&[
        "OPERATOR",
        "STATUS",
        "SINCE",
        ">FROM",
        ">UNTIL",
        ">WEIGHT",
        ">MISSES",
        ">ANSWERS",
        "LAST SEEN",
        ">LATENCY",
        "PEER",
        "CAUSE",
    ]);
    let number = |epoch: Option<u32>| epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
    for line in lines {
        table.row([
            line.operator.clone(),
            line.status.clone(),
            format::time_ms(line.since_ms),
            number(line.active_epoch),
            number(line.exit_epoch),
            line.weight
                .as_deref()
                .map(format::amount_text)
                .unwrap_or_default(),
            line.misses.to_string(),
            line.successful_responses.to_string(),
            line.last_seen_ms.map(format::time_ms).unwrap_or_default(),
            line.latency_ms.map(format::millis).unwrap_or_default(),
            line.peer_id.clone().unwrap_or_default(),
            line.cause.clone(),
        ]);
    }
    table
}

async fn events(args: EventsArgs) -> anyhow::Result<()> {
    let mut path = format!("/events?limit={}", args.limit);
    if let Some(before) = args.before {
        path.push_str(&format!("&before={before}"));
    }
    if let Some(operator) = args.operator {
        path.push_str(&format!("&operator={operator}"));
    }
    let page: Events = args.node.get(&path).await?;
    match args.node.json {
        true => output::json(&page)?,
        false if page.events.is_empty() => output::line("No such events.")?,
        false => {
            output::text(event_table(&page.events))?;
            if let Some(before) = page.before {
                output::line(format!("Older ones: --before {before}"))?;
            }
        }
    }
    Ok(())
}

fn event_table(lines: &[EventLine]) -> Table {
    let mut table = Table::new(&[
        ">NUMBER", "TIME", ">BLOCK", "OPERATOR", "FROM", "TO", "CAUSE", "NOTE",
    ]);
    for line in lines {
        table.row([
            line.sequence.to_string(),
            format::time_ms(line.at_ms),
            line.block.to_string(),
            line.operator.clone(),
            line.from.clone().unwrap_or_else(|| "unknown".into()),
            line.to.clone(),
            line.cause.clone(),
            line.note.clone(),
        ]);
    }
    table
}
