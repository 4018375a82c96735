//! `node bridge`: sends over bridges, follows what was sent, and what a running node has of them.

mod check;
mod follow;
mod queue;
mod rescan;
mod send;
pub(crate) mod show;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use quorate_node::api::{BridgeReport, DeliveryLine, VoteLine};
use quorate_node::keys::read_text;
use quorate_node::{BridgePlace, RouteText};
use quorate_proto::B256;

use crate::exit::{NegativeAnswer, Usage};
use crate::http::NodeArgs;
use crate::options::expand_home;
use crate::output;
use crate::table::Table;

#[derive(Subcommand, Debug)]
pub(crate) enum BridgeCommand {
    /// Routes, what is on its way, and what was not delivered
    Status(StatusArgs),
    /// Try a delivery again at once, also one that is a dead letter
    Retry(RetryArgs),
    /// Have an operator vote to stop a bridge, or to let it go on
    Vote(VoteArgs),
    /// Send coin or tokens to another chain, and follow them until they are paid there
    Send(Box<send::SendArgs>),
    /// Show all that a node knows of a transfer, from its event to its payout
    Show(Box<show::ShowArgs>),
    /// Show what waits for delivery at a relayer
    Queue(queue::QueueArgs),
    /// Show what a delivery costs its relayer now
    Fee(queue::FeeArgs),
    /// Have a node read blocks of a source chain again, for transfers that it missed
    Rescan(rescan::RescanArgs),
}

/// What shows that a caller owns a node.
#[derive(Args, Debug)]
struct TokenArgs {
    /// File with the node's token, from its data folder: relayer.token or operator.token
    #[arg(
        long,
        value_name = "FILE",
        env = "QUORATE_TOKEN_FILE",
        default_value = "~/.quorate/relayer/relayer.token"
    )]
    token_file: PathBuf,
}

impl TokenArgs {
    fn read(&self) -> anyhow::Result<String> {
        token(&self.token_file, "node")
    }
}

/// A route as people write it.
fn route_of(text: &str) -> Result<RouteText, String> {
    text.parse()
}

/// The hash of a route, which may be written itself.
fn route_id(text: &str) -> anyhow::Result<B256> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let route = route_of(text).map_err(Usage)?;
    Ok(route.route.id())
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RetryArgs {
    /// Id of the delivery, as `node bridge status --json` has it
    id: B256,

    #[command(flatten)]
    token: TokenArgs,

    #[command(flatten)]
    node: NodeArgs,
}

/// What an operator says about a bridge.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// It stops
    Pause,
    /// It goes on
    Resume,
    /// Nothing any more; what was signed stays signed
    Withdraw,
}

#[derive(Args, Debug)]
pub(crate) struct VoteArgs {
    /// What the operator says
    vote: Choice,

    /// The bridge, as CHAIN:CONTRACT; on a route of the operator
    #[arg(long)]
    bridge: BridgePlace,

    /// File with the operator's token, from its data folder
    #[arg(
        long,
        value_name = "FILE",
        env = "QUORATE_TOKEN_FILE",
        default_value = "~/.quorate/operator/operator.token"
    )]
    token_file: PathBuf,

    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) async fn run(command: BridgeCommand) -> anyhow::Result<()> {
    match command {
        BridgeCommand::Status(args) => status(args).await,
        BridgeCommand::Retry(args) => retry(args).await,
        BridgeCommand::Vote(args) => vote(args).await,
        BridgeCommand::Send(args) => send::run(&args).await,
        BridgeCommand::Show(args) => show::run(&args).await,
        BridgeCommand::Queue(args) => queue::queue(&args).await,
        BridgeCommand::Fee(args) => queue::fee(&args).await,
        BridgeCommand::Rescan(args) => rescan::run(&args).await,
    }
}

async fn retry(args: RetryArgs) -> anyhow::Result<()> {
    let target = format!("/deliveries/{}/retry", args.id);
    args.node.post(&target, &args.token.read()?).await?;
    output::line(format!("Delivery {} is tried again.", args.id))?;
    Ok(())
}

fn token(file: &Path, whose: &str) -> anyhow::Result<String> {
    let file = expand_home(file)?;
    let text = read_text(&file).with_context(|| {
        format!(
            "cannot read the token {}; run this on the {whose}'s machine, as its user, with --token-file",
            file.display()
        )
    })?;
    Ok(text.trim().to_owned())
}

async fn vote(args: VoteArgs) -> anyhow::Result<()> {
    let (bridge, token) = (args.bridge, token(&args.token_file, "operator")?);
    let word = match args.vote {
        Choice::Pause => "pause",
        Choice::Resume => "resume",
        Choice::Withdraw => "withdraw",
    };
    let target = format!("/bridge/votes?bridge={bridge}&vote={word}");
    if args.vote == Choice::Withdraw {
        args.node.post(&target, &token).await?;
        output::line(format!("The vote about {bridge} is withdrawn."))?;
        return Ok(());
    }
    let vote: VoteLine = args.node.post_for(&target, &token).await?;
    if args.node.json {
        return output::json(&vote);
    }
    let sequence = vote.sequence;
    output::line(format!(
        "This operator votes to {word} {bridge}, as change {sequence}. `node bridge status` shows when enough operators do."
    ))?;
    Ok(())
}

async fn status(args: StatusArgs) -> anyhow::Result<()> {
    let report: BridgeReport = args.node.get("/bridge").await?;
    if args.node.json {
        output::json(&report)?;
    } else {
        output::text(render(&report))?;
    }
    let dead = report
        .ended
        .iter()
        .filter(|line| line.reason.is_some())
        .count();
    match dead {
        0 => Ok(()),
        dead => {
            Err(NegativeAnswer(format!("{dead} of the last deliveries are dead letters")).into())
        }
    }
}

fn render(report: &BridgeReport) -> String {
    let mut routes = Table::new(&["ROUTE", ">NEWEST", ">OPEN"]);
    for route in &report.routes {
        routes.row([
            route.route.clone(),
            route
                .newest
                .map_or_else(String::new, |newest| newest.to_string()),
            route.open.to_string(),
        ]);
    }
    let mut deliveries = Table::new(&["DELIVERY", ">CHAIN", "WHAT", "STATE", ">FAILED", "REASON"]);
    for line in &report.under_way {
        deliveries.row(row(line, "under way"));
    }
    for line in &report.ended {
        let state = if line.reason.is_some() {
            "dead letter"
        } else {
            "delivered"
        };
        deliveries.row(row(line, state));
    }
    let votes = votes(&report.votes);
    if report.under_way.is_empty() && report.ended.is_empty() {
        return format!("{routes}\n{votes}Nothing is on its way from here.\n");
    }
    format!("{routes}\n{votes}{deliveries}")
}

/// A table with an empty line after it, where there is one.
fn votes(votes: &[VoteLine]) -> String {
    if votes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["BRIDGE", ">CHANGE", "VOTE", "CERTIFIED"]);
    for vote in votes {
        let epoch = vote.certified_in;
        table.row([
            vote.bridge.clone(),
            vote.sequence.to_string(),
            if vote.paused { "pause" } else { "resume" }.to_owned(),
            epoch.map_or_else(|| "no".to_owned(), |epoch| format!("in epoch {epoch}")),
        ]);
    }
    format!("{table}\n")
}

fn row(line: &DeliveryLine, state: &str) -> [String; 6] {
    let id = line.id.get(..18).unwrap_or(&line.id);
    [
        id.to_owned(),
        line.chain.to_string(),
        line.about.clone(),
        state.to_owned(),
        line.failures.to_string(),
        line.reason.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use quorate_node::api::RouteReport;

    use super::*;

    #[test]
    fn routes_and_deliveries_stand_in_tables() {
        let line = |about: &str, reason: Option<&str>, ended_ms| DeliveryLine {
            id: format!("0x{}", "ab".repeat(32)),
            chain: 10,
            about: about.to_owned(),
            sender: String::new(),
            state: "waiting".to_owned(),
            spent: "0".to_owned(),
            failures: 1,
            next_try_ms: None,
            reason: reason.map(str::to_owned),
            ended_ms,
        };
        let mut report = BridgeReport {
            routes: vec![RouteReport {
                route: "1:0xaa@0>10:0xbb".to_owned(),
                id: "0x01".to_owned(),
                newest: Some(8),
                open: 1,
            }],
            votes: Vec::new(),
            under_way: Vec::new(),
            ended: Vec::new(),
            rescan: None,
        };
        assert!(render(&report).ends_with("\nNothing is on its way from here.\n"));
        report.votes = vec![VoteLine {
            bridge: "10:0xbb".to_owned(),
            sequence: 3,
            paused: true,
            certified_in: None,
        }];
        report.under_way = vec![line("transfer 8 from chain 1", None, None)];
        report.ended = vec![
            line("transfer 7 from chain 1", None, Some(1)),
            line(
                "transfer 6 from chain 1",
                Some("the fee is too low"),
                Some(2),
            ),
        ];
        let text = render(&report);
        for told in [
            "under way",
            "delivered",
            "dead letter",
            "the fee is too low",
            "0xabababababababab",
            "10:0xbb",
            "pause",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }
}
