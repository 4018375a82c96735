//! `node evidence submit`: brings evidence before the judge on the home chain.

use std::path::Path;

use alloy::contract::Error as ContractError;
use alloy::primitives::Bytes;
use alloy::providers::{DynProvider, Provider as _};
use alloy::sol_types::SolInterface as _;
use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use quorate_chain::contracts;
use quorate_chain::contracts::EquivocationJudge::{
    EquivocationJudgeErrors, EquivocationJudgeInstance, SignedAttestation as SolSigned,
};
use quorate_chain::contracts::StakeRegistry::StakeRegistryInstance;
use quorate_proto::{Address, Domain, EquivocationEvidence, SignedAttestation};
use serde_json::json;

use super::{EvidenceFile, SourceArgs, id_of};
use crate::certificate::domain_of;
use crate::epoch::PayerArgs;
use crate::exit::NegativeAnswer;
use crate::options::{address, redact};
use crate::output;
use crate::transaction::{Sent, mined, plain, refused_by_registry};

#[derive(Args, Debug)]
pub(crate) struct SubmitArgs {
    /// Id of evidence that the node holds, or a file that `node evidence show ID --json` wrote
    evidence: String,

    /// Stake registry of the network, where it is not the one that the evidence names
    #[arg(long, value_name = "ADDRESS", env = "QUORATE_REGISTRY", value_parser = address)]
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
    let registry = StakeRegistryInstance::new(domain.registry(), provider.clone());
    let judge = judge_of(&registry).await?;
    if is_convicted(&registry, &evidence, &domain).await? {
        return print(args, &file, *judge.address(), None);
    }
    let sent = send(&judge, &evidence).await?;
    print(args, &file, *judge.address(), Some(&sent))
}

async fn judge_of(
    registry: &StakeRegistryInstance<DynProvider>,
) -> anyhow::Result<EquivocationJudgeInstance<DynProvider>> {
    let judge = registry.judge().call().await;
    let judge = judge
        .map_err(refused_by_registry)
        .with_context(|| format!("the registry {} names no judge", registry.address()))?;
    let provider = registry.provider().clone();
    Ok(EquivocationJudgeInstance::new(judge, provider))
}

/// Whether one of the keys that signed was convicted before: a key is judged once.
async fn is_convicted(
    registry: &StakeRegistryInstance<DynProvider>,
    evidence: &EquivocationEvidence,
    domain: &Domain,
) -> anyhow::Result<bool> {
    for signed in evidence.attestations() {
        let digest = signed.attestation().digest(domain);
        let key = signed.signature().recover(digest);
        let key = key.map_err(|error| NegativeAnswer(format!("no evidence: {error}")))?;
        let convicted = registry.convicted(key).call().await;
        if convicted.map_err(refused_by_registry)? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn send(
    judge: &EquivocationJudgeInstance<DynProvider>,
    evidence: &EquivocationEvidence,
) -> anyhow::Result<Sent> {
    let [first, second] = evidence.attestations().map(told);
    let call = judge.judge(evidence.operator(), first, second);
    mined("Evidence", contracts::send(call).await, refused).await
}

fn told(signed: &SignedAttestation) -> SolSigned {
    let attestation = signed.attestation();
    SolSigned {
        epoch: attestation.epoch.0,
        slot: attestation.slot.0,
        fact: attestation.fact,
        signature: Bytes::copy_from_slice(signed.signature().as_bytes()),
    }
}

/// The judge's error by its name, everything else without URLs.
fn refused(error: ContractError) -> anyhow::Error {
    let name = error
        .as_decoded_interface_error::<EquivocationJudgeErrors>()
        .and_then(|reason| EquivocationJudgeErrors::name_by_selector(reason.selector()));
    match name {
        Some(name) => anyhow!(NegativeAnswer(format!(
            "the judge refuses: {name}{}",
            cure(name)
        ))),
        None => anyhow!(redact(&error.to_string())),
    }
}

/// What to do about an error of the judge.
fn cure(name: &str) -> &'static str {
    match name {
        "AlreadyJudged" => "; the key was convicted before, and nothing is left to do",
        "EpochNotBegun" => "; submit it again once that epoch has begun",
        "TooLate" => "; the stake behind that epoch is out of reach by now",
        "NotAnOperator" | "InvalidSignature" => {
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
        output::json(&value)?;
        return Ok(());
    }
    match sent {
        None => output::line("the key that signed was convicted before; nothing was sent")?,
        Some(sent) => output::line(format!(
            "operator {operator} is jailed: {}, block {}, gas {}",
            sent.hash, sent.block, sent.gas
        ))?,
    }
    Ok(())
}
