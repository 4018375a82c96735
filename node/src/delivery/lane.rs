//! One target chain and the key that sends there.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_chain::{ChainError, SignedTransaction, Submitter, TransactionDraft};
use quorate_proto::U256;
use quorate_proto::store::{DeliveryReceipt, DeliveryTransaction};
use quorate_protocols::delivery::{
    Class, DeliveryId, Effect, Fees, Found, LaneId, OnChain, Reason, TxKey, View,
};
use quorate_storage::{Batch, Durability, WriteQueue, schema};

use super::rows::amount_of;
use super::{Payload, class_of, class_of_hint, read_record};
use crate::NodeError;
use crate::keys::PayerKey;

/// Blocks on top of a transaction until it counts.
pub(crate) type Confirmations = u64;

/// What a lane is made of.
#[derive(Clone)]
pub(crate) struct LaneParts {
    pub(crate) submitter: Arc<dyn Submitter>,
    pub(crate) payer: Arc<dyn PayerKey>,
    pub(crate) confirmations: Confirmations,
}

/// Asks and sends for one lane.
pub(super) struct LaneShell {
    parts: LaneParts,
    pub(super) id: LaneId,
    writes: WriteQueue,
    /// (height, next nonce there), as it was at each head that was looked at since the newest confirmed one: as many as
    /// confirmations at most.
    heads: Mutex<VecDeque<(u64, u64)>>,
    /// Held from looking for a signed transaction until it is written.
    signing: tokio::sync::Mutex<()>,
    /// Since which head a delivery is seen as done.
    done_since: Mutex<HashMap<DeliveryId, u64>>,
}

impl LaneShell {
    pub(super) fn new(parts: LaneParts, writes: WriteQueue) -> Self {
        let id = LaneId {
            chain: parts.submitter.chain_id(),
            sender: parts.payer.account(),
        };
        Self {
            parts,
            id,
            writes,
            heads: Mutex::default(),
            signing: tokio::sync::Mutex::default(),
            done_since: Mutex::default(),
        }
    }

    /// How the chain looks.
    pub(super) async fn look(&self) -> Result<View, ChainError> {
        let submitter = &self.parts.submitter;
        let (height, account, fees) = tokio::try_join!(
            submitter.height(),
            submitter.account(self.id.sender),
            submitter.fees()
        )?;
        Ok(View {
            height,
            nonce: account.mined,
            confirmed_nonce: self.confirmed_nonce(height, account.mined),
            balance: account.balance.saturating_to(),
            base_fee: fees.base,
            tip: fees.tips[1].max(1),
        })
    }

    /// The nonce at the newest block with enough blocks on top, as it was seen then. A reorganisation that took
    /// transactions back shows in the nonce of the head.
    fn confirmed_nonce(&self, height: u64, nonce: u64) -> u64 {
        let mut heads = lock(&self.heads);
        heads.retain(|(seen, _)| *seen < height);
        heads.push_back((height, nonce));
        let confirmed = height.saturating_sub(self.parts.confirmations);
        while heads.get(1).is_some_and(|(seen, _)| *seen <= confirmed) {
            heads.pop_front();
        }
        let at = heads.front().filter(|(seen, _)| *seen <= confirmed);
        at.map_or(0, |(_, then)| *then).min(nonce)
    }

    /// What the contract's record says, and whether long enough.
    pub(super) async fn record(
        &self,
        id: DeliveryId,
        payload: &Payload,
    ) -> Result<Option<OnChain>, ChainError> {
        let submitter = &self.parts.submitter;
        let (height, answer) =
            tokio::try_join!(submitter.height(), submitter.call(&payload.record))?;
        let said = read_record(payload.rule, &answer);
        let mut done_since = lock(&self.done_since);
        let Some(OnChain::Done { .. } | OnChain::Gone(_)) = said else {
            done_since.remove(&id);
            return Ok(said);
        };
        let since = *done_since.entry(id).or_insert(height);
        let wanted = match payload.is_interim {
            true => 0,
            false => self.parts.confirmations,
        };
        let confirmed = height >= since.saturating_add(wanted);
        Ok(match said {
            Some(OnChain::Done { .. }) => Some(OnChain::Done { confirmed }),
            // Until it is confirmed that it cannot be executed it counts as if it could not be seen yet.
            Some(OnChain::Gone(_)) if !confirmed => None,
            other => other,
        })
    }

    pub(super) fn forget(&self, id: DeliveryId) {
        lock(&self.done_since).remove(&id);
    }

    /// The gas that it takes.
    pub(super) async fn estimate(&self, payload: &Payload, limit: u64) -> Result<u64, Reason> {
        match self.parts.submitter.estimate(&payload.call).await {
            Ok(gas) if gas > limit => {
                let text = format!("it takes {gas}, allowed are {limit}");
                Err(Reason::new(Class::GasTooLow, &text))
            }
            Ok(gas) => Ok(gas),
            Err(error) => Err(self.refused(&error)),
        }
    }

    fn refused(&self, error: &ChainError) -> Reason {
        let class = match self.parts.submitter.meaning_of(error) {
            Some(meaning) => class_of(meaning),
            None if matches!(error, ChainError::Reverted { .. }) => Class::Reverted,
            None => Class::Unreachable,
        };
        Reason::new(class, &error.to_string())
    }

    /// Sends what was signed under this key; signs and writes it first where nothing was. Answers until which height it
    /// can be executed, too.
    pub(super) async fn send(
        &self,
        tx: TxKey,
        payload: Option<&Payload>,
        (fees, gas): (Fees, u64),
    ) -> Result<(Option<u64>, Result<(), Reason>), NodeError> {
        let key = ((tx.lane.chain, tx.lane.sender.0), tx.nonce, tx.attempt);
        let guard = self.signing.lock().await;
        let reserved = (tx.lane.chain, tx.lane.sender.0, tx.nonce);
        let store = self.writes.store();
        if store.get(schema::DELIVERY_NONCES, &reserved)?.is_none() {
            let reason = Reason::new(Class::NonceUsed, "closed meanwhile");
            return Ok((None, Err(reason)));
        }
        let stored = store.get(schema::DELIVERY_TRANSACTIONS, &key)?;
        let row = match stored {
            Some(row) => row,
            None => match self.sign(tx.nonce, payload, fees, gas).await {
                Ok(row) => {
                    let mut batch = Batch::new();
                    batch.put(schema::DELIVERY_TRANSACTIONS, &key, &row);
                    self.writes.write(batch, Durability::Synced).await?;
                    row
                }
                Err(reason) => return Ok((None, Err(reason))),
            },
        };
        drop(guard);
        let signed = SignedTransaction {
            id: row.hash.into(),
            sender: self.id.sender,
            raw: row.raw.into(),
        };
        let sent = self.parts.submitter.broadcast(&signed).await;
        if sent.is_accepted() {
            return Ok((row.valid_until, Ok(())));
        }
        let text = sent.hints.join("; ");
        let class = match sent.is_refused {
            true => class_of_hint(&text),
            false => Class::Unreachable,
        };
        Ok((row.valid_until, Err(Reason::new(class, &text))))
    }

    /// One without payload does nothing: it goes to the sender itself.
    async fn sign(
        &self,
        nonce: u64,
        payload: Option<&Payload>,
        fees: Fees,
        gas: u64,
    ) -> Result<DeliveryTransaction, Reason> {
        let call = payload.map(|payload| &payload.call);
        let draft = TransactionDraft {
            sender: self.id.sender,
            nonce,
            contract: call.map_or(self.id.sender, |call| call.contract),
            data: call.map(|call| call.data.clone()).unwrap_or_default(),
            value: U256::ZERO,
            gas,
            max_fee: fees.max_fee,
            tip: fees.tip,
        };
        let failed = |text: String| Reason::new(Class::Unreachable, &text);
        let unsigned = self.parts.submitter.prepare(&draft).await;
        let unsigned = unsigned.map_err(|error| failed(error.to_string()))?;
        let signature = self.parts.payer.sign(&unsigned.payload).await;
        let signature = signature.map_err(|error| failed(error.to_string()))?;
        let signed = self.parts.submitter.complete(&draft, &unsigned, &signature);
        let signed = signed.map_err(|error| failed(error.to_string()))?;
        Ok(DeliveryTransaction {
            hash: signed.id.into(),
            raw: signed.raw.into(),
            max_fee: amount_of(fees.max_fee),
            gas,
            valid_until: unsigned.valid_until,
        })
    }

    /// What became of what was signed with a nonce.
    pub(super) async fn receipt(&self, nonce: u64) -> Result<Result<Found, ChainError>, NodeError> {
        let key = ((self.id.chain, self.id.sender.0), nonce);
        let guard = self.signing.lock().await;
        let mut signed = Vec::new();
        for row in self
            .writes
            .store()
            .rows(schema::DELIVERY_TRANSACTIONS, &key)
        {
            let ((_, _, attempt), row) = row?;
            signed.push((attempt, row));
        }
        drop(guard);
        if signed.is_empty() {
            return Ok(Ok(Found::Unsigned));
        }
        Ok(match self.find(&signed).await {
            Ok((found, mined)) => {
                if let Some((attempt, receipt)) = mined {
                    self.keep_receipt(nonce, attempt, receipt).await?;
                }
                Ok(found)
            }
            Err(error) => Err(error),
        })
    }

    /// For people: the machine forgets a nonce that is closed. One that was cancelled delivered nothing.
    async fn keep_receipt(
        &self,
        nonce: u64,
        attempt: u32,
        receipt: DeliveryReceipt,
    ) -> Result<(), NodeError> {
        let key = (self.id.chain, self.id.sender.0, nonce);
        let reserved = self.writes.store().get(schema::DELIVERY_NONCES, &key)?;
        let Some(reserved) =
            reserved.filter(|row| row.cancels_from.is_none_or(|from| attempt < from))
        else {
            return Ok(());
        };
        let Ok(delivery) = <[u8; 32]>::try_from(reserved.delivery.as_slice()) else {
            return Ok(());
        };
        let sent_ms = reserved.made / 1_000;
        let mut batch = Batch::new();
        let row = DeliveryReceipt { sent_ms, ..receipt };
        batch.put(schema::DELIVERY_RECEIPTS, &delivery, &row);
        Ok(self.writes.write(batch, Durability::Buffered).await?)
    }

    async fn find(
        &self,
        signed: &[(u32, DeliveryTransaction)],
    ) -> Result<(Found, Option<(u32, DeliveryReceipt)>), ChainError> {
        let height = self.parts.submitter.height().await?;
        for (attempt, row) in signed {
            let Some(place) = self.parts.submitter.receipt(&row.hash).await? else {
                continue;
            };
            let depth = height.saturating_sub(place.block);
            if depth < self.parts.confirmations && !place.is_final {
                return Ok((Found::Unconfirmed, None));
            }
            let price = u128::from_be_bytes(row.max_fee.as_slice().try_into().unwrap_or_default());
            let effect = match place.succeeded {
                true => Effect::Success,
                false if place.gas_used >= row.gas => Effect::OutOfGas,
                false => Effect::Reverted,
            };
            let found = Found::Mined {
                attempt: *attempt,
                effect,
                cost: price.saturating_mul(place.gas_used.into()),
            };
            let receipt = DeliveryReceipt {
                transaction: row.hash.clone(),
                block_number: place.block,
                gas_used: place.gas_used,
                succeeded: place.succeeded,
                sent_ms: 0,
            };
            return Ok((found, Some((*attempt, receipt))));
        }
        let missing = Found::Missing {
            height: height.saturating_sub(self.parts.confirmations),
            valid_until: signed.last().and_then(|(_, row)| row.valid_until),
        };
        Ok((missing, None))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
