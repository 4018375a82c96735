//! `node epoch show`.

use clap::Args;
use quorate_node::client::HandedOver;
use quorate_proto::Epoch;
use serde_json::json;

use super::{PeerArgs, Source};
use crate::certificate::CertificateFile;
use crate::exit::No;
use crate::operators::{self, SetFile};
use crate::output;
use crate::table::Facts;

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The epoch that the set serves; the next one if its set is fixed, else the current one
    #[arg(long, value_name = "NUMBER")]
    epoch: Option<u32>,

    #[command(flatten)]
    peer: PeerArgs,
}

pub(super) async fn run(args: &ShowArgs) -> anyhow::Result<()> {
    let source = Source::connect(&args.peer).await?;
    let found = match args.epoch {
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

async fn one(source: &Source, epoch: Epoch) -> anyhow::Result<HandedOver> {
    let found = source.find(epoch).await?;
    let missing = || No(format!("the set of epoch {epoch} is not fixed yet"));
    Ok(found.ok_or_else(missing)?)
}

fn print(
    args: &ShowArgs,
    source: &Source,
    found: &HandedOver,
    certificate: Option<&CertificateFile>,
) -> anyhow::Result<()> {
    let network = source.domain.network();
    let set = SetFile::from((&found.set, network.as_str()));
    let hash = found.set.hash();
    if args.peer.json {
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
        None => facts.add("Handed over by", "no certificate at this operator"),
        Some(file) => {
            let signers = crate::format::count(file.signers.len(), "operator");
            let text = format!("{signers} of epoch {}, task {}", file.epoch, file.task_id);
            facts.add("Handed over by", text);
        }
    }
    output::text(format!("{}\n{facts}", operators::render(&set)))?;
    Ok(())
}
