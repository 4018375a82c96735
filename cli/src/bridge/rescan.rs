//! `node bridge rescan`: has a node read blocks of a source again.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use quorate_node::api::{BridgeReport, RescanReport};
use quorate_proto::B256;

use super::{TokenArgs, route_id};
use crate::exit::NegativeAnswer;
use crate::http::NodeArgs;
use crate::output;

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// Looks between two notes of it.
const NOTED: u32 = 10;

#[derive(Args, Debug)]
pub(crate) struct RescanArgs {
    /// The route, as `node bridge status` has it, or its id
    route: String,

    /// The first block of the source chain
    #[arg(long, value_name = "BLOCK")]
    from: u64,

    /// The last one; the newest final block where left out
    #[arg(long, value_name = "BLOCK")]
    to: Option<u64>,

    #[command(flatten)]
    token: TokenArgs,

    #[command(flatten)]
    node: NodeArgs,
}

pub(super) async fn run(args: &RescanArgs) -> anyhow::Result<()> {
    let (route, token) = (route_id(&args.route)?, args.token.read()?);
    let to = args.to.map(|to| format!("&to={to}")).unwrap_or_default();
    let path = format!("/bridge/rescan?route={route}&from={}{to}", args.from);
    args.node.post(&path, &token).await?;
    output::note("reading again; Ctrl-C cancels");
    tokio::select! {
        ended = watch(args, route) => print(args, &ended?),
        _ = tokio::signal::ctrl_c() => {
            args.node.post("/bridge/rescan/cancel", &token).await?;
            Err(NegativeAnswer("cancelled; what was found is kept".to_owned()).into())
        }
    }
}

async fn watch(args: &RescanArgs, route: B256) -> anyhow::Result<RescanReport> {
    for look in 0_u32.. {
        let report: BridgeReport = args.node.get("/bridge").await?;
        let report = report.rescan.filter(|one| one.route == route.to_string());
        let report = report.context("the node was restarted meanwhile; begin again")?;
        if report.state != "running" {
            return Ok(report);
        }
        if look.is_multiple_of(NOTED) {
            output::note(progress(&report));
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("no end came")
}

fn progress(report: &RescanReport) -> String {
    let problem = report.problem.as_ref().map(|text| format!("; {text}"));
    let (done, all) = (
        report.next.saturating_sub(report.from),
        report.to.saturating_sub(report.from).saturating_add(1),
    );
    format!(
        "{done} of {all} blocks; {} seen, {} of them missed before{}",
        report.seen,
        report.found,
        problem.unwrap_or_default()
    )
}

fn print(args: &RescanArgs, report: &RescanReport) -> anyhow::Result<()> {
    match args.node.json {
        true => output::json(report)?,
        false => output::line(format!("{}: {}", report.state, progress(report)))?,
    }
    match report.state.as_str() {
        "done" => Ok(()),
        "cancelled" => Err(NegativeAnswer("it was cancelled".to_owned()).into()),
        _ => {
            bail!("not all blocks were read; `node providers` shows how the chain's providers fare")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_counts_blocks_and_what_was_missed() {
        let report = RescanReport {
            route: "0x01".to_owned(),
            from: 10,
            to: 19,
            next: 15,
            seen: 3,
            found: 1,
            state: "running".to_owned(),
            problem: Some("no quorum".to_owned()),
        };
        assert_eq!(
            progress(&report),
            "5 of 10 blocks; 3 seen, 1 of them missed before; no quorum"
        );
    }
}
