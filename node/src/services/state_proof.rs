//! Whether a user had stored a value.

use quorate_chain::{ChainError, ReadLog, Reading, StateReader};
use quorate_proto::{RefusalCode, StateProof};
use quorate_protocols::pipeline::Verdict;

use super::Observer;
use super::timeouts::READ_TIMEOUT;
use crate::clock;
use crate::tasks::driver::ReadTrace;

impl Observer {
    /// Reads for itself what the user had stored.
    pub(super) async fn value(&self, proof: &StateProof) -> (Verdict, ReadTrace) {
        let chain_id = u64::from(proof.chain_id);
        let Some(chain) = self.chains.get(&chain_id) else {
            // Not a read, and any announcer could fill the figures with chains that do not exist.
            let detail = format!("chain {chain_id} is not configured here");
            let verdict = Verdict::Refuse(RefusalCode::ChainUnsupported, detail);
            return (verdict, ReadTrace::default());
        };
        // Never closed.
        let _permit = self.reads.acquire().await.ok();
        let (started, log) = (clock::now(), ReadLog::default());
        let verdict = read_value(chain.as_ref(), proof, &log).await;
        let micros = clock::now().micros_since(started);
        (verdict, ReadTrace::of(chain_id, &log, micros))
    }
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
