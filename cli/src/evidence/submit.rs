//! `node evidence submit`: brings evidence before the judge on the home chain.

use std::path::Path;

use alloy::contract::Error as ContractError;
use alloy::primitives::{Bytes, aliases::U48};
use alloy::providers::{DynProvider, Provider as _};
use alloy::sol_types::SolInterface as _;
use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use quorate_chain::contracts;
use quorate_chain::contracts::EquivocationJudge::{
    EpochUpdate as SolUpdate, EquivocationJudgeErrors, EquivocationJudgeInstance,
    SignedEpochUpdate, SignedStateProof, StateProof as SolProof,
};
use quorate_chain::contracts::StakeRegistry::StakeRegistryInstance;
use quorate_proto::{
    Address, Domain, EpochUpdate, EquivocationEvidence, SignedStatement, StateProof, Statement,
};
use serde_json::json;

use super::{EvidenceFile, SourceArgs, id_of};
use crate::certificate::domain_of;
use crate::epoch::PayerArgs;
use crate::exit::No;
use crate::options::redact;
use crate::transaction::{Sent, mined, plain, refused_by_registry};

#[derive(Args, Debug)]
pub(crate) struct SubmitArgs {
    /// Id of evidence that the node holds, or a file that `node evidence show ID --json` wrote
    evidence: String,

    /// Stake registry of the network, where it is not the one that the evidence names
    #[arg(long, value_name = "ADDRESS", env = "QUORATE_REGISTRY")]
    registry: Option<Address>,

    #[command(flatten)]
    payer: PayerArgs,

    #[command(flatten)]
    source: SourceArgs,
}

pub(super) async fn run(args: &SubmitArgs) -> anyhow::Result<()> {
    let file = match Path::new(&args.evidence) {
        path if path.is_file() => EvidenceFile::read(path)?,
        _ => args.source.one(id_of(&args.evidence)?).await?,
    };
    let evidence = file.evidence()?;
    let domain =
        domain_of(&file.network).with_context(|| format!("{:?} is no network id", file.network))?;
    ensure!(
        args.registry
            .is_none_or(|registry| registry == domain.registry()),
        "the evidence is of network {}, not of the registry {}",
        file.network,
        args.registry.unwrap_or_default()
    );
    let (provider, _) = args.payer.connect()?;
    let served = provider.get_chain_id().await.map_err(plain)?;
    let home = domain.home_chain_id();
    ensure!(
        served == home,
        "--rpc serves chain {served}, but the judge is on the home chain, {home}"
    );
    let judge = judge_of(&provider, &domain).await?;
    if judge
        .judged(evidence.id().0)
        .call()
        .await
        .map_err(refused)?
    {
        return print(args, &file, *judge.address(), None);
    }
    let sent = send(&judge, &evidence).await?;
    print(args, &file, *judge.address(), Some(&sent))
}

async fn judge_of(
    provider: &DynProvider,
    domain: &Domain,
) -> anyhow::Result<EquivocationJudgeInstance<DynProvider>> {
    let registry = StakeRegistryInstance::new(domain.registry(), provider.clone());
    let judge = registry.judge().call().await;
    let judge = judge.map_err(refused_by_registry).with_context(|| {
        format!(
            "the registry {} names no judge; an older deployment has none",
            domain.registry()
        )
    })?;
    if judge.is_zero() {
        let text = "this registry has no judge: its deployer has not named one (setJudge)";
        return Err(No(text.into()).into());
    }
    Ok(EquivocationJudgeInstance::new(judge, provider.clone()))
}

async fn send(
    judge: &EquivocationJudgeInstance<DynProvider>,
    evidence: &EquivocationEvidence,
) -> anyhow::Result<Sent> {
    let [first, second] = evidence.statements();
    let operator = evidence.operator();
    let signatures = [bytes(first), bytes(second)];
    let sent = match (&first.statement, &second.statement) {
        (Statement::StateProof(a), Statement::StateProof(b)) => {
            let [first, second] = signed([proof(a), proof(b)], signatures, |proof, signature| {
                SignedStateProof { proof, signature }
            });
            contracts::send(judge.judgeStateProofs(operator, first, second)).await
        }
        (Statement::EpochUpdate(a), Statement::EpochUpdate(b)) => {
            let [first, second] =
                signed([update(a), update(b)], signatures, |update, signature| {
                    SignedEpochUpdate { update, signature }
                });
            contracts::send(judge.judgeEpochUpdates(operator, first, second)).await
        }
        // One slot holds statements of one kind.
        _ => return Err(anyhow!("the two statements are of different kinds")),
    };
    mined("Evidence", sent, refused).await
}

fn signed<T, S>([a, b]: [T; 2], [x, y]: [Bytes; 2], join: fn(T, Bytes) -> S) -> [S; 2] {
    [join(a, x), join(b, y)]
}

fn bytes(signed: &SignedStatement) -> Bytes {
    Bytes::copy_from_slice(signed.signature.as_bytes())
}

fn proof(proof: &StateProof) -> SolProof {
    SolProof {
        user: proof.user,
        chainId: proof.chain_id,
        blockNumber: proof.block_number,
        timestamp: U48::from(proof.timestamp),
        epoch: proof.epoch.0,
        key: proof.key,
        value: proof.value,
    }
}

const fn update(update: &EpochUpdate) -> SolUpdate {
    SolUpdate {
        epoch: update.epoch.0,
        nextEpoch: update.next_epoch.0,
        setHash: update.set_hash,
    }
}

/// The judge's error by its name, everything else without URLs.
fn refused(error: ContractError) -> anyhow::Error {
    let name = error
        .as_decoded_interface_error::<EquivocationJudgeErrors>()
        .and_then(|reason| EquivocationJudgeErrors::name_by_selector(reason.selector()));
    match name {
        Some(name) => anyhow!(No(format!("the judge refuses: {name}{}", cure(name)))),
        None => anyhow!(redact(&error.to_string())),
    }
}

/// What to do about an error of the judge.
fn cure(name: &str) -> &'static str {
    match name {
        "AlreadyJudged" => "; somebody was faster, and nothing is left to do",
        "EpochNotBegun" => "; submit it again once that epoch has begun",
        "NotAnOperator" | "InvalidSignature" | "OtherKey" => {
            "; check that --registry is of the network of the evidence, and verify it with \
             `node evidence verify`"
        }
        "OtherSlot" | "SameFact" => "; it is no evidence: check it with `node evidence verify`",
        _ => "",
    }
}

fn print(
    args: &SubmitArgs,
    file: &EvidenceFile,
    judge: Address,
    sent: Option<&Sent>,
) -> anyhow::Result<()> {
    let operator = file.operator;
    if args.source.node.json {
        let value = json!({
            "id": file.id,
            "operator": operator.to_string(),
            "judge": judge.to_string(),
            "transaction": sent.map(Sent::as_value),
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    match sent {
        None => println!("this case was judged before; nothing was sent"),
        Some(sent) => println!(
            "operator {operator} is jailed: {}, block {}, gas {}",
            sent.hash, sent.block, sent.gas
        ),
    }
    Ok(())
}
