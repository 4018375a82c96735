//! This node's own look at a chain, and what it says about a statement.

use std::time::Duration;

use quorate_chain::{ChainError, Reading};
use quorate_proto::{B256, EpochUpdate, RefusalCode, StateProof, Statement};
use quorate_protocols::pipeline::Verdict;

use super::Chains;
use crate::clock;
use crate::home::HomeHandle;

/// A read that takes longer is a refusal: the response window is 3 s.
const READ_TIMEOUT: Duration = Duration::from_millis(2_500);

/// How a read went, for the task's record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadTrace {
    pub(crate) micros: u64,
    pub(crate) at_block: Option<B256>,
}

/// Reads for oneself what a statement claims.
pub(crate) async fn observe(
    chains: &Chains,
    home: &HomeHandle,
    statement: &Statement,
) -> (Verdict, ReadTrace) {
    let started = clock::now();
    let (verdict, at_block) = match statement {
        Statement::StateProof(proof) => observe_value(chains, proof).await,
        Statement::EpochUpdate(update) => (observe_set(home, update).await, None),
    };
    let micros = clock::now().micros_since(started);
    if statement.state_proof().is_some() {
        metrics::histogram!("quorate_read_seconds").record(crate::figures::seconds(micros));
    }
    (verdict, ReadTrace { micros, at_block })
}

async fn observe_value(chains: &Chains, proof: &StateProof) -> (Verdict, Option<B256>) {
    let Some(chain) = chains.get(&u64::from(proof.chain_id)) else {
        let detail = format!("chain {} is not configured here", proof.chain_id);
        let verdict = Verdict::Refuse(RefusalCode::ChainUnsupported, detail);
        return (verdict, None);
    };
    let read = chain.read(proof.user, proof.key, proof.block_number);
    match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(Ok(reading)) => (compare(proof, &reading), Some(reading.read_at.hash)),
        Ok(Err(error)) => (refuse(&error), None),
        Err(_) => {
            let detail = format!("no answer within {} ms", READ_TIMEOUT.as_millis());
            (Verdict::Refuse(RefusalCode::ChainUnavailable, detail), None)
        }
    }
}

/// Compares with the set that this node has read from the home chain. The announcer may have seen
/// it become final a moment earlier, so a set that is not known yet is waited for.
async fn observe_set(home: &HomeHandle, update: &EpochUpdate) -> Verdict {
    let epoch = update.next_epoch;
    let mut views = home.watch();
    if home.view().set(epoch).is_none() {
        home.hurry();
    }
    let known = views.wait_for(|view| view.set(epoch).is_some());
    let hash = match tokio::time::timeout(READ_TIMEOUT, known).await {
        Ok(Ok(view)) => view.set(epoch).map(|set| set.hash()),
        _ => None,
    };
    match hash {
        Some(hash) if hash == update.set_hash => Verdict::Agree,
        Some(hash) => {
            let detail = format!("read the set {hash} for epoch {epoch}");
            Verdict::Refuse(RefusalCode::ValueDiffers, detail)
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
        _ => RefusalCode::ChainUnavailable,
    };
    Verdict::Refuse(code, error.to_string())
}

#[cfg(test)]
mod tests;
