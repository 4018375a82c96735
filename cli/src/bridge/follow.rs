//! A transfer as it goes on, a line for each stage.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::Args;
use libp2p::Multiaddr;
use quorate_node::api::TransferReport;
use quorate_node::client::{Client, ClientError, TransferNews, TransferQuestion};

use crate::exit::NegativeAnswer;
use crate::format;

/// Which node is asked over the network.
#[derive(Args, Debug)]
pub(super) struct FollowArgs {
    /// Multiaddr of the node to ask, such as /ip4/192.0.2.1/tcp/9000/p2p/<peer id>; a relayer also tells what it sends
    #[arg(long, value_name = "MULTIADDR")]
    peer: Option<Multiaddr>,

    /// Network id, where that node serves several
    #[arg(long, value_name = "ID", env = "QUORATE_NETWORK", requires = "peer")]
    network: Option<String>,
}

impl FollowArgs {
    /// The node that is named.
    pub(super) async fn connect(&self) -> anyhow::Result<Option<Client>> {
        let Some(peer) = &self.peer else {
            return Ok(None);
        };
        let client = Client::connect(peer, self.network.as_deref()).await;
        let client = client.context("no answer; correct --peer, or ask another node")?;
        Ok(Some(client))
    }

    /// As arguments of another command.
    pub(super) fn words(&self) -> String {
        let peer = self.peer.as_ref().map(|peer| format!(" --peer {peer}"));
        let network = self.network.as_ref().map(|id| format!(" --network {id}"));
        [peer, network].into_iter().flatten().collect()
    }
}

/// A "no" of the node is one of this command.
pub(super) fn failed(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Failed(failure) => NegativeAnswer(failure.message).into(),
        other => other.into(),
    }
}

/// Follows a transfer until it is paid or closed, or the node learns no more, for at most `limit`; `show` is given each
/// stage once. Ends early, with `None`, on Ctrl-C.
pub(super) async fn follow(
    client: &Client,
    question: TransferQuestion,
    limit: Duration,
    mut show: impl FnMut(&TransferReport, String) -> anyhow::Result<()>,
) -> anyhow::Result<Option<TransferNews>> {
    let followed = async {
        let mut followed = client.follow_transfer(question).await.map_err(failed)?;
        let (mut shown, mut last) = (Vec::new(), None);
        while let Some(news) = followed.next().await.map_err(failed)? {
            for line in new_lines(&news.report, &mut shown) {
                show(&news.report, line)?;
            }
            last = Some(news);
        }
        last.context("the node told nothing; ask another one")
    };
    tokio::select! {
        followed = tokio::time::timeout(limit, followed) => match followed {
            Ok(news) => news.map(Some),
            Err(_) => bail!("not over after {} s", limit.as_secs()),
        },
        _ = tokio::signal::ctrl_c() => Ok(None),
    }
}

/// Lines of the stages that were not shown yet.
fn new_lines(report: &TransferReport, shown: &mut Vec<String>) -> Vec<String> {
    let mut lines = Vec::new();
    for stage in &report.stages {
        if shown.contains(&stage.stage) {
            continue;
        }
        shown.push(stage.stage.clone());
        let at = stage.at_ms.unwrap_or_else(now_ms);
        lines.push(line(at, &stage.stage, &detail(report, &stage.stage)));
    }
    lines
}

/// One line.
pub(super) fn line(at_ms: u64, stage: &str, detail: &str) -> String {
    let text = format!("{}  {stage:<11}  {detail}", format::time_ms(at_ms));
    format::printable(text.trim_end())
}

/// What there is to say of a stage.
pub(super) fn detail(report: &TransferReport, stage: &str) -> String {
    let delivery = report.delivery.as_ref();
    match stage {
        "final" => report.place.as_ref().map_or_else(String::new, |place| {
            format!("in block {} of the source chain", place.block)
        }),
        "announced" => report.task_id.clone().unwrap_or_default(),
        "certified" => report
            .certified
            .as_ref()
            .map_or_else(String::new, |certified| {
                let signers = format::count(certified.signers.len(), "operator");
                format!("by {signers} of epoch {}", certified.epoch)
            }),
        "queued" => delivery.map_or_else(String::new, |d| format!("delivery {}", d.id)),
        "sent" => delivery.map_or_else(String::new, |delivery| {
            let block = delivery.block.map(|block| format!(", block {block}"));
            let transaction = delivery.transaction.clone().unwrap_or_default();
            format!("{transaction}{}", block.unwrap_or_default())
        }),
        "limited" => {
            "beyond a limit of the target bridge: paid once there is room, or its delay is over"
                .to_owned()
        }
        "closed" => "never paid at the target; the sender can have it back".to_owned(),
        "dead letter" => delivery
            .and_then(|delivery| delivery.reason.clone())
            .unwrap_or_default(),
        _ => String::new(),
    }
}

/// Unix milliseconds.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use quorate_node::api::StageLine;

    use super::*;

    pub(super) fn report(stages: &[&str]) -> TransferReport {
        let stage = |stage: &&str| StageLine {
            stage: (*stage).to_owned(),
            at_ms: Some(1_700_000_000_123),
        };
        TransferReport {
            route: Some("0x01".to_owned()),
            nonce: 7,
            transfer: None,
            place: None,
            stages: stages.iter().map(stage).collect(),
            task_id: Some("0xab".to_owned()),
            certified: None,
            delivery: None,
        }
    }

    #[test]
    fn each_stage_is_a_line_once() {
        let mut shown = Vec::new();
        let first = new_lines(&report(&["final", "announced"]), &mut shown);
        assert_eq!(
            first,
            [
                "2023-11-14 22:13:20.123 UTC  final",
                "2023-11-14 22:13:20.123 UTC  announced    0xab",
            ]
        );
        let second = new_lines(&report(&["final", "announced", "closed"]), &mut shown);
        assert_eq!(second.len(), 1);
        assert!(second[0].contains("can have it back"), "{second:?}");
    }
}
