//! What this node says of the bridge's statements.

use quorate_chain::{ChainError, ReadLog};
use quorate_proto::{
    BridgePause, ReadBasis, RefusalCode, StatementKind as _, Transfer, TransferClosed,
};
use quorate_protocols::pipeline::Verdict;

use super::Bridge;
use super::settings::BridgePlace;
use crate::clock;
use crate::services::Observer;
use crate::services::timeouts::READ_TIMEOUT;
use crate::tasks::driver::ReadTrace;

impl Observer {
    /// Compares with what this node has seen at a final block. The announcer may have seen it a moment earlier: a few
    /// wait.
    pub(in crate::services) async fn transfer(&self, told: &Transfer) -> (Verdict, ReadTrace) {
        let started = clock::now();
        let verdict = match self.bridge.serves(&told.route) {
            true => {
                let place = self.bridge_waits.try_acquire().ok();
                seen(&self.bridge, told, place.is_some()).await
            }
            false => unsupported(),
        };
        let micros = clock::now().micros_since(started);
        let basis = match verdict {
            Verdict::Agree => ReadBasis::Proof,
            Verdict::Refuse(..) => ReadBasis::Unspecified,
        };
        // Names no chain: receipts that were proven do not show that the chain's state can be.
        let trace = ReadTrace {
            micros,
            basis,
            ..ReadTrace::default()
        };
        (verdict, trace)
    }

    /// Reads at the target whether it was closed.
    pub(in crate::services) async fn closed(&self, told: &TransferClosed) -> (Verdict, ReadTrace) {
        let (started, chain) = (clock::now(), told.route.target_chain);
        let log = ReadLog::default();
        let verdict = match self.bridge.serves(&told.route) {
            true => {
                // Never closed.
                let _permit = self.reads.acquire().await.ok();
                let read = tokio::time::timeout(READ_TIMEOUT, read_closed(&self.bridge, told));
                read.await
                    .unwrap_or_else(|_| unavailable("no answer in time"))
            }
            false => unsupported(),
        };
        let micros = clock::now().micros_since(started);
        (verdict, ReadTrace::of(chain, &log, micros))
    }

    /// A vote: this operator gives the one that it was told to give, when it is the turn of its number.
    pub(in crate::services) async fn pause(&self, told: &BridgePause) -> (Verdict, ReadTrace) {
        let started = clock::now();
        let verdict = match compare_vote(&self.bridge, told) {
            Verdict::Agree => {
                // Never closed.
                let _permit = self.reads.acquire().await.ok();
                is_next(&self.bridge, told).await
            }
            refusal @ Verdict::Refuse(..) => refusal,
        };
        let trace = ReadTrace {
            micros: clock::now().micros_since(started),
            ..ReadTrace::default()
        };
        (verdict, trace)
    }
}

async fn seen(bridge: &Bridge, told: &Transfer, waits: bool) -> Verdict {
    let mut changes = bridge.transfers.watch();
    let deadline = tokio::time::Instant::now() + READ_TIMEOUT;
    loop {
        match bridge.transfers.get(&told.route, told.nonce) {
            Ok(Some(own)) => return compare(&own, told),
            Ok(None) if !waits => break,
            Ok(None) => {}
            Err(error) => return unavailable(&error.to_string()),
        }
        match tokio::time::timeout_at(deadline, changes.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let detail = format!(
        "transfer {} of that route was not seen at a final block yet",
        told.nonce
    );
    Verdict::Refuse(RefusalCode::NotFinal, detail)
}

fn compare(own: &Transfer, told: &Transfer) -> Verdict {
    let own = Transfer {
        epoch: told.epoch,
        ..own.clone()
    };
    if own == *told {
        return Verdict::Agree;
    }
    let Transfer {
        receiver,
        token,
        amount,
        ..
    } = own;
    let detail = format!("read {amount} of token {token} to {receiver} under that number");
    Verdict::Refuse(RefusalCode::ValueDiffers, detail)
}

async fn read_closed(bridge: &Bridge, told: &TransferClosed) -> Verdict {
    let chain = told.route.target_chain;
    let Some(reader) = bridge.reader(chain) else {
        return unsupported();
    };
    let Some(head) = reader.final_head() else {
        return unavailable("no final head is known");
    };
    match reader.closed(&told.route, told.nonce, head).await {
        Ok(Some(time)) if time == told.time => Verdict::Agree,
        Ok(Some(time)) => {
            let detail = format!("it was closed at {time}");
            Verdict::Refuse(RefusalCode::TimestampDiffers, detail)
        }
        Ok(None) => {
            let detail = format!("it is not closed at final {head}");
            Verdict::Refuse(RefusalCode::NotFinal, detail)
        }
        Err(ChainError::NotFinal { .. }) => unavailable("the block is not final"),
        Err(error) => unavailable(&error.to_string()),
    }
}

fn compare_vote(bridge: &Bridge, told: &BridgePause) -> Verdict {
    let given = match bridge.votes.of(&BridgePlace::about(told)) {
        Ok(given) => given,
        Err(error) => return unavailable(&error.to_string()),
    };
    let own = given.map(|given| BridgePause {
        epoch: told.epoch,
        ..given
    });
    let detail = match own {
        Some(own) if own == *told => return Verdict::Agree,
        Some(own) => format!("its operator votes that {}", own.words().says),
        None => "its operator has not voted about that bridge".to_owned(),
    };
    Verdict::Refuse(RefusalCode::NotVoted, detail)
}

/// Whether the bridge has counted as many changes as come before this one.
async fn is_next(bridge: &Bridge, told: &BridgePause) -> Verdict {
    match bridge.changes_of(&BridgePlace::about(told)).await {
        Ok(counted) if counted.saturating_add(1) == told.sequence => Verdict::Agree,
        Ok(counted) => {
            let detail = format!("that bridge has counted {counted} changes at a final block");
            Verdict::Refuse(RefusalCode::NotFinal, detail)
        }
        Err(error) => unavailable(&error.to_string()),
    }
}

fn unsupported() -> Verdict {
    let detail = "that route is not configured here".to_owned();
    Verdict::Refuse(RefusalCode::ChainUnsupported, detail)
}

fn unavailable(detail: &str) -> Verdict {
    Verdict::Refuse(RefusalCode::ChainUnavailable, detail.to_owned())
}

#[cfg(test)]
mod tests;
