//! `node bridge show`: all that a node knows of a transfer, from its event to its payout.

use std::time::Duration;

use clap::Args;
use quorate_node::api::{DeliveryReport, TransferPage, TransferReport};
use quorate_node::client::TransferQuestion;
use quorate_proto::{B256, Statement, StatementKind as _, Transfer};

use super::follow::{FollowArgs, detail, failed, follow};
use super::route_id;
use crate::exit::{NegativeAnswer, Usage};
use crate::format;
use crate::http::NodeArgs;
use crate::output;
use crate::table::{Facts, Table};
use crate::tasks;

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The route, as `node bridge status` has it or by its id; or, without a number, the transaction that sent it
    #[arg(value_name = "ROUTE|TRANSACTION")]
    what: String,

    /// Number of the transfer on its route
    nonce: Option<u64>,

    #[command(flatten)]
    peer: FollowArgs,

    /// Wait for what follows, and print a line for each stage, until it is paid or closed
    #[arg(long, requires = "peer")]
    follow: bool,

    /// Seconds to wait with --follow
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800)]
    timeout: u64,

    #[command(flatten)]
    node: NodeArgs,
}

pub(super) async fn run(args: &ShowArgs) -> anyhow::Result<()> {
    let question = match args.nonce {
        Some(nonce) => TransferQuestion::Number {
            route: route_id(&args.what)?,
            nonce,
        },
        None => TransferQuestion::Transaction {
            source: None,
            hash: transaction(&args.what)?,
        },
    };
    let pages = match args.peer.connect().await? {
        Some(client) if args.follow => {
            let limit = Duration::from_secs(args.timeout);
            let followed = follow(&client, question, limit, |_, line| {
                match args.node.json {
                    true => output::note(line),
                    false => output::line(line)?,
                }
                Ok(())
            });
            match followed.await? {
                Some(news) if args.node.json => output::json(&news.report)?,
                Some(_) | None => {}
            }
            return Ok(());
        }
        Some(client) => {
            let news = client.transfer(question).await.map_err(failed)?;
            let timeline = None;
            vec![TransferPage {
                transfer: news.report,
                timeline,
            }]
        }
        None => ask(&args.node, question).await?,
    };
    match args.node.json {
        true => output::json(&pages)?,
        false => output::text(pages.iter().map(render).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(())
}

async fn ask(node: &NodeArgs, question: TransferQuestion) -> anyhow::Result<Vec<TransferPage>> {
    match question {
        TransferQuestion::Number { route, nonce } => {
            let path = format!("/bridge/transfers/{route}/{nonce}");
            Ok(vec![node.get(&path).await?])
        }
        TransferQuestion::Transaction { hash, .. } => {
            let pages: Vec<TransferPage> = node.get(&format!("/bridge/sent/{hash}")).await?;
            match pages.is_empty() {
                false => Ok(pages),
                true => Err(NegativeAnswer(
                    "this node has seen nothing of that transaction at a final block; ask again in a while".to_owned(),
                )
                .into()),
            }
        }
    }
}

/// What a node over HTTP knows of the transfer that a task is about; `None` where it serves no such route.
pub(crate) async fn about(
    node: &NodeArgs,
    statement: &Statement,
) -> anyhow::Result<Option<TransferReport>> {
    let Statement::Transfer(transfer) = statement else {
        return Ok(None);
    };
    let (route, nonce) = (transfer.route.id(), transfer.nonce);
    match ask(node, TransferQuestion::Number { route, nonce }).await {
        Ok(pages) => Ok(pages.into_iter().map(|page| page.transfer).next()),
        Err(error) if error.is::<NegativeAnswer>() => Ok(None),
        Err(error) => Err(error),
    }
}

fn transaction(text: &str) -> anyhow::Result<B256> {
    text.parse().map_err(|_| {
        let text =
            format!("{text:?} is no transaction; write its 64 hexadecimal digits, or ROUTE NONCE");
        Usage(text).into()
    })
}

fn render(page: &TransferPage) -> String {
    let timeline = page.timeline.as_ref().map(tasks::render);
    let timeline = timeline.map(|text| format!("\n{text}")).unwrap_or_default();
    format!("{}{timeline}", part(&page.transfer))
}

/// A transfer, without the timeline of its task.
pub(crate) fn part(report: &TransferReport) -> String {
    let mut stages = Table::new(&["STAGE", "SINCE", "DETAIL"]);
    for line in &report.stages {
        let since = line.at_ms.map(format::time_ms).unwrap_or_default();
        stages.row([line.stage.clone(), since, detail(report, &line.stage)]);
    }
    format!("{}\n{stages}", facts(report))
}

fn facts(report: &TransferReport) -> Facts {
    let mut facts = Facts::default();
    if let Some(json) = &report.transfer {
        facts.add("Transfer", Transfer::from(json).words().says);
        facts.add("Sender", json.sender);
        facts.add("Deadline", format::time(json.deadline));
    }
    facts.add_some("Route", report.route.as_ref());
    facts.add("Nonce", report.nonce);
    if let Some(place) = &report.place {
        let (block, hash) = (place.block, &place.block_hash);
        let time = format::time(place.block_time);
        facts.add("Sent in", format!("block {block} ({hash}), {time}"));
        facts.add("By", &place.transaction);
    }
    facts.add_some("Task", report.task_id.as_ref());
    if let Some(certified) = &report.certified {
        let weights = certified
            .signed_weight
            .as_ref()
            .zip(certified.total_weight.as_ref());
        let weight = weights.map(|(signed, total)| {
            let (signed, total) = (format::amount_text(signed), format::amount_text(total));
            format!(", weight {signed} of {total}")
        });
        let signers = format::count(certified.signers.len(), "operator");
        facts.add(
            "Certificate",
            format!(
                "{signers} of epoch {}{}",
                certified.epoch,
                weight.unwrap_or_default()
            ),
        );
    }
    if let Some(delivery) = &report.delivery {
        deliver(&mut facts, delivery);
    }
    facts
}

fn deliver(facts: &mut Facts, delivery: &DeliveryReport) {
    facts.add("Delivery", &delivery.id);
    facts.add_some("Transaction", delivery.transaction.as_ref());
    let gas = |gas: u64| match delivery.block {
        Some(block) => format!("{gas} in block {block}"),
        None => gas.to_string(),
    };
    facts.add_some("Gas", delivery.gas_used.map(gas));
    if delivery.failures > 0 {
        facts.add("Failed", format::count(delivery.failures as usize, "time"));
    }
    facts.add("Spent", format::amount_text(&delivery.spent));
    let next = delivery.next_try_ms.filter(|_| delivery.ended_ms.is_none());
    facts.add_some("Next try", next.map(format::time_ms));
    facts.add_some("Reason", delivery.reason.as_deref().map(format::printable));
}

#[cfg(test)]
mod tests {
    use quorate_node::api::{CertifiedReport, PlaceReport, StageLine};

    use super::*;

    #[test]
    fn a_transfer_is_told_from_event_to_receipt() {
        let hash = |byte: u8| format!("0x{}", hex::encode([byte; 32]));
        let report = TransferReport {
            route: Some(hash(1)),
            nonce: 7,
            transfer: None,
            place: Some(PlaceReport {
                block: 12,
                block_hash: hash(2),
                block_time: 1_700_000_000,
                transaction: hash(3),
                log_index: 0,
            }),
            stages: vec![StageLine {
                stage: "paid".to_owned(),
                at_ms: None,
            }],
            task_id: Some(hash(4)),
            certified: Some(CertifiedReport {
                epoch: 9,
                signers: vec!["0x11".to_owned(), "0x22".to_owned()],
                signed_weight: Some("70".to_owned()),
                total_weight: Some("100".to_owned()),
            }),
            delivery: Some(DeliveryReport {
                id: hash(5),
                failures: 1,
                spent: "0".to_owned(),
                next_try_ms: Some(1),
                reason: None,
                transaction: Some(hash(6)),
                block: Some(40),
                gas_used: Some(138_411),
                ended_ms: Some(2),
            }),
        };
        let text = part(&report);
        for told in [
            "block 12 (",
            "2 operators of epoch 9, weight 70 of 100",
            "138411 in block 40",
            "1 time",
            "paid",
            &hash(6),
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
        assert!(!text.contains("Next try"), "{text}");
    }

    #[test]
    fn what_is_neither_route_nor_transaction_is_refused() {
        assert!(transaction("0x12").unwrap_err().is::<Usage>());
        assert!(transaction(&"ab".repeat(32)).is_ok());
    }
}
