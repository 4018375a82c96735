//! `node epoch anchor`: begins anew at a light registry that has expired, in two steps of its guardian: the set is
//! announced, and after the delay that the light registry demands it is taken.

use anyhow::ensure;
use clap::Args;
use quorate_proto::{Address, OperatorSet, keccak256};
use serde_json::json;

use super::{PayerArgs, PeerArgs};
use crate::exit::NegativeAnswer;
use crate::light::Light;
use crate::options::address;
use crate::output;
use crate::transaction::Sent;

#[derive(Args, Debug)]
pub(crate) struct AnchorArgs {
    /// Address of the light registry
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    light: Address,

    /// Epoch that was announced, for the second step; the newest one whose set is fixed if absent
    #[arg(long, value_name = "NUMBER")]
    epoch: Option<u32>,

    #[command(flatten)]
    payer: PayerArgs,

    #[command(flatten)]
    peer: PeerArgs,
}

pub(super) async fn run(args: &AnchorArgs) -> anyhow::Result<()> {
    let source = args.peer.connect().await?;
    let (provider, account) = args.payer.connect()?;
    let light = Light::connect(provider, args.light).await?;
    light.check_network(&source.domain)?;
    check_expired(&light).await?;
    let set = match args.epoch {
        Some(epoch) => source.find(quorate_proto::Epoch(epoch)).await?,
        None => Some(source.newest().await?),
    };
    let Some(set) = set.map(|found| found.set) else {
        return Err(NegativeAnswer("the set of that epoch is not fixed yet".to_owned()).into());
    };
    match light.announced().await? {
        Some((hash, from)) if hash == anchor_hash(&set) => take(args, &light, &set, from).await,
        _ => announce(args, &light, &set, account).await,
    }
}

async fn check_expired(light: &Light) -> anyhow::Result<()> {
    let newest = light.newest_epoch().await?;
    match light.seconds_left(newest).await? {
        None => Ok(()),
        Some(left) => Err(NegativeAnswer(format!(
            "the light registry lives: its newest set, of epoch {newest}, speaks for {left} s more; bring it up to date \
             with `node epoch push`"
        ))
        .into()),
    }
}

async fn announce(
    args: &AnchorArgs,
    light: &Light,
    set: &OperatorSet,
    account: Address,
) -> anyhow::Result<()> {
    let guardian = light.guardian().await?;
    ensure!(
        guardian == Some(account),
        "only the guardian of the light registry may announce an anchor: that is {}, the key is {account}'s",
        guardian.map_or("no account".to_owned(), |guardian| guardian.to_string())
    );
    let sent = light.announce_anchor(set).await?;
    let from = light.announced().await?.map_or(0, |(_, from)| from);
    print(args, "announced", set, &sent, Some(from))
}

async fn take(
    args: &AnchorArgs,
    light: &Light,
    set: &OperatorSet,
    from: u64,
) -> anyhow::Result<()> {
    let clock = light.clock().await?;
    if clock < from {
        return Err(NegativeAnswer(format!(
            "the anchor is announced, and may be taken in {} s; run the same command then, with --epoch {}",
            from.saturating_sub(clock),
            set.epoch()
        ))
        .into());
    }
    let sent = light.anchor(set).await?;
    print(args, "anchored", set, &sent, None)
}

/// keccak256(abi.encode(epoch, time, set hash)), as the light registry names an announcement.
fn anchor_hash(set: &OperatorSet) -> quorate_proto::B256 {
    let mut words = [0_u8; 96];
    words[28..32].copy_from_slice(&set.epoch().0.to_be_bytes());
    words[56..64].copy_from_slice(&set.fixed_at().to_be_bytes());
    words[64..].copy_from_slice(set.hash().as_slice());
    keccak256(words)
}

fn print(
    args: &AnchorArgs,
    done: &str,
    set: &OperatorSet,
    sent: &Sent,
    from: Option<u64>,
) -> anyhow::Result<()> {
    if args.peer.json {
        let value = json!({
            "light": args.light.to_string(),
            "step": done,
            "epoch": set.epoch().0,
            "set_hash": set.hash(),
            "from": from,
            "transaction": sent.as_value(),
        });
        output::json(&value)?;
        return Ok(());
    }
    output::line(format!(
        "epoch {} {done}: {}, block {}",
        set.epoch(),
        sent.hash,
        sent.block
    ))?;
    if let Some(from) = from {
        output::line(format!(
            "it may be taken from {from} (Unix seconds) on: run the same command then, with --epoch {}",
            set.epoch()
        ))?;
    }
    Ok(())
}
