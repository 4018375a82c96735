//! `node epoch show`.

use clap::Args;
use libp2p::Multiaddr;
use quorate_node::api::{EpochReport, EpochTasks, Operators, Status};
use quorate_node::client::HandedOver;
use quorate_proto::Epoch;
use serde_json::json;

use super::EpochPeer;
use crate::certificate::CertificateFile;
use crate::exit::NegativeAnswer;
use crate::http::NodeArgs;
use crate::operators::{self, SetFile};
use crate::table::Facts;
use crate::{format, output};

#[derive(Args, Debug)]
pub(crate) struct EpochShowArgs {
    /// The epoch; else the current one, or with --to the next one if its set is fixed
    #[arg(value_name = "NUMBER")]
    epoch: Option<u32>,

    /// The same, as it was written before
    #[arg(
        long = "epoch",
        value_name = "NUMBER",
        hide = true,
        conflicts_with = "epoch"
    )]
    number: Option<u32>,

    /// Multiaddr of an operator or registry to ask for set and certificate, instead of a node of one's own
    #[arg(long, value_name = "MULTIADDR", env = "QUORATE_TO")]
    to: Option<Multiaddr>,

    /// Network id (home chain id and registry), where the peer at --to serves several
    #[arg(long, value_name = "ID", env = "QUORATE_NETWORK")]
    network: Option<String>,

    /// Seconds to wait for each answer of the peer at --to
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,

    #[command(flatten)]
    node: NodeArgs,
}

pub(super) async fn run(args: &EpochShowArgs) -> anyhow::Result<()> {
    match &args.to {
        Some(to) => of_peer(args, to).await,
        None => of_node(args).await,
    }
}

/// All that a node of one's own tells.
async fn of_node(args: &EpochShowArgs) -> anyhow::Result<()> {
    let epoch = match args.epoch.or(args.number) {
        Some(epoch) => epoch,
        None => args.node.get::<Operators>("/epoch").await?.epoch,
    };
    let report: EpochReport = args.node.get(&format!("/epoch/{epoch}")).await?;
    let network = args.node.get::<Status>("/status").await?.network;
    if args.node.json {
        let mut value = serde_json::to_value(&report)?;
        // The set is a file for `node verify --set`.
        value["set"]["network"] = network.into();
        return output::json(&value);
    }
    let set = SetFile {
        network: Some(network),
        operators: report.set.clone(),
    };
    output::text(format!("{}\n{}", operators::render(&set), facts(&report)))?;
    Ok(())
}

fn facts(report: &EpochReport) -> Facts {
    let mut facts = Facts::default();
    facts.add("State", &report.state);
    if let Some(blocks) = report.blocks {
        let (first, last, grace) = (blocks.first, blocks.last, blocks.grace);
        facts.add("Blocks", format!("{first} to {last}, grace from {grace}"));
    }
    facts.add("Set hash", &report.set_hash);
    let learned = match report.learned.as_str() {
        "home_chain" => "from the home chain",
        "handed_over" => "from a peer, with a certificate of an earlier set",
        "compared" => "from a peer, compared with the home chain",
        _ => "not noted",
    };
    facts.add("Learned", learned);
    let by = report.handed_over_by.as_ref().map(|by| {
        let signers = format::count(by.signers, "operator");
        format!("{signers} of epoch {}, task {}", by.epoch, by.task)
    });
    facts.add(
        "Handed over by",
        by.unwrap_or_else(|| NO_CERTIFICATE.into()),
    );
    facts.add("Certified", certified(&report.tasks));
    let EpochTasks {
        expired,
        failed,
        pending,
        ..
    } = report.tasks;
    facts.add(
        "Not certified",
        format!("{expired} expired, {failed} failed, {pending} under way"),
    );
    if report.pruned {
        facts.add("Kept", "only what handed over; its other tasks were pruned");
    }
    facts
}

const NO_CERTIFICATE: &str = "no certificate at this node";

fn certified(tasks: &EpochTasks) -> String {
    let kinds = tasks.certified.iter();
    let kinds: Vec<String> = kinds
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    match kinds.is_empty() {
        true => "nothing".into(),
        false => kinds.join(", "),
    }
}

/// Set and certificate, from any operator or registry.
async fn of_peer(args: &EpochShowArgs, to: &Multiaddr) -> anyhow::Result<()> {
    let source = EpochPeer::connect(to, args.network.as_deref(), args.timeout).await?;
    let found = match args.epoch.or(args.number) {
        Some(epoch) => one(&source, Epoch(epoch)).await?,
        None => source.newest().await?,
    };
    let certificate = match &found.certificate {
        Some(certificate) => {
            let file = CertificateFile::of(certificate, &source.domain);
            let signers = source.find(certificate.statement().epoch()).await;
            Some(match signers {
                Ok(Some(signers)) => file.with_compact(&signers.set),
                _ => file,
            })
        }
        None => None,
    };
    print(args, &source, &found, certificate.as_ref())
}

async fn one(source: &EpochPeer, epoch: Epoch) -> anyhow::Result<HandedOver> {
    let found = source.find(epoch).await?;
    let missing = || NegativeAnswer(format!("the set of epoch {epoch} is not fixed yet"));
    Ok(found.ok_or_else(missing)?)
}

fn print(
    args: &EpochShowArgs,
    source: &EpochPeer,
    found: &HandedOver,
    certificate: Option<&CertificateFile>,
) -> anyhow::Result<()> {
    let network = source.domain.network();
    let set = SetFile::from((&found.set, network.as_str()));
    let hash = found.set.hash();
    if args.node.json {
        let value = json!({
            "epoch": found.set.epoch().0,
            "set_hash": hash,
            "set": set,
            "certificate": certificate,
        });
        output::json(&value)?;
        return Ok(());
    }
    let mut facts = Facts::default();
    facts.add("Set hash", hash);
    match certificate {
        None => facts.add("Handed over by", NO_CERTIFICATE),
        Some(file) => {
            let signers = format::count(file.signers.len(), "operator");
            let text = format!("{signers} of epoch {}, task {}", file.epoch, file.task_id);
            facts.add("Handed over by", text);
        }
    }
    output::text(format!("{}\n{facts}", operators::render(&set)))?;
    Ok(())
}
