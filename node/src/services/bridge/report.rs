//! What this node knows of one transfer, from its event to its payout.

use quorate_proto::store::TransferRecord;
use quorate_proto::wire::TransferStage;
use quorate_proto::{
    B256, Certificate, Epoch, OperatorSet, Statement, StatementKind as _, Transfer, U256, wire,
};
use quorate_storage::{Store, schema};

use super::transfer_store::TransferKey;
use super::{Bridge, RouteText};
use crate::NodeError;
use crate::delivery::{self, delivery_id};
use crate::tasks::handover::newest_certificate;

/// Transfers of one transaction that are told apart at most.
const MOST_SENT: usize = 16;
/// Epochs in which it is looked for a task that is not certified: the present one, and those before whose sets may still
/// finish theirs.
const LATELY: u32 = 3;

/// What the target's contract says of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtTarget {
    /// Nothing was brought there.
    Open,
    /// It is paid when limits allow.
    Limited,
    Paid,
    Closed,
}

impl Bridge {
    /// What a transaction sent, at a contract where that is told, as far as this node serves it.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn sent_by(
        &self,
        source: Option<(u64, B256)>,
        transaction: B256,
    ) -> Result<Vec<TransferKey>, NodeError> {
        let mut keys = self.transfers.sent_by(transaction, MOST_SENT)?;
        keys.retain(|(route, _)| {
            let text = self.route(B256::from(*route));
            text.is_some_and(|text| {
                let at = (text.route.source_chain, text.route.source_contract);
                source.is_none_or(|source| source == at)
            })
        });
        Ok(keys)
    }

    /// All that the store has of number `nonce` of a route, in the epoch `now`. Without any step where it was never seen.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn report(
        &self,
        text: &RouteText,
        nonce: u64,
        now: Option<Epoch>,
    ) -> Result<wire::TransferReply, NodeError> {
        let route = text.route.id();
        let mut reply = wire::TransferReply {
            route: route.to_vec(),
            nonce,
            ..wire::TransferReply::default()
        };
        let key = (route.0, nonce);
        let record = self.transfers.record_of(&key)?;
        let Some((record, transfer)) = record.zip(self.transfers.of(&key)?) else {
            return Ok(reply);
        };
        step(&mut reply, TransferStage::Final, record.seen_ms);
        let store = self.transfers.store();
        certify(store, &mut reply, &transfer, now)?;
        deliver(store, &mut reply, &transfer, record.taken_ms)?;
        reply.place = Some(place_of(&record));
        reply.transfer = record.transfer;
        Ok(reply)
    }

    /// As [`Self::report`], with what the target says now.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) async fn report_now(
        &self,
        text: &RouteText,
        nonce: u64,
        now: Option<Epoch>,
    ) -> Result<wire::TransferReply, NodeError> {
        let mut reply = self.report(text, nonce, now)?;
        let certified = has(&reply, TransferStage::Certified);
        let transfer = self.transfers.of(&(text.route.id().0, nonce))?;
        if let Some(transfer) = transfer.filter(|_| certified)
            && let Some(said) = self.at_target(&transfer).await
        {
            settle(&mut reply, said);
        }
        Ok(reply)
    }

    /// Whether this node can look at the target.
    pub(crate) fn reaches(&self, chain: u64) -> bool {
        self.submitters.contains_key(&chain)
    }

    /// What the target says at its newest block; `None` where it cannot be asked now, or too many are asking.
    pub(crate) async fn at_target(&self, transfer: &Transfer) -> Option<AtTarget> {
        let submitter = self.submitters.get(&transfer.route.target_chain)?;
        let _place = self.looks.try_acquire().ok()?;
        let call = submitter.status(transfer).ok()?;
        let answer = submitter.call(&call).await.ok()?;
        let word = U256::from_be_slice(answer.get(..32)?);
        Some(match u8::try_from(word).ok()? {
            0 => AtTarget::Open,
            1 => AtTarget::Limited,
            2 => AtTarget::Paid,
            3 => AtTarget::Closed,
            _ => return None,
        })
    }
}

/// Adds what the target says.
pub(crate) fn settle(reply: &mut wire::TransferReply, said: AtTarget) {
    let stage = match said {
        AtTarget::Open => return,
        AtTarget::Limited => TransferStage::Limited,
        AtTarget::Paid => TransferStage::Paid,
        AtTarget::Closed => TransferStage::Closed,
    };
    let ended = reply.delivery.as_ref();
    let ended_ms = ended.map_or(0, |delivery| delivery.ended_ms);
    step(reply, stage, ended_ms);
}

/// Whether a transfer has reached a stage.
pub(crate) fn has(reply: &wire::TransferReply, stage: TransferStage) -> bool {
    reply.steps.iter().any(|step| step.stage() == stage)
}

fn step(reply: &mut wire::TransferReply, stage: TransferStage, at_ms: u64) {
    let stage = stage.into();
    reply.steps.push(wire::TransferStep { stage, at_ms });
}

fn place_of(record: &TransferRecord) -> wire::TransferPlace {
    wire::TransferPlace {
        block_number: record.block_number,
        block_hash: record.block_hash.clone(),
        block_time: record.block_time,
        transaction: record.transaction.clone(),
        log_index: record.log_index,
    }
}

fn certify(
    store: &Store,
    reply: &mut wire::TransferReply,
    transfer: &Transfer,
    now: Option<Epoch>,
) -> Result<(), NodeError> {
    let slot = Transfer::slot_of(&transfer.route, transfer.nonce);
    let certificate = newest_certificate(store, slot)?;
    let epochs = match &certificate {
        Some(certificate) => vec![certificate.statement().epoch()],
        None => lately(now),
    };
    for epoch in epochs {
        let statement = Statement::Transfer(Transfer {
            epoch,
            ..transfer.clone()
        });
        let id = statement.task_id();
        let Some(task) = store.get(schema::TASKS, &id.0.0)? else {
            continue;
        };
        reply.task_id = id.0.to_vec();
        step(reply, TransferStage::Announced, task.created_ms);
        if certificate.is_some() {
            step(reply, TransferStage::Certified, task.ended_ms);
        }
        break;
    }
    if let Some(certificate) = certificate {
        weigh(store, reply, &certificate)?;
        reply.certificate = Some((&certificate).into());
    }
    Ok(())
}

fn lately(now: Option<Epoch>) -> Vec<Epoch> {
    let newest = now.into_iter();
    newest
        .flat_map(|now| (0..LATELY).filter_map(move |back| now.0.checked_sub(back)))
        .map(Epoch)
        .collect()
}

fn weigh(
    store: &Store,
    reply: &mut wire::TransferReply,
    certificate: &Certificate,
) -> Result<(), NodeError> {
    let epoch = certificate.statement().epoch();
    let Some(set) = store.get(schema::SETS, &epoch.0)? else {
        return Ok(());
    };
    let set = OperatorSet::try_from(&set).map_err(NodeError::damaged)?;
    let signers = certificate.signatures().iter();
    let signed = signers.fold(U256::ZERO, |sum, signer| {
        sum.saturating_add(set.weight_of(signer.operator))
    });
    reply.signed_weight = signed.to_be_bytes_vec();
    reply.total_weight = set.total_weight().to_be_bytes_vec();
    Ok(())
}

fn deliver(
    store: &Store,
    reply: &mut wire::TransferReply,
    transfer: &Transfer,
    queued_ms: u64,
) -> Result<(), NodeError> {
    let target = transfer.route.target_chain;
    let id = delivery_id(transfer.fact(), target, transfer.route.target_contract);
    let Some((delivery, sent_ms)) = delivery::told(store, id)? else {
        return Ok(());
    };
    step(reply, TransferStage::Queued, queued_ms);
    if let Some(sent_ms) = sent_ms {
        step(reply, TransferStage::Sent, sent_ms);
    }
    if delivery.ended_ms > 0 && !delivery.reason.is_empty() {
        step(reply, TransferStage::DeadLetter, delivery.ended_ms);
    }
    reply.delivery = Some(delivery);
    Ok(())
}

#[cfg(test)]
mod tests;
