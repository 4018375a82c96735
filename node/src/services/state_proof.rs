//! This node's own look at a chain, and what it says about a statement.

use std::time::Duration;

use quorate_chain::{ChainError, ReadLog, Reading, StateReader};
use quorate_proto::{B256, Epoch, EpochUpdate, RefusalCode, StateProof};
use quorate_protocols::pipeline::Verdict;

use super::{Chains, ReadTrace};
use crate::clock;
use crate::home::{EpochView, HomeHandle};

/// A read that takes longer is a refusal: the response window is 3 s.
const READ_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Reads for oneself what a user had stored.
pub(crate) async fn value(chains: &Chains, proof: &StateProof) -> (Verdict, ReadTrace) {
    let chain_id = u64::from(proof.chain_id);
    let Some(chain) = chains.get(&chain_id) else {
        // Not a read, and any announcer could fill the figures with chains that do not exist.
        let detail = format!("chain {chain_id} is not configured here");
        let verdict = Verdict::Refuse(RefusalCode::ChainUnsupported, detail);
        return (verdict, ReadTrace::default());
    };
    let (started, log) = (clock::now(), ReadLog::default());
    let verdict = read_value(chain.as_ref(), proof, &log).await;
    let micros = clock::now().micros_since(started);
    (verdict, ReadTrace::of(chain_id, &log, micros))
}

async fn read_value(chain: &dyn StateReader, proof: &StateProof, log: &ReadLog) -> Verdict {
    let read = chain.read(proof.user, proof.key, proof.block_number, log);
    match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(Ok(reading)) => compare(proof, &reading),
        Ok(Err(error)) => refuse(&error),
        Err(_) => {
            let detail = format!("no answer within {} ms", READ_TIMEOUT.as_millis());
            Verdict::Refuse(RefusalCode::ChainUnavailable, detail)
        }
    }
}

/// Compares with the set that this node has read from the home chain. The announcer may have seen
/// it become final a moment earlier: with `wait`, a set that is not known yet is waited for.
pub(crate) async fn set(
    home: &HomeHandle,
    update: &EpochUpdate,
    wait: bool,
) -> (Verdict, ReadTrace) {
    let started = clock::now();
    let epoch = update.next_epoch;
    let known = told_of(&home.view(), epoch);
    let told = match known {
        None if wait => wait_for_set(home, epoch).await,
        known => known,
    };
    let trace = ReadTrace {
        micros: clock::now().micros_since(started),
        ..ReadTrace::default()
    };
    (compare_set(update, told), trace)
}

async fn wait_for_set(home: &HomeHandle, epoch: Epoch) -> Option<(B256, u64)> {
    let mut views = home.watch();
    home.hurry();
    let known = views.wait_for(|view| told_of(view, epoch).is_some());
    let view = tokio::time::timeout(READ_TIMEOUT, known).await.ok()?.ok()?;
    told_of(&view, epoch)
}

/// Hash and time of the set that was read. One that lacks members has the hash of another set, so
/// that it could make two certificates for one epoch.
fn told_of(view: &EpochView, epoch: Epoch) -> Option<(B256, u64)> {
    let set = view.set(epoch).filter(|set| set.is_whole())?;
    Some((set.hash(), set.fixed_at()))
}

fn compare_set(update: &EpochUpdate, told: Option<(B256, u64)>) -> Verdict {
    let epoch = update.next_epoch;
    match told {
        Some(told) if told == (update.set_hash, update.time) => Verdict::Agree,
        Some((hash, _)) if hash != update.set_hash => {
            let detail = format!("read the set {hash} for epoch {epoch}");
            Verdict::Refuse(RefusalCode::ValueDiffers, detail)
        }
        Some((_, time)) => {
            let detail = format!("the set of epoch {epoch} was fixed at {time}");
            Verdict::Refuse(RefusalCode::TimestampDiffers, detail)
        }
        None => {
            let detail = format!("the set of epoch {epoch} is not final here yet");
            Verdict::Refuse(RefusalCode::NotFinal, detail)
        }
    }
}

fn compare(proof: &StateProof, reading: &Reading) -> Verdict {
    if reading.value != proof.value {
        let detail = format!(
            "read {} at final block {}",
            reading.value, reading.read_at.number
        );
        return Verdict::Refuse(RefusalCode::ValueDiffers, detail);
    }
    if reading.block.timestamp != proof.timestamp {
        let detail = format!(
            "block {} has timestamp {}",
            proof.block_number, reading.block.timestamp
        );
        return Verdict::Refuse(RefusalCode::TimestampDiffers, detail);
    }
    Verdict::Agree
}

fn refuse(error: &ChainError) -> Verdict {
    let code = match error {
        ChainError::NotFinal { .. } => RefusalCode::NotFinal,
        ChainError::NoHistory | ChainError::BeforeFirstEntry => RefusalCode::NoEntry,
        ChainError::NotListed { .. } | ChainError::OtherBlocks { .. } => {
            RefusalCode::ChainUnsupported
        }
        _ => RefusalCode::ChainUnavailable,
    };
    Verdict::Refuse(code, error.to_string())
}

#[cfg(test)]
mod tests;
