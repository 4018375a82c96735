//! `node epoch seal`.

use alloy::providers::Provider as _;
use anyhow::{Context as _, ensure};
use clap::Args;
use quorate_chain::contracts::StakeRegistry::StakeRegistryInstance;
use quorate_chain::contracts::send;
use quorate_proto::{Address, Epoch};
use serde_json::json;

use super::{PayerArgs, PeerArgs};
use crate::exit::NegativeAnswer;
use crate::output;
use crate::transaction::{Sent, mined, plain, refused_by_registry as refused};

#[derive(Args, Debug)]
pub(crate) struct SealArgs {
    /// The epoch whose set is stored; the current one where left out
    #[arg(long, value_name = "NUMBER")]
    epoch: Option<u32>,

    #[command(flatten)]
    payer: PayerArgs,

    #[command(flatten)]
    peer: PeerArgs,
}

pub(super) async fn run(args: &SealArgs) -> anyhow::Result<()> {
    let source = args.peer.connect().await?;
    let (provider, _) = args.payer.connect()?;
    let home = source.domain.home_chain_id();
    let served = provider.get_chain_id().await.map_err(plain)?;
    ensure!(
        served == home,
        "--rpc serves chain {served}, but the home chain is {home}; sets are sealed there, light \
         registries hold sealed sets anyway"
    );
    let registry = StakeRegistryInstance::new(source.domain.registry(), provider);
    let epoch = match args.epoch {
        Some(epoch) => Epoch(epoch),
        None => Epoch(registry.newestEpoch().call().await.map_err(refused)?),
    };
    let sealed = registry.sealedSet(epoch.0).call().await.map_err(refused)?;
    if !sealed.is_zero() {
        return print(args, epoch, None);
    }
    let found = source.find(epoch).await?;
    let missing = || NegativeAnswer(format!("the set of epoch {epoch} is not fixed yet"));
    let set = found.ok_or_else(missing)?.set;
    let operators: Vec<Address> = set.members().iter().map(|member| member.address).collect();
    let sent = send(registry.sealEpoch(epoch.0, operators)).await;
    let sent = mined("Seal", sent, refused)
        .await
        .context("the registry itself checks the list of operators; ask another operator for it")?;
    print(args, epoch, Some(&sent))
}

fn print(args: &SealArgs, epoch: Epoch, sent: Option<&Sent>) -> anyhow::Result<()> {
    if args.peer.json {
        let value = json!({ "epoch": epoch.0, "transaction": sent.map(Sent::as_value) });
        output::json(&value)?;
        return Ok(());
    }
    match sent {
        None => output::line(format!("epoch {epoch} is sealed already"))?,
        Some(sent) => {
            output::line(format!(
                "epoch {epoch}: {}, block {}, gas {}",
                sent.hash, sent.block, sent.gas
            ))?;
        }
    }
    Ok(())
}
