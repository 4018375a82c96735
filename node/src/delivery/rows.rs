//! The machine's records on disk.

use quorate_chain::{ContractCall, RecordRule};
use quorate_proto::store::{DeliveryNonce, DeliveryPayload, DeliveryReason, DeliveryRow};
use quorate_proto::{B256, Timestamp, U256};
use quorate_protocols::delivery::{
    Class, Delivery, DeliveryId, DeliveryRecord, Fees, LaneId, NonceRecord, Reason, Record,
    RecordKey, Route,
};
use quorate_storage::{Batch, Store, schema};

use super::Payload;
use crate::NodeError;

/// Numbers of the classes on disk: never change or reuse one.
const CLASSES: [(u32, Class); 17] = [
    (1, Class::Unreachable),
    (2, Class::GasTooLow),
    (3, Class::Underpriced),
    (4, Class::NonceUsed),
    (5, Class::Funds),
    (6, Class::Rejected),
    (7, Class::Reverted),
    (8, Class::Taken),
    (9, Class::Hopeless),
    (10, Class::Misconfigured),
    (11, Class::Expired),
    (12, Class::OverBudget),
    (13, Class::Gone),
    (14, Class::NoEffect),
    (15, Class::Lapsed),
    (16, Class::Withdrawn),
    (17, Class::Paused),
];

fn damaged(what: &str) -> NodeError {
    NodeError::Stored {
        reason: format!("a stored delivery is damaged: {what}"),
    }
}

fn word(bytes: &[u8], what: &str) -> Result<B256, NodeError> {
    B256::try_from(bytes).map_err(|_| damaged(what))
}

fn amount(bytes: &[u8]) -> Result<u128, NodeError> {
    let bytes = bytes.try_into().map_err(|_| damaged("an amount"))?;
    Ok(u128::from_be_bytes(bytes))
}

pub(super) fn amount_of(number: u128) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

pub(super) fn reason_row(reason: &Reason) -> DeliveryReason {
    let number = CLASSES.iter().find(|(_, class)| *class == reason.class);
    DeliveryReason {
        class: number.map_or(0, |(number, _)| *number),
        text: reason.text.clone(),
    }
}

pub(crate) fn reason_of(row: &DeliveryReason) -> Result<Reason, NodeError> {
    let class = CLASSES.iter().find(|(number, _)| *number == row.class);
    let (_, class) = class.ok_or_else(|| damaged("the class of a reason"))?;
    Ok(Reason::new(*class, &row.text))
}

fn maybe_reason(row: Option<&DeliveryReason>) -> Result<Option<Reason>, NodeError> {
    row.map(reason_of).transpose()
}

fn payload_row(payload: &Payload) -> DeliveryPayload {
    DeliveryPayload {
        contract: payload.call.contract.to_vec(),
        data: payload.call.data.to_vec(),
        record_contract: payload.record.contract.to_vec(),
        record_data: payload.record.data.to_vec(),
        at_least: match payload.rule {
            RecordRule::Status | RecordRule::Zero => 0,
            RecordRule::AtLeast(number) => number,
        },
        about: payload.about.clone(),
        interim: payload.is_interim,
        until_zero: payload.rule == RecordRule::Zero,
    }
}

fn payload_of(row: &DeliveryPayload, sender: B256) -> Result<Payload, NodeError> {
    let call = |name, contract: &[u8], data: &[u8], from| {
        Ok::<ContractCall, NodeError>(ContractCall {
            name,
            from,
            contract: word(contract, "a contract")?,
            data: data.to_vec().into(),
            value: U256::ZERO,
        })
    };
    Ok(Payload {
        call: call("deliver", &row.contract, &row.data, Some(sender))?,
        record: call("record", &row.record_contract, &row.record_data, None)?,
        rule: match row.at_least {
            0 if row.until_zero => RecordRule::Zero,
            0 => RecordRule::Status,
            number => RecordRule::AtLeast(number),
        },
        is_interim: row.interim,
        about: row.about.clone(),
    })
}

pub(super) fn delivery_row(record: &DeliveryRecord, payload: &Payload) -> DeliveryRow {
    let Delivery {
        id,
        lane,
        route,
        priority,
        not_before,
        deadline,
        needs,
        budget,
    } = record.delivery;
    DeliveryRow {
        id: id.0.to_vec(),
        chain: lane.chain,
        sender: lane.sender.to_vec(),
        route: route.0.to_vec(),
        priority: priority.into(),
        not_before: not_before.0,
        deadline: deadline.map(|deadline| deadline.0),
        needs: needs.map(|needs| needs.0.to_vec()).unwrap_or_default(),
        budget: amount_of(budget),
        place: record.place,
        until: record.until.0,
        failures: record.failures,
        spent: amount_of(record.spent),
        gas: record.gas,
        dear_since: record.dear_since.map(|since| since.0),
        last: record.last.as_ref().map(reason_row),
        verdict: record.verdict.as_ref().map(reason_row),
        payload: Some(payload_row(payload)),
        ended: 0,
        ended_by: None,
    }
}

/// A record and what is sent.
pub(super) fn delivery_of(row: &DeliveryRow) -> Result<(DeliveryRecord, Payload), NodeError> {
    let sender = word(&row.sender, "a sender")?;
    let needs = match row.needs.as_slice() {
        [] => None,
        bytes => Some(DeliveryId(word(bytes, "what it needs")?)),
    };
    let delivery = Delivery {
        id: DeliveryId(word(&row.id, "an id")?),
        lane: LaneId {
            chain: row.chain,
            sender,
        },
        route: Route(word(&row.route, "a route")?),
        priority: row.priority.try_into().map_err(|_| damaged("a priority"))?,
        not_before: Timestamp(row.not_before),
        deadline: row.deadline.map(Timestamp),
        needs,
        budget: amount(&row.budget)?,
    };
    let payload = row.payload.as_ref().ok_or_else(|| damaged("no payload"))?;
    let record = DeliveryRecord {
        delivery,
        place: row.place,
        until: Timestamp(row.until),
        failures: row.failures,
        spent: amount(&row.spent)?,
        gas: row.gas,
        dear_since: row.dear_since.map(Timestamp),
        last: maybe_reason(row.last.as_ref())?,
        verdict: maybe_reason(row.verdict.as_ref())?,
    };
    Ok((record, payload_of(payload, sender)?))
}

fn nonce_row(record: &NonceRecord) -> DeliveryNonce {
    let cancel = record.cancel.as_ref();
    DeliveryNonce {
        delivery: record.delivery.map(|id| id.0.to_vec()).unwrap_or_default(),
        attempt: record.attempt,
        cancels_from: cancel.map(|(from, _)| *from),
        cancels_for: cancel.map(|(_, reason)| reason_row(reason)),
        made: record.made.0,
        leads_since: record.leads.map(|(since, _)| since.0),
        leads_at: record.leads.map(|(_, at)| at).unwrap_or_default(),
        max_fee: amount_of(record.fees.max_fee),
        tip: amount_of(record.fees.tip),
        gas: record.gas,
        valid_until: record.valid_until,
    }
}

fn nonce_of(lane: LaneId, nonce: u64, row: &DeliveryNonce) -> Result<NonceRecord, NodeError> {
    let delivery = match row.delivery.as_slice() {
        [] => None,
        bytes => Some(DeliveryId(word(bytes, "an id")?)),
    };
    let reason = maybe_reason(row.cancels_for.as_ref())?;
    Ok(NonceRecord {
        lane,
        nonce,
        delivery,
        attempt: row.attempt,
        cancel: row.cancels_from.zip(reason),
        made: Timestamp(row.made),
        leads: row
            .leads_since
            .map(|since| (Timestamp(since), row.leads_at)),
        fees: Fees {
            max_fee: amount(&row.max_fee)?,
            tip: amount(&row.tip)?,
        },
        gas: row.gas,
        valid_until: row.valid_until,
    })
}

/// Adds a record to what is written.
pub(super) fn keep(batch: &mut Batch, record: &Record, payload: Option<&Payload>) {
    match record {
        Record::Delivery(record) => {
            if let Some(payload) = payload {
                let id = record.delivery.id.0.0;
                batch.put(schema::DELIVERIES, &id, &delivery_row(record, payload));
            }
        }
        Record::Nonce(record) => {
            let key = (record.lane.chain, record.lane.sender.0, record.nonce);
            batch.put(schema::DELIVERY_NONCES, &key, &nonce_row(record));
        }
        Record::Stopped(lane, route, reason) => {
            let route = route.unwrap_or_default().0.0;
            let key = (lane.chain, lane.sender.0, route);
            batch.put(schema::STOPPED_DELIVERIES, &key, &reason_row(reason));
        }
    }
}

/// Removes a record; with a nonce also what was signed for it.
pub(super) fn forget(store: &Store, batch: &mut Batch, key: &RecordKey) -> Result<(), NodeError> {
    match key {
        RecordKey::Delivery(id) => {
            batch.delete(schema::DELIVERIES, &id.0.0);
        }
        RecordKey::Nonce(lane, nonce) => {
            let sender = lane.sender.0;
            batch.delete(schema::DELIVERY_NONCES, &(lane.chain, sender, *nonce));
            for row in store.rows(
                schema::DELIVERY_TRANSACTIONS,
                &((lane.chain, sender), *nonce),
            ) {
                batch.delete(schema::DELIVERY_TRANSACTIONS, &row?.0);
            }
        }
        RecordKey::Stopped(lane, route) => {
            let route = route.unwrap_or_default().0.0;
            let key = (lane.chain, lane.sender.0, route);
            batch.delete(schema::STOPPED_DELIVERIES, &key);
        }
    }
    Ok(())
}

/// What is sent, by delivery.
type Payloads = Vec<(DeliveryId, Payload)>;

/// All records, and what is sent, as they were written.
pub(super) fn restore(store: &Store) -> Result<(Vec<Record>, Payloads), NodeError> {
    let (mut records, mut payloads) = (Vec::new(), Vec::new());
    for row in store.rows(schema::DELIVERIES, &()) {
        let (record, payload) = delivery_of(&row?.1)?;
        payloads.push((record.delivery.id, payload));
        records.push(Record::Delivery(record));
    }
    for row in store.rows(schema::DELIVERY_NONCES, &()) {
        let ((chain, sender, nonce), row) = row?;
        let sender = sender.into();
        records.push(Record::Nonce(nonce_of(
            LaneId { chain, sender },
            nonce,
            &row,
        )?));
    }
    for row in store.rows(schema::STOPPED_DELIVERIES, &()) {
        let ((chain, sender, route), row) = row?;
        let (sender, route) = (sender.into(), B256::from(route));
        let route = (!route.is_zero()).then_some(Route(route));
        records.push(Record::Stopped(
            LaneId { chain, sender },
            route,
            reason_of(&row)?,
        ));
    }
    Ok((records, payloads))
}

/// Milliseconds for which it is shown that something was delivered: a week.
const SHOWN_MS: u64 = 7 * 24 * 3_600_000;

/// Removes what was delivered long ago. Dead letters stay until they are tried again.
pub(super) fn prune(store: &Store, batch: &mut Batch, now: Timestamp) -> Result<(), NodeError> {
    for row in store.rows(schema::ENDED_DELIVERIES, &()) {
        let (id, row) = row?;
        let over = Timestamp(row.ended).plus_millis(SHOWN_MS) < now;
        if over && row.ended_by.is_none() {
            batch.delete(schema::ENDED_DELIVERIES, &id);
            batch.delete(schema::DELIVERY_RECEIPTS, &id);
        }
    }
    Ok(())
}

/// A delivery, for people.
#[derive(Clone, Debug)]
pub(crate) struct ListedDelivery {
    pub(crate) id: B256,
    pub(crate) chain: u64,
    pub(crate) sender: B256,
    pub(crate) about: String,
    /// It waits for another delivery.
    pub(crate) needs: bool,
    pub(crate) failures: u32,
    /// In the target's native coin, in all attempts.
    pub(crate) spent: u128,
    pub(crate) until_ms: Option<u64>,
    pub(crate) reason: Option<String>,
    pub(crate) ended_ms: Option<u64>,
}

/// Those under way, and those that have ended, the newest first; `limit` of each at most.
pub(crate) fn listed(
    store: &Store,
    limit: usize,
) -> Result<(Vec<ListedDelivery>, Vec<ListedDelivery>), NodeError> {
    let mut under_way = Vec::new();
    for row in store.rows(schema::DELIVERIES, &()) {
        under_way.push(line_of(&row?.1)?);
    }
    let mut ended = Vec::new();
    for row in store.rows(schema::ENDED_DELIVERIES, &()) {
        ended.push(line_of(&row?.1)?);
    }
    under_way.truncate(limit);
    ended.sort_by_key(|line| std::cmp::Reverse(line.ended_ms));
    ended.truncate(limit);
    Ok((under_way, ended))
}

pub(super) fn line_of(row: &DeliveryRow) -> Result<ListedDelivery, NodeError> {
    let millis = |micros: u64| Some(micros / 1_000).filter(|millis| *millis > 0);
    let reason = match row.ended {
        0 => row.last.as_ref(),
        _ => row.ended_by.as_ref(),
    };
    let reason = reason.map(reason_of).transpose()?;
    Ok(ListedDelivery {
        id: word(&row.id, "an id")?,
        chain: row.chain,
        sender: word(&row.sender, "a sender")?,
        needs: !row.needs.is_empty(),
        spent: amount(&row.spent)?,
        about: row
            .payload
            .as_ref()
            .map(|payload| payload.about.clone())
            .unwrap_or_default(),
        failures: row.failures,
        until_ms: millis(row.until),
        reason: reason.map(|reason| reason.to_string()),
        ended_ms: millis(row.ended),
    })
}
