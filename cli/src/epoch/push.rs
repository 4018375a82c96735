//! `node epoch push`: every update that a light registry lacks, in order, each checked before it
//! is paid for. Where the next one was never certified, a set that the light registry holds and that still
//! lives is asked to name the newest one.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use quorate_proto::{Address, Certificate, Domain, Epoch, EpochUpdate, OperatorSet, Statement};
use serde_json::json;

use super::{EpochPeer, PayerArgs, PeerArgs};
use crate::exit::NegativeAnswer;
use crate::light::Light;
use crate::options::address;
use crate::output;
use crate::transaction::Sent;

#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    /// Address of the light registry
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    light: Address,

    /// Form of the certificates that are submitted
    #[arg(long, value_enum, default_value_t = Form::Compact)]
    form: Form,

    #[command(flatten)]
    payer: PayerArgs,

    #[command(flatten)]
    peer: PeerArgs,
}

/// Held sets that are asked to name another one at most, the newest: operators keep as many.
const MAX_BRIDGES: u32 = 64;
/// Until the operator is asked again for a certificate that it has made: a task takes some milliseconds.
const ASK_AGAIN: Duration = Duration::from_millis(500);

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

/// A set that may be handed over, and who says so.
struct Update {
    signers: OperatorSet,
    next: OperatorSet,
    certificate: Certificate,
}

pub(super) async fn run(args: &PushArgs) -> anyhow::Result<()> {
    let source = args.peer.connect().await?;
    let (provider, _) = args.payer.connect()?;
    let light = Light::connect(provider, args.light).await?;
    light.check_network(&source.domain)?;
    let mut held = held(&light, &source, light.newest_epoch().await?).await?;
    let mut steps = Vec::new();
    while let Some(update) = find_update(&light, &source, &held).await? {
        let Update {
            signers,
            next,
            certificate,
        } = update;
        let bytes = match args.form {
            Form::Compact => certificate.compact_signature_data(&signers)?,
            Form::Abi => certificate.signature_data(),
        };
        match light.update(signers.epoch(), &next, bytes).await? {
            Some(sent) => {
                let epoch = next.epoch();
                output::note(format!("Epoch {epoch} is handed over …"));
                steps.push(Step { epoch, sent });
                held = next;
            }
            None => held = advanced(&light, &source, held.epoch()).await?,
        }
    }
    print(args, &light, held.epoch(), &steps)
}

/// A set of the light registry, which knows its hash only.
async fn held(light: &Light, source: &EpochPeer, epoch: Epoch) -> anyhow::Result<OperatorSet> {
    let hash = light.set_hash(epoch).await?;
    let found = source.find(epoch).await.with_context(|| {
        format!("the set of epoch {epoch}, which the light registry holds, is needed first")
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

/// Another account handed over meanwhile.
async fn advanced(light: &Light, source: &EpochPeer, from: Epoch) -> anyhow::Result<OperatorSet> {
    let set = held(light, source, light.newest_epoch().await?).await?;
    ensure!(
        set.epoch() > from,
        "the light registry refuses an update from epoch {from}, its newest; push again later"
    );
    Ok(set)
}

/// The next update, checked; `None` when the light registry is up to date.
async fn find_update(
    light: &Light,
    source: &EpochPeer,
    held: &OperatorSet,
) -> anyhow::Result<Option<Update>> {
    let newest = source.newest().await?.set;
    if newest.epoch() <= held.epoch() {
        return Ok(None);
    }
    if light.seconds_left(held.epoch()).await?.is_none() {
        return Err(NegativeAnswer(expired(light, held.epoch()).await?).into());
    }
    if let Some(update) = next_update(source, held).await? {
        return Ok(Some(update));
    }
    // Known from the grace period of the epoch before on, certified moments later.
    if newest.epoch() > source.current().await? && newest.epoch() == held.epoch().next() {
        return Ok(None);
    }
    bridge(light, source, held.epoch(), &newest).await.map(Some)
}

/// By the newest set that is held, over the one after it; `None` where that was never certified.
async fn next_update(source: &EpochPeer, held: &OperatorSet) -> anyhow::Result<Option<Update>> {
    let found = source.find(held.epoch().next()).await?;
    let Some((next, certificate)) = found.and_then(|found| Some((found.set, found.certificate?)))
    else {
        return Ok(None);
    };
    // One by an earlier set does not help here.
    if certificate.statement().epoch() != held.epoch() {
        return Ok(None);
    }
    check(&certificate, held, &next, &source.domain)?;
    Ok(Some(Update {
        signers: held.clone(),
        next,
        certificate,
    }))
}

/// Has a set that is held and still lives name the newest one: the latest such set that can.
async fn bridge(
    light: &Light,
    source: &EpochPeer,
    from: Epoch,
    newest: &OperatorSet,
) -> anyhow::Result<Update> {
    let mut tried = Vec::new();
    let mut epoch = Some(from);
    while let Some(by) = epoch.filter(|by| from.0.saturating_sub(by.0) < MAX_BRIDGES) {
        epoch = by.previous();
        if light.set_hash(by).await?.is_zero() {
            continue;
        }
        if light.seconds_left(by).await?.is_none() {
            break;
        }
        output::note(format!(
            "Asking the set of epoch {by} to name that of epoch {} …",
            newest.epoch()
        ));
        let signers = held(light, source, by).await?;
        if let Some(certificate) = certified(source, by, newest.epoch()).await? {
            check(&certificate, &signers, newest, &source.domain)?;
            return Ok(Update {
                signers,
                next: newest.clone(),
                certificate,
            });
        }
        tried.push(by.to_string());
    }
    Err(NegativeAnswer(missing(from, newest.epoch(), &tried)).into())
}

/// The certificate by the set of `by`, as soon as it is made; `None` where its operators do not sign in time.
async fn certified(
    source: &EpochPeer,
    by: Epoch,
    next: Epoch,
) -> anyhow::Result<Option<Certificate>> {
    let end = tokio::time::Instant::now() + source.limit;
    loop {
        let found = source.find_by(next, Some(by)).await?;
        if let Some(certificate) = found.and_then(|found| found.certificate) {
            return Ok(Some(certificate));
        }
        if tokio::time::Instant::now() >= end {
            return Ok(None);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

fn missing(held: Epoch, newest: Epoch, tried: &[String]) -> String {
    format!(
        "no set that the light registry holds and that still lives has named the set of epoch {newest} (asked: {}). \
         Their operators sign with the keys that they had in those epochs: once those with more than two thirds of \
         the weight of one are up again, push again. The newest held is that of epoch {held}",
        match tried.is_empty() {
            true => "none".to_owned(),
            false => tried.join(", "),
        }
    )
}

async fn expired(light: &Light, held: Epoch) -> anyhow::Result<String> {
    let way_on = match light.guardian().await? {
        Some(guardian) => {
            format!("its guardian {guardian} can begin anew with `node epoch anchor`")
        }
        None => "it has no guardian, so another one must be deployed".to_owned(),
    };
    Ok(format!(
        "the light registry has expired: it was told nothing since epoch {held}, whose stake may be gone by now; {way_on}"
    ))
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
        Some(certificate.statement().clone()) == update,
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
        output::json(&value)?;
        return Ok(());
    }
    if steps.is_empty() {
        output::line(format!("already at epoch {epoch}"))?;
    }
    for Step { epoch, sent } in steps {
        output::line(format!(
            "epoch {epoch}: {}, block {}, gas {}",
            sent.hash, sent.block, sent.gas
        ))?;
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
            held.fixed_at() + 3_600,
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
        let at_another_time = EpochUpdate {
            time: update.time - 1,
            ..update
        };
        let untimely = signed(at_another_time, &[2, 3], &domain);
        assert!(check(&untimely, &held, &next, &domain).is_err());
        // The set must be the one that was signed.
        assert!(check(&good, &held, &held, &domain).is_err());
    }
}
