//! This node's own look at a chain, and what it says about a statement.

use std::time::Duration;

use quorate_chain::{ChainError, Reading};
use quorate_proto::{B256, RefusalCode, StateProof, Statement};
use quorate_protocols::pipeline::Verdict;

use super::Chains;
use crate::clock;

/// A read that takes longer is a refusal: the response window is 3 s.
const READ_TIMEOUT: Duration = Duration::from_millis(2_500);

/// How a read went, for the task's record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadTrace {
    pub(crate) micros: u64,
    pub(crate) at_block: Option<B256>,
}

/// Reads for oneself what a statement claims.
pub(crate) async fn observe(chains: &Chains, statement: &Statement) -> (Verdict, ReadTrace) {
    let mut trace = ReadTrace::default();
    let Statement::StateProof(proof) = statement else {
        let detail = "only state proofs are attested here".into();
        return (
            Verdict::Refuse(RefusalCode::ChainUnsupported, detail),
            trace,
        );
    };
    let started = clock::now();
    let verdict = match chains.get(&u64::from(proof.chain_id)) {
        None => {
            let detail = format!("chain {} is not configured here", proof.chain_id);
            Verdict::Refuse(RefusalCode::ChainUnsupported, detail)
        }
        Some(chain) => {
            let read = chain.read(proof.user, proof.key, proof.block_number);
            match tokio::time::timeout(READ_TIMEOUT, read).await {
                Ok(Ok(reading)) => {
                    trace.at_block = Some(reading.read_at.hash);
                    compare(proof, &reading)
                }
                Ok(Err(error)) => refuse(&error),
                Err(_) => Verdict::Refuse(
                    RefusalCode::ChainUnavailable,
                    format!("no answer within {} ms", READ_TIMEOUT.as_millis()),
                ),
            }
        }
    };
    trace.micros = clock::now().micros_since(started);
    metrics::histogram!("quorate_read_seconds").record(crate::figures::seconds(trace.micros));
    (verdict, trace)
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
