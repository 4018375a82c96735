//! `node bridge`: what a running node has of bridges.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_node::api::{BridgeReport, DeliveryLine};
use quorate_node::keys::read_text;
use quorate_proto::B256;

use crate::exit::NegativeAnswer;
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

    /// File with the relayer's token, from its data folder
    #[arg(
        long,
        value_name = "FILE",
        env = "QUORATE_TOKEN_FILE",
        default_value = "~/.quorate/relayer/relayer.token"
    )]
    token_file: PathBuf,

    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) async fn run(command: BridgeCommand) -> anyhow::Result<()> {
    match command {
        BridgeCommand::Status(args) => status(args).await,
        BridgeCommand::Retry(args) => retry(args).await,
    }
}

async fn retry(args: RetryArgs) -> anyhow::Result<()> {
    let file = expand_home(&args.token_file)?;
    let token = read_text(&file).with_context(|| {
        format!(
            "cannot read the token {}; run this on the relayer's machine, as its user, with --token-file",
            file.display()
        )
    })?;
    let target = format!("/deliveries/{}/retry", args.id);
    args.node.post(&target, token.trim()).await?;
    output::line(format!("Delivery {} is tried again.", args.id))?;
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
    if report.under_way.is_empty() && report.ended.is_empty() {
        return format!("{routes}\nNothing is on its way from here.\n");
    }
    format!("{routes}\n{deliveries}")
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
            under_way: Vec::new(),
            ended: Vec::new(),
        };
        assert!(render(&report).ends_with("\nNothing is on its way from here.\n"));
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
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }
}
