//! `node evidence verify`: whether evidence holds, by sets that one trusts, by the keys that the
//! registry has on chain, or both.

use std::path::PathBuf;

use alloy::providers::{DynProvider, Provider as _, ProviderBuilder};
use alloy::transports::http::reqwest::Url;
use anyhow::{Context as _, anyhow};
use clap::Args;
use quorate_chain::contracts::StakeRegistry::StakeRegistryInstance;
use quorate_proto::{
    Address, Domain, Epoch, EquivocationEvidence, EvidenceError, Operator, OperatorSet,
};
use serde_json::json;

use super::EvidenceFile;
use crate::certificate::domain_of;
use crate::exit::{NegativeAnswer, Usage};
use crate::operators::SetFile;
use crate::options::{SecretUrl, address};
use crate::output;
use crate::transaction::{plain, refused_by_registry as refused};

#[derive(Args, Debug)]
pub(crate) struct EvidenceVerifyArgs {
    /// Evidence, as `node evidence show ID --json` wrote it
    evidence: PathBuf,

    /// Check against the operator set of an epoch, as `node operators --json` printed it; twice where
    /// the two were signed in two epochs
    #[arg(long, value_name = "FILE", required_unless_present = "rpc")]
    set: Vec<PathBuf>,

    /// Ask the stake registry for the operator's keys over this JSON-RPC URL
    #[arg(long, value_name = "URL")]
    rpc: Option<SecretUrl>,

    /// Home chain of the network that you trust; taken from --rpc or --set where left out
    #[arg(long, value_name = "ID", env = "QUORATE_HOME_CHAIN_ID")]
    home_chain_id: Option<u64>,

    /// Stake registry of the network that you trust; taken from --set where left out
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "QUORATE_REGISTRY",
        value_parser = address,
        required_unless_present = "set"
    )]
    registry: Option<Address>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &EvidenceVerifyArgs) -> anyhow::Result<()> {
    let file = EvidenceFile::read(&args.evidence)?;
    let sets = args
        .set
        .iter()
        .map(|path| SetFile::read(path))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let chain = match &args.rpc {
        Some(url) => Some(connect(url).await?),
        None => None,
    };
    let served = chain.as_ref().map(|(_, served)| *served);
    let domain = trusted(args, served, &sets)?;
    let evidence = match read(&file, &domain) {
        Ok(evidence) => evidence,
        Err(reason) if args.json => {
            print_checks(&file, &[("as a file", Some(reason.to_string()))])?;
            return Err(reason.into());
        }
        Err(reason) => return Err(reason.into()),
    };
    let mut checks: Vec<(&str, Result<(), EvidenceError>)> = Vec::new();
    if !sets.is_empty() {
        checks.push(("against the sets", offline(&evidence, &sets, &domain)?));
    }
    if let Some((provider, _)) = chain {
        let checked = on_chain(&evidence, provider, &domain).await;
        checks.push((
            "with the keys on chain",
            checked.context("cannot check on chain")?,
        ));
    }
    print(args, &file, &checks)?;
    match checks.into_iter().find_map(|(_, checked)| checked.err()) {
        None => Ok(()),
        Some(EvidenceError::UnknownEpoch(epoch)) => Err(Usage(format!(
            "the set of epoch {epoch} is needed too: give it with --set, or check with --rpc"
        ))
        .into()),
        Some(error) => Err(NegativeAnswer(format!("not valid: {error}")).into()),
    }
}

/// The evidence in a file of this network.
fn read(file: &EvidenceFile, domain: &Domain) -> Result<EquivocationEvidence, NegativeAnswer> {
    let (theirs, ours) = (&file.network, domain.network());
    if *theirs != ours.as_str() {
        return Err(NegativeAnswer(format!(
            "not valid: it is of network {theirs}, not of {ours}"
        )));
    }
    file.evidence()
}

/// The network that the user trusts; what the evidence says of itself is no ground for trust.
fn trusted(
    args: &EvidenceVerifyArgs,
    served: Option<u64>,
    sets: &[SetFile],
) -> anyhow::Result<Domain> {
    let of_set = sets
        .iter()
        .find_map(|set| domain_of(set.network.as_deref()?));
    let registry = args.registry.or(of_set.map(|domain| domain.registry()));
    let registry = registry.ok_or_else(|| {
        Usage("which network do you trust? give its stake registry with --registry ADDRESS".into())
    })?;
    let chain = args
        .home_chain_id
        .or(served)
        .or(of_set.map(|domain| domain.home_chain_id()));
    let chain = chain.ok_or_else(|| {
        Usage("which network do you trust? give its home chain with --home-chain-id ID".into())
    })?;
    if let Some(served) = served.filter(|served| *served != chain) {
        let text = format!("--rpc serves chain {served}, but the home chain is {chain}");
        return Err(Usage(text).into());
    }
    let domain = Domain::new(chain, registry);
    let foreign = |set: &&SetFile| {
        let network = set.network.as_deref();
        network.is_some_and(|network| network != domain.network().as_str())
    };
    match sets.iter().find(foreign) {
        Some(set) => Err(Usage(format!(
            "a set is of network {}, not of {}; give sets of one network",
            set.network.as_deref().unwrap_or_default(),
            domain.network()
        ))
        .into()),
        None => Ok(domain),
    }
}

fn offline(
    evidence: &EquivocationEvidence,
    sets: &[SetFile],
    domain: &Domain,
) -> anyhow::Result<Result<(), EvidenceError>> {
    let sets = sets
        .iter()
        .map(SetFile::set)
        .collect::<anyhow::Result<Vec<OperatorSet>>>()?;
    let set_of = |epoch| sets.iter().find(|set| set.epoch() == epoch);
    Ok(evidence.verify(domain, set_of))
}

/// With sets that hold the accused alone: one key never belongs to two operators of a registry.
async fn on_chain(
    evidence: &EquivocationEvidence,
    provider: DynProvider,
    domain: &Domain,
) -> anyhow::Result<Result<(), EvidenceError>> {
    let registry = StakeRegistryInstance::new(domain.registry(), provider);
    let newest = registry.newestEpoch().call().await.map_err(refused)?;
    let mut sets = Vec::new();
    for epoch in evidence.epochs() {
        let operator = evidence.operator();
        if epoch.0 <= newest {
            sets.push(member_set(&registry, operator, epoch).await?);
        }
    }
    let set_of = |epoch| sets.iter().find(|set: &&OperatorSet| set.epoch() == epoch);
    Ok(match evidence.verify(domain, set_of) {
        Err(EvidenceError::UnknownEpoch(epoch)) => {
            return Err(NegativeAnswer(format!("epoch {epoch} has not begun on chain")).into());
        }
        checked => checked,
    })
}

async fn member_set(
    registry: &StakeRegistryInstance<DynProvider>,
    operator: Address,
    epoch: Epoch,
) -> anyhow::Result<OperatorSet> {
    let key = registry.getOperatorSigningKeyAtEpoch(operator, epoch.0);
    let weight = registry.getOperatorWeightAtEpoch(operator, epoch.0);
    let weight = weight.call().await.map_err(refused)?;
    let member = Operator {
        address: operator,
        signing_key: key.call().await.map_err(refused)?,
        weight,
    };
    Ok(OperatorSet::new(epoch, vec![member], weight, 0)?)
}

async fn connect(url: &SecretUrl) -> anyhow::Result<(DynProvider, u64)> {
    let parsed = Url::parse(url.reveal())
        .map_err(|_| Usage("--rpc is no URL; write https://host/path".into()))?;
    let provider = ProviderBuilder::new().connect_http(parsed).erased();
    let served = provider.get_chain_id().await.map_err(plain);
    let served = served.map_err(|error| anyhow!("--rpc does not answer: {error}"))?;
    Ok((provider, served))
}

fn print(
    args: &EvidenceVerifyArgs,
    file: &EvidenceFile,
    checks: &[(&str, Result<(), EvidenceError>)],
) -> anyhow::Result<()> {
    if args.json {
        let reason =
            |checked: &Result<(), EvidenceError>| checked.as_ref().err().map(ToString::to_string);
        let checks = checks.iter().map(|(how, checked)| (*how, reason(checked)));
        return print_checks(file, &checks.collect::<Vec<_>>());
    }
    output::text(file)?;
    for (how, checked) in checks {
        match checked {
            Ok(()) => output::line(format!("Valid {how}."))?,
            Err(error) => output::line(format!("Not valid {how}: {error}."))?,
        }
    }
    Ok(())
}

/// For machines: each check, and why it failed where it did.
fn print_checks(file: &EvidenceFile, checks: &[(&str, Option<String>)]) -> anyhow::Result<()> {
    let check = |(how, reason): &(&str, Option<String>)| json!({ "how": how, "valid": reason.is_none(), "reason": reason });
    let value = json!({
        "valid": checks.iter().all(|(_, reason)| reason.is_none()),
        "id": file.id,
        "operator": file.operator.to_string(),
        "network": file.network,
        "checks": checks.iter().map(check).collect::<Vec<_>>(),
    });
    output::json(&value)?;
    Ok(())
}
