//! What the store has of one delivery, for people.

use std::collections::HashMap;

use quorate_proto::{B256, U256, wire};
use quorate_storage::{Store, schema};

use super::rows;
use crate::NodeError;

/// A transaction that is on its way for a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sending {
    /// The newest one that was signed; `None` while none is.
    pub(crate) transaction: Option<B256>,
    /// Unix milliseconds at which its nonce was reserved.
    pub(crate) since_ms: u64,
}

/// What is on its way, by delivery: as many as there are nonces in flight.
pub(crate) fn sendings(store: &Store) -> Result<HashMap<B256, Sending>, NodeError> {
    let mut all = HashMap::new();
    for row in store.rows(schema::DELIVERY_NONCES, &()) {
        let ((chain, sender, nonce), row) = row?;
        let Ok(delivery) = B256::try_from(row.delivery.as_slice()) else {
            continue;
        };
        let mut sending = Sending {
            transaction: None,
            since_ms: row.made / 1_000,
        };
        for signed in store.rows(schema::DELIVERY_TRANSACTIONS, &((chain, sender), nonce)) {
            sending.transaction = B256::try_from(signed?.1.hash.as_slice()).ok();
        }
        all.insert(delivery, sending);
    }
    Ok(all)
}

/// A delivery with its newest transaction, and when that was sent; `None` where this node has none with this id.
pub(crate) fn told(
    store: &Store,
    id: B256,
) -> Result<Option<(wire::TransferDelivery, Option<u64>)>, NodeError> {
    let row = match store.get(schema::DELIVERIES, &id.0)? {
        Some(row) => Some(row),
        None => store.get(schema::ENDED_DELIVERIES, &id.0)?,
    };
    let Some(row) = row else {
        return Ok(None);
    };
    let line = rows::line_of(&row)?;
    let mut delivery = wire::TransferDelivery {
        id: id.to_vec(),
        failures: line.failures,
        spent: U256::from(line.spent).to_be_bytes_vec(),
        next_try_ms: line.until_ms.unwrap_or_default(),
        reason: line.reason.unwrap_or_default(),
        ended_ms: line.ended_ms.unwrap_or_default(),
        ..wire::TransferDelivery::default()
    };
    if let Some(sending) = sendings(store)?.remove(&id) {
        let hash = sending.transaction.map(|hash| hash.to_vec());
        delivery.transaction = hash.unwrap_or_default();
        return Ok(Some((delivery, Some(sending.since_ms))));
    }
    let receipt = store.get(schema::DELIVERY_RECEIPTS, &id.0)?;
    let sent_ms = receipt.as_ref().map(|receipt| receipt.sent_ms);
    if let Some(receipt) = receipt {
        delivery.transaction = receipt.transaction;
        delivery.block_number = receipt.block_number;
        delivery.gas_used = receipt.gas_used;
    }
    Ok(Some((delivery, sent_ms)))
}
