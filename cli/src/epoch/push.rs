//! `node epoch push`: every update that a light registry lacks, in order, each checked before it
//! is paid for.

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use quorate_node::client::HandedOver;
use quorate_proto::{Address, Certificate, Domain, Epoch, EpochUpdate, OperatorSet, Statement};
use serde_json::json;

use super::{PayerArgs, PeerArgs, Source};
use crate::exit::No;
use crate::light::Light;
use crate::transaction::Sent;

#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    /// Address of the light registry
    #[arg(long, value_name = "ADDRESS")]
    light: Address,

    /// Form of the certificates that are submitted
    #[arg(long, value_enum, default_value_t = Form::Compact)]
    form: Form,

    #[command(flatten)]
    payer: PayerArgs,

    #[command(flatten)]
    peer: PeerArgs,
}

/// The two forms of a certificate.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Bitmap and signatures of 64 bytes: cheaper
    Compact,
    /// Operators and signatures of 65 bytes
    Abi,
}

/// One epoch that was handed over.
struct Step {
    epoch: Epoch,
    sent: Sent,
}

pub(super) async fn run(args: &PushArgs) -> anyhow::Result<()> {
    let source = Source::connect(&args.peer).await?;
    let (provider, _) = args.payer.connect()?;
    let light = Light::connect(provider, args.light).await?;
    light.check_network(&source.domain)?;
    let mut held = held(&light, &source).await?;
    let mut steps = Vec::new();
    while let Some((next, certificate)) = next_update(&source, &held).await? {
        let bytes = match args.form {
            Form::Compact => certificate.compact_signature_data(&held)?,
            Form::Abi => certificate.signature_data(),
        };
        match light.update(held.epoch(), &next, bytes).await? {
            Some(sent) => {
                let epoch = next.epoch();
                eprintln!("Epoch {epoch} is handed over …");
                steps.push(Step { epoch, sent });
                held = next;
            }
            None => held = advanced(&light, &source, held.epoch()).await?,
        }
    }
    print(args, &light, held.epoch(), &steps)
}

/// The newest set of the light registry, which knows its hash only.
async fn held(light: &Light, source: &Source) -> anyhow::Result<OperatorSet> {
    let epoch = light.newest_epoch().await?;
    let hash = light.set_hash(epoch).await?;
    let found = source.find(epoch).await.with_context(|| {
        format!("the set of epoch {epoch}, the newest of the light registry, is needed first")
    })?;
    let set = found.map(|found| found.set).with_context(|| {
        format!("the light registry is at epoch {epoch}, which is not fixed yet at this operator")
    })?;
    ensure!(
        set.hash() == hash,
        "the light registry holds the set {hash} for epoch {epoch}, this operator says {}; ask \
         another operator, and if all say so, do not believe this light registry",
        set.hash()
    );
    Ok(set)
}

/// Somebody else handed over meanwhile.
async fn advanced(light: &Light, source: &Source, from: Epoch) -> anyhow::Result<OperatorSet> {
    let set = held(light, source).await?;
    ensure!(
        set.epoch() > from,
        "the light registry refuses an update from epoch {from}, its newest; push again later"
    );
    Ok(set)
}

/// The next update, checked; `None` when the light registry is up to date.
async fn next_update(
    source: &Source,
    held: &OperatorSet,
) -> anyhow::Result<Option<(OperatorSet, Certificate)>> {
    let epoch = held.epoch().next();
    let Some(HandedOver { set, certificate }) = source.find(epoch).await? else {
        return Ok(None);
    };
    match certificate {
        Some(certificate) => {
            check(&certificate, held, &set, &source.domain)?;
            Ok(Some((set, certificate)))
        }
        // Known from the grace period of the epoch before on, certified moments later.
        None if epoch > source.current().await? => Ok(None),
        None => Err(No(missing(held.epoch())).into()),
    }
}

fn missing(held: Epoch) -> String {
    let next = held.next();
    format!(
        "this operator has no certificate over epoch {next}; ask another one. Skipping ahead is \
         impossible: only the set of epoch {held}, the newest one held, may name a successor, and \
         it has signed no other. If no operator has it, a light registry must be deployed afresh"
    )
}

/// Whether the light registry will take it.
fn check(
    certificate: &Certificate,
    held: &OperatorSet,
    next: &OperatorSet,
    domain: &Domain,
) -> anyhow::Result<()> {
    let (by, over) = (held.epoch(), next.epoch());
    let update = EpochUpdate::hand_over(by, next).map(Statement::EpochUpdate);
    ensure!(
        Some(*certificate.statement()) == update,
        "the operator's certificate is not the one by which epoch {by} names this set for epoch \
         {over}; ask another operator"
    );
    certificate.verify(held, domain).with_context(|| {
        format!("the certificate over epoch {over} does not hold; ask another operator")
    })?;
    Ok(())
}

fn print(args: &PushArgs, light: &Light, epoch: Epoch, steps: &[Step]) -> anyhow::Result<()> {
    if args.peer.json {
        let steps: Vec<_> = steps
            .iter()
            .map(|step| json!({ "epoch": step.epoch.0, "transaction": step.sent.as_value() }))
            .collect();
        let value = json!({
            "light": light.address().to_string(),
            "chain_id": light.chain_id(),
            "network": light.domain().network().as_str(),
            "epoch": epoch.0,
            "updates": steps,
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    if steps.is_empty() {
        println!("already at epoch {epoch}");
    }
    for Step { epoch, sent } in steps {
        println!(
            "epoch {epoch}: {}, block {}, gas {}",
            sent.hash, sent.block, sent.gas
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use quorate_proto::{SecretKey, SignerSignature};

    use super::*;
    use crate::certificate::domain_of;
    use crate::certificate::tests::{NETWORK, set};

    fn signed(update: EpochUpdate, signers: &[u8], domain: &Domain) -> Certificate {
        let statement = Statement::EpochUpdate(update);
        let digest = statement.digest(domain);
        let sign = |index: &u8| SignerSignature {
            operator: Address::repeat_byte(*index),
            signature: SecretKey::from_bytes(&[*index; 32])
                .and_then(|key| key.sign(digest))
                .expect("signed"),
        };
        Certificate::new(statement, signers.iter().map(sign).collect())
    }

    #[test]
    fn only_the_held_set_names_the_next_one() {
        let domain = domain_of(NETWORK).expect("a network");
        let held = set();
        let next = OperatorSet::new(
            Epoch(8),
            held.members()[1..].to_vec(),
            held.total_weight(),
            held.threshold(),
        )
        .expect("a set");
        let update = EpochUpdate::hand_over(Epoch(7), &next).expect("later");
        let good = signed(update, &[2, 3], &domain);
        assert!(check(&good, &held, &next, &domain).is_ok());
        let weak = signed(update, &[1, 2], &domain);
        assert!(check(&weak, &held, &next, &domain).is_err());
        let older = EpochUpdate {
            epoch: Epoch(6),
            ..update
        };
        assert!(check(&signed(older, &[2, 3], &domain), &held, &next, &domain).is_err());
        // The set must be the one that was signed.
        assert!(check(&good, &held, &held, &domain).is_err());
    }
}
