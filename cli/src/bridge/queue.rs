//! `node bridge queue` and `node bridge fee`: what a relayer has to deliver, and what that costs.

use clap::Args;
use quorate_node::api::{BridgeReport, DeliveryLine, FeeReport};

use super::route_id;
use crate::format;
use crate::http::NodeArgs;
use crate::output;
use crate::table::{Facts, Table};

#[derive(Args, Debug)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct FeeArgs {
    /// The route, as `node bridge status` has it, or its id
    route: String,

    #[command(flatten)]
    node: NodeArgs,
}

pub(super) async fn queue(args: &QueueArgs) -> anyhow::Result<()> {
    let report: BridgeReport = args.node.get("/bridge").await?;
    match args.node.json {
        true => output::json(&report.under_way)?,
        false if report.under_way.is_empty() => {
            output::line(
                "Nothing waits for delivery here. Only relayers deliver: is --http one's address?",
            )?;
        }
        false => output::text(table(&report.under_way))?,
    }
    Ok(())
}

fn table(lines: &[DeliveryLine]) -> Table {
    let mut table = Table::new(&[
        "DELIVERY", "WHAT", ">CHAIN", "SENDER", "STATE", ">FAILED", "NEXT TRY", ">SPENT", "REASON",
    ]);
    for line in lines {
        table.row([
            line.id.clone(),
            line.about.clone(),
            line.chain.to_string(),
            format::short(&line.sender),
            line.state.clone(),
            line.failures.to_string(),
            line.next_try_ms.map(format::time_ms).unwrap_or_default(),
            format::amount_text(&line.spent),
            line.reason.clone().unwrap_or_default(),
        ]);
    }
    table
}

pub(super) async fn fee(args: &FeeArgs) -> anyhow::Result<()> {
    let route = route_id(&args.route)?;
    let report: FeeReport = args.node.get(&format!("/bridge/fees/{route}")).await?;
    match args.node.json {
        true => output::json(&report)?,
        false => output::text(fee_facts(&report))?,
    }
    Ok(())
}

fn fee_facts(report: &FeeReport) -> Facts {
    let from = match report.from_deliveries {
        0 => "as measured with 13 of 19 operators; none was delivered from here yet".to_owned(),
        count => format!("mean of the last {count} delivered from here"),
    };
    let mut facts = Facts::default();
    facts.add("Route", &report.route);
    facts.add("Gas", format!("{}, {from}", report.gas));
    facts.add("Base fee", format!("{} wei", report.base_fee));
    facts.add("Tip", format!("{} wei", report.tip));
    facts.add(
        "Fee",
        format!(
            "{} wei of chain {}'s coin ({})",
            report.fee,
            report.chain,
            format::amount_text(&report.fee)
        ),
    );
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_stands_in_a_row_with_what_holds_it_up() {
        let line = DeliveryLine {
            id: format!("0x{}", "ab".repeat(32)),
            chain: 10,
            sender: format!("0x{}", "11".repeat(20)),
            about: "transfer 8 from chain 1".to_owned(),
            state: "waiting".to_owned(),
            failures: 2,
            spent: "21000".to_owned(),
            next_try_ms: Some(1_700_000_000_000),
            reason: Some("no quorum".to_owned()),
            ended_ms: None,
        };
        let text = table(&[line]).to_string();
        for told in [
            "transfer 8 from chain 1",
            "waiting",
            "2023-11-14",
            "21 000",
            "no quorum",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }

    #[test]
    fn a_fee_says_where_its_gas_is_from() {
        let mut report = FeeReport {
            route: "1:0xaa@0>10:0xbb".to_owned(),
            chain: 10,
            gas: 155_500,
            from_deliveries: 0,
            base_fee: "7".to_owned(),
            tip: "1".to_owned(),
            fee: "1244000".to_owned(),
        };
        assert!(fee_facts(&report).to_string().contains("13 of 19"));
        report.from_deliveries = 3;
        assert!(fee_facts(&report).to_string().contains("the last 3"));
    }
}
