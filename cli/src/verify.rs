//! `node verify`: whether a certificate holds, against a set that one trusts, on chain, or both.

mod age;

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, Bytes};
use alloy::providers::{Provider as _, ProviderBuilder};
use alloy::transports::http::reqwest::Url;
use anyhow::Context as _;
use clap::Args;
use quorate_chain::{CertificateCheck, Rejection, verify_on_chain};
use quorate_node::keys::read_text;
use quorate_proto::{B256, Certificate, Domain, OperatorSet, SignerSignature, U256};
use serde_json::{Value, json};

use self::age::Age;
use crate::certificate::{CertificateFile, domain_of};
use crate::exit::{Expired, NegativeAnswer, Usage};
use crate::format;
use crate::light::Light;
use crate::operators::SetFile;
use crate::options::{FAMILY, SecretUrl, address, redact, rpc_url};
use crate::output;
use crate::table::{Facts, Table};

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Certificate, as `node request --json` or --out wrote it
    certificate: PathBuf,

    /// Check against this operator set, as `node operators --json` printed it
    #[arg(long, value_name = "FILE", required_unless_present = "rpc")]
    set: Option<PathBuf>,

    /// Ask the stake registry by isValidSignature over this JSON-RPC URL
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
        required_unless_present_any = ["set", "light"]
    )]
    registry: Option<Address>,

    /// Ask the light registry at this address, on the chain of --rpc, instead of the stake registry
    #[arg(long, value_name = "ADDRESS", requires = "rpc", value_parser = address)]
    light: Option<Address>,

    /// Check the short form on chain; made from --set where the file does not have it
    #[arg(long)]
    compact: bool,

    /// Seconds for which the network's certificates hold; read from the contract where --rpc is given
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<u64>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the checks found.
#[derive(Debug, Default)]
pub(crate) struct VerifyReport {
    age: Option<Age>,
    signers: Vec<SignerCheck>,
    weight: Option<(U256, U256, U256)>,
    off_chain: Option<Result<U256, String>>,
    on_chain: Option<CertificateCheck>,
    compact: Option<Bytes>,
}

/// One signer against the set.
#[derive(Debug, PartialEq, Eq)]
struct SignerCheck {
    operator: Address,
    weight: U256,
    verdict: Result<(), String>,
}

pub(crate) async fn run(args: VerifyArgs) -> anyhow::Result<()> {
    let file = read(&args.certificate)?;
    let set = args.set.as_deref().map(SetFile::read).transpose()?;
    let rpc = args.rpc.as_ref().map(rpc_url).transpose().map_err(Usage)?;
    let light = light_of(&args).await?;
    let domain = match &light {
        Some(light) => trusted_light(&args, light, set.as_ref())?,
        None => {
            let served = match &args.rpc {
                Some(url) => Some(chain_id_of(url).await?),
                None => None,
            };
            trusted(&args, served, set.as_ref())?
        }
    };
    check_network(&file, &domain)?;
    let certificate = match file.check(&domain) {
        Ok(certificate) => certificate,
        Err(broken) => return Err(NegativeAnswer(format!("not valid: {broken}")).into()),
    };
    let signers = set.as_ref().map(SetFile::set).transpose()?;
    let mut report = match &signers {
        Some(set) => off_chain(&certificate, set, &domain),
        None => VerifyReport::default(),
    };
    report.compact = short_form(&args, &file, &certificate, signers.as_ref())?;
    report.age = match &rpc {
        Some(_) => age::on_chain(&args, &domain, light.as_ref(), certificate.statement()).await?,
        None => signers.as_ref().and_then(|set| Age::of(set, args.lifetime)),
    };
    if let Some(url) = &rpc {
        let data = report.compact.as_ref().unwrap_or(&file.signature_data);
        let target = args.light.unwrap_or(domain.registry());
        let answer = verify_on_chain(FAMILY, url, target, file.digest, data);
        report.on_chain = Some(answer.await.context("cannot check on chain")?);
    }
    match args.json {
        true => output::json(&report.as_value(&file, &domain))?,
        false => output::text(report.render(&file, &domain))?,
    }
    report.conclude()
}

fn read(path: &Path) -> anyhow::Result<CertificateFile> {
    let shown = path.display();
    let text = read_text(path).with_context(|| format!("cannot read {shown}"))?;
    serde_json::from_str(&text).with_context(|| {
        format!("{shown} is no certificate; `node request … --out FILE` writes one")
    })
}

/// The network that the user trusts. What the certificate says of itself is no ground for trust:
/// anyone can deploy a registry that says yes.
fn trusted(
    args: &VerifyArgs,
    served: Option<u64>,
    set: Option<&SetFile>,
) -> anyhow::Result<Domain> {
    let of_set = set.and_then(|set| domain_of(set.network.as_deref()?));
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
        let text = format!(
            "--rpc serves chain {served}, but the home chain is {chain}; correct one of them, or name \
             the light registry of chain {served} with --light"
        );
        return Err(Usage(text).into());
    }
    Ok(Domain::new(chain, registry))
}

fn check_network(file: &CertificateFile, trusted: &Domain) -> Result<(), NegativeAnswer> {
    if file.network == trusted.network().as_str() {
        return Ok(());
    }
    let (theirs, ours) = (&file.network, trusted.network());
    Err(NegativeAnswer(format!(
        "not valid: the certificate is of network {theirs}, not of {ours}"
    )))
}

async fn light_of(args: &VerifyArgs) -> anyhow::Result<Option<Light>> {
    let (Some(address), Some(url)) = (args.light, &args.rpc) else {
        return Ok(None);
    };
    let provider = ProviderBuilder::new().connect_http(parsed(url)?).erased();
    Light::connect(provider, address).await.map(Some)
}

/// Who names a light registry trusts it, and the network whose sets it holds; what else is given
/// must not contradict that.
fn trusted_light(
    args: &VerifyArgs,
    light: &Light,
    set: Option<&SetFile>,
) -> anyhow::Result<Domain> {
    let of_set = set.and_then(|set| domain_of(set.network.as_deref()?));
    let held = light.domain();
    let chain = args.home_chain_id.unwrap_or(held.home_chain_id());
    let registry = args.registry.unwrap_or(held.registry());
    light.check_network(&Domain::new(chain, registry))?;
    if let Some(of_set) = of_set {
        light.check_network(&of_set)?;
    }
    Ok(held)
}

/// The short form, where it is asked for.
fn short_form(
    args: &VerifyArgs,
    file: &CertificateFile,
    certificate: &Certificate,
    set: Option<&OperatorSet>,
) -> anyhow::Result<Option<Bytes>> {
    if !args.compact {
        return Ok(None);
    }
    if let Some(set) = set {
        let made = certificate.compact_signature_data(set);
        let made = made.context("no short form can be made of this certificate with that set")?;
        return Ok(Some(Bytes::from(made)));
    }
    let kept = file.compact_signature_data.clone();
    let missing = || {
        Usage(
            "the file has no short form; give the set of the certificate's epoch with --set, as \
             `node operators --json` prints it"
                .into(),
        )
    };
    Ok(Some(kept.ok_or_else(missing)?))
}

fn parsed(url: &SecretUrl) -> anyhow::Result<Url> {
    rpc_url(url).map_err(Usage)?;
    let parsed = url.reveal().parse();
    Ok(parsed.map_err(|_| Usage("--rpc is no URL; write https://host/path".into()))?)
}

async fn chain_id_of(url: &SecretUrl) -> anyhow::Result<u64> {
    let shown = url.redacted();
    let shown = shown.reveal();
    let asked = ProviderBuilder::new()
        .connect_http(parsed(url)?)
        .get_chain_id()
        .await;
    asked
        .map_err(|error| anyhow::anyhow!("{shown} does not answer: {}", redact(&error.to_string())))
}

pub(crate) fn off_chain(
    certificate: &Certificate,
    set: &OperatorSet,
    domain: &Domain,
) -> VerifyReport {
    let (signed_in, given) = (certificate.statement().epoch(), set.epoch());
    if signed_in != given {
        let text = format!(
            "it is of epoch {signed_in}, but the set is of epoch {given}; give the set of epoch \
             {signed_in}, or check on chain with --rpc"
        );
        return VerifyReport {
            off_chain: Some(Err(text)),
            ..VerifyReport::default()
        };
    }
    let digest = certificate.statement().digest(domain);
    let verified = certificate
        .verify(set, domain)
        .map_err(|error| error.to_string());
    let signers: Vec<_> = certificate
        .signatures()
        .iter()
        .map(|s| check_signer(s, digest, set))
        .collect();
    let valid = signers.iter().filter(|signer| signer.verdict.is_ok());
    let weight = valid.fold(U256::ZERO, |sum, signer| sum.saturating_add(signer.weight));
    VerifyReport {
        weight: Some((weight, set.threshold(), set.total_weight())),
        signers,
        off_chain: Some(verified),
        ..VerifyReport::default()
    }
}

fn check_signer(signer: &SignerSignature, digest: B256, set: &OperatorSet) -> SignerCheck {
    let verdict = match (set.get(signer.operator), signer.signature.recover(digest)) {
        (None, _) => Err("not an operator of this epoch".to_owned()),
        (_, Err(error)) => Err(error.to_string()),
        (Some(member), Ok(key)) if key != member.signing_key => {
            Err(format!("signed by {key} instead of {}", member.signing_key))
        }
        (Some(_), Ok(_)) => Ok(()),
    };
    SignerCheck {
        operator: signer.operator,
        weight: set.weight_of(signer.operator),
        verdict,
    }
}

impl VerifyReport {
    pub(crate) fn render(&self, file: &CertificateFile, domain: &Domain) -> String {
        let mut table = Table::new(&["OPERATOR", ">WEIGHT", "SIGNATURE"]);
        for signer in &self.signers {
            let verdict = signer
                .verdict
                .as_ref()
                .map_or_else(Clone::clone, |()| "valid".into());
            table.row([
                signer.operator.to_string(),
                format::amount(signer.weight),
                verdict,
            ]);
        }
        let mut facts = Facts::default();
        facts.add("Task", file.task_id);
        facts.add("Network", domain.network());
        facts.add("Epoch", file.epoch);
        if let Some((weight, threshold, total)) = self.weight {
            let share = |weight| {
                format!(
                    "{} ({})",
                    format::amount(weight),
                    format::percent(weight, total)
                )
            };
            facts.add(
                "Weight",
                format!("{}, needed {}", share(weight), share(threshold)),
            );
        }
        facts.add_some(
            "Against set",
            self.off_chain.as_ref().map(|checked| match checked {
                Ok(_) => "valid".to_owned(),
                Err(reason) => format!("not valid: {reason}"),
            }),
        );
        facts.add_some("Age", self.age.as_ref());
        facts.add_some("Short form", self.compact.as_ref());
        facts.add_some("On chain", self.on_chain.as_ref());
        match self.signers.is_empty() {
            true => facts.to_string(),
            false => format!("{table}\n{facts}"),
        }
    }

    pub(crate) fn as_value(&self, file: &CertificateFile, domain: &Domain) -> Value {
        let signer = |signer: &SignerCheck| {
            json!({
                "operator": signer.operator.to_string(),
                "weight": signer.weight.to_string(),
                "valid": signer.verdict.is_ok(),
                "reason": signer.verdict.as_ref().err(),
            })
        };
        let weight = self.weight.map(|(weight, threshold, total)| {
            json!({
                "signed": weight.to_string(),
                "threshold": threshold.to_string(),
                "total": total.to_string(),
            })
        });
        let off_chain = self.off_chain.as_ref();
        let on_chain = self.on_chain.as_ref();
        json!({
            "valid": self.failure().is_none(),
            "task_id": file.task_id,
            "network": domain.network().as_str(),
            "epoch": file.epoch,
            "weight": weight,
            "age": self.age.as_ref().map(Age::as_value),
            "compact_signature_data": self.compact,
            "signers": self.signers.iter().map(signer).collect::<Vec<_>>(),
            "off_chain": off_chain.map(|c| json!({ "valid": c.is_ok(), "reason": c.as_ref().err() })),
            "on_chain": on_chain.map(|v| json!({ "valid": *v == CertificateCheck::Valid, "verdict": v.to_string() })),
        })
    }

    /// The first check that failed.
    fn failure(&self) -> Option<String> {
        let off_chain = self
            .off_chain
            .as_ref()
            .and_then(|checked| checked.as_ref().err().cloned());
        let on_chain = self
            .on_chain
            .as_ref()
            .filter(|verdict| **verdict != CertificateCheck::Valid);
        off_chain.or_else(|| on_chain.map(|verdict| format!("the registry says {verdict}")))
    }

    fn conclude(&self) -> anyhow::Result<()> {
        let is_expired = matches!(
            &self.on_chain,
            Some(CertificateCheck::Rejected(Rejection::Expired(_)))
        );
        match (self.failure(), &self.age) {
            (Some(reason), _) if is_expired && !self.fails_off_chain() => {
                Err(Expired(reason).into())
            }
            (Some(reason), _) => Err(NegativeAnswer(format!("not valid: {reason}")).into()),
            (None, Some(age)) => age.conclude(),
            (None, None) => Ok(()),
        }
    }

    fn fails_off_chain(&self) -> bool {
        self.off_chain.as_ref().is_some_and(Result::is_err)
    }
}

#[cfg(test)]
mod tests;
