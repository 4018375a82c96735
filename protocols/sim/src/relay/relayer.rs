//! One relayer: the machine and what its shell keeps.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{B256, Timestamp};
use quorate_protocols::delivery::{
    DeliveryId, Dispatcher, Fees, LaneId, LanePolicy, Output, Reason, Record, RecordKey, TxKey,
};

use super::ledger::Tx;

/// The store that a crash leaves where nothing is synced is so old, in microseconds.
const UNSYNCED: u64 = 5_000_000;

#[derive(Debug)]
pub(super) struct Relayer {
    pub(super) lane: LaneId,
    /// `None` while its process is down.
    pub(super) machine: Option<Dispatcher>,
    /// Counts its processes, so that nothing of one reaches the next.
    pub(super) life: u64,
    pub(super) woken_at: Option<Timestamp>,
    store: BTreeMap<RecordKey, Record>,
    /// The store as it was a while ago.
    old: (Timestamp, BTreeMap<RecordKey, Record>),
    pub(super) done: BTreeSet<DeliveryId>,
    pub(super) dead: BTreeMap<DeliveryId, Reason>,
    /// Everything that was ever signed.
    signed: BTreeMap<(u64, u32), Tx>,
}

impl Relayer {
    pub(super) fn new(number: usize) -> Self {
        let lane = LaneId {
            chain: 10,
            sender: B256::with_last_byte(u8::try_from(number).unwrap_or(u8::MAX)),
        };
        Self {
            lane,
            machine: None,
            life: 0,
            woken_at: None,
            store: BTreeMap::new(),
            old: (Timestamp(0), BTreeMap::new()),
            done: BTreeSet::new(),
            dead: BTreeMap::new(),
            signed: BTreeMap::new(),
        }
    }

    fn policy() -> LanePolicy {
        LanePolicy {
            max_fee: 2_000,
            ..LanePolicy::evm()
        }
    }

    pub(super) fn start(&mut self) -> Result<(), String> {
        let records = self.store.values().cloned();
        let lanes = [(self.lane, Self::policy())];
        let machine = Dispatcher::restore(lanes, records).map_err(|refused| refused.to_string())?;
        self.machine = Some(machine);
        self.life += 1;
        self.woken_at = None;
        Ok(())
    }

    /// Its process ends. `unsynced` takes what was written lately, too.
    pub(super) fn crash(&mut self, unsynced: bool) {
        self.machine = None;
        self.life += 1;
        if unsynced {
            self.store = self.old.1.clone();
        }
    }

    /// Writes what is to be written; the rest is to be done.
    pub(super) fn write(&mut self, now: Timestamp, outputs: Vec<Output>) -> Vec<Output> {
        if now.micros_since(self.old.0) > UNSYNCED {
            self.old = (now, self.store.clone());
        }
        let (writes, effects): (Vec<_>, Vec<_>) = outputs.into_iter().partition(Output::is_write);
        for write in writes {
            match write {
                Output::Keep(record) => {
                    self.store.insert(record.key(), record);
                }
                Output::Forget(key) => {
                    self.store.remove(&key);
                }
                Output::Done(record) => {
                    let id = record.delivery.id;
                    self.store.remove(&RecordKey::Delivery(id));
                    self.done.insert(id);
                }
                Output::DeadLetter(record, reason) => {
                    let id = record.delivery.id;
                    self.store.remove(&RecordKey::Delivery(id));
                    self.dead.insert(id, reason);
                }
                _ => {}
            }
        }
        effects
    }

    /// Whether it knows what became of a delivery, or is at it.
    pub(super) fn knows(&self, id: DeliveryId) -> bool {
        let machine = self.machine.as_ref();
        self.done.contains(&id)
            || self.dead.contains_key(&id)
            || machine.is_some_and(|machine| machine.report(id).is_some())
    }

    /// Signs a transaction, or finds the one that it has signed; `None` where its nonce is closed.
    pub(super) fn sign(
        &mut self,
        sender: usize,
        key: TxKey,
        delivery: Option<DeliveryId>,
        fees: Fees,
        gas: u64,
    ) -> Result<Option<Tx>, String> {
        if !self
            .store
            .contains_key(&RecordKey::Nonce(self.lane, key.nonce))
        {
            return Ok(None);
        }
        let tx = Tx {
            sender,
            nonce: key.nonce,
            attempt: key.attempt,
            delivery,
            fees,
            gas,
        };
        let before = *self.signed.entry((key.nonce, key.attempt)).or_insert(tx);
        match before.delivery == delivery {
            true => Ok(Some(before)),
            false => Err(format!("nonce {} was signed for two deliveries", key.nonce)),
        }
    }

    /// Nothing is left to do.
    pub(super) fn is_idle(&self) -> bool {
        self.store.is_empty()
    }

    pub(super) fn left(&self) -> String {
        format!("{:?}", self.store.values().next())
    }
}
