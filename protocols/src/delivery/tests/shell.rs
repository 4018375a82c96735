//! What a node does with the machine's outputs: a store that survives crashes, and effects that get lost.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{Chain, Tx};
use super::*;

pub(super) const LANE: LaneId = LaneId {
    chain: 10,
    sender: B256::repeat_byte(0xaa),
};

pub(super) const ROUTE: Route = Route(B256::ZERO);

pub(super) fn id(number: u8) -> DeliveryId {
    DeliveryId(B256::repeat_byte(number))
}

pub(super) fn delivery(number: u8) -> Delivery {
    Delivery {
        id: id(number),
        lane: LANE,
        route: ROUTE,
        priority: 0,
        not_before: at(0),
        deadline: None,
        needs: None,
        budget: 300_000 * 1_000,
    }
}

/// What a provider does with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Honest,
    /// Says that it was taken, and drops it.
    Drops,
    /// Says this, whatever it does.
    Says(Class, bool),
}

pub(super) struct Shell {
    pub(super) now: Timestamp,
    pub(super) policy: LanePolicy,
    pub(super) machine: Dispatcher,
    pub(super) chain: Chain,
    pub(super) providers: Vec<Provider>,
    pub(super) store: BTreeMap<RecordKey, Record>,
    signed: BTreeMap<TxKey, Tx>,
    /// Everything that was ever signed: one nonce and attempt is one transaction, for ever.
    ever: BTreeMap<(u64, u32), Tx>,
    pub(super) done: BTreeSet<DeliveryId>,
    pub(super) dead: BTreeMap<DeliveryId, Reason>,
    pub(super) effects: Vec<Output>,
    pub(super) alerts: Vec<Alert>,
    pub(super) sends: usize,
    /// Crashes at every block of the end, too.
    pub(super) restless: bool,
}

impl Shell {
    pub(super) fn new(policy: LanePolicy) -> Self {
        Self {
            now: at(0),
            policy,
            machine: Dispatcher::restore([(LANE, policy)], []).unwrap(),
            chain: Chain::new(policy.scheme),
            providers: vec![Provider::Honest],
            store: BTreeMap::new(),
            signed: BTreeMap::new(),
            ever: BTreeMap::new(),
            done: BTreeSet::new(),
            dead: BTreeMap::new(),
            effects: Vec::new(),
            alerts: Vec::new(),
            sends: 0,
            restless: false,
        }
    }

    /// Tells the machine and does what it wants written; the rest waits its turn.
    pub(super) fn tell(&mut self, input: Input) {
        let outputs = self.machine.handle(self.now, input.clone());
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(refused) => panic!("{input:?} is refused: {refused}"),
        };
        self.write(outputs);
    }

    pub(super) fn write(&mut self, outputs: Vec<Output>) {
        let writes = outputs.iter().filter(|output| output.is_write()).count();
        let (first, rest) = outputs.split_at(writes);
        assert!(!rest.iter().any(Output::is_write), "{outputs:?}");
        for output in first {
            self.written(output.clone());
        }
        self.effects.extend_from_slice(rest);
        self.check();
    }

    fn written(&mut self, output: Output) {
        match output {
            Output::Keep(record) => {
                self.store.insert(record.key(), record);
            }
            Output::Forget(key) => {
                self.store.remove(&key).expect("forgets what was kept");
                if let RecordKey::Nonce(_, nonce) = key {
                    self.signed.retain(|tx, _| tx.nonce != nonce);
                }
            }
            Output::Done(record) => {
                let id = record.delivery.id;
                self.store.remove(&RecordKey::Delivery(id));
                let confirmed = OnChain::Done { confirmed: true };
                let truth = self.chain.judge_in(self.chain.blocks.len(), id);
                assert_eq!(truth, confirmed, "done, says the machine");
                assert!(self.done.insert(id), "done twice");
            }
            Output::DeadLetter(record, reason) => {
                let id = record.delivery.id;
                self.store.remove(&RecordKey::Delivery(id));
                self.dead.insert(id, reason);
            }
            _ => unreachable!("{output:?} is no write"),
        }
    }

    fn nonces(&self) -> impl Iterator<Item = &NonceRecord> {
        self.store.values().filter_map(|record| match record {
            Record::Nonce(record) => Some(record),
            _ => None,
        })
    }

    /// What holds at every moment.
    fn check(&self) {
        assert!(self.machine.is_bounded());
        assert_eq!(self.nonces().count(), self.machine.reserved(LANE));
        let mut with_nonce = BTreeSet::new();
        for id in self.nonces().filter_map(|record| record.delivery) {
            assert!(with_nonce.insert(id), "{id} has two nonces");
            assert!(self.store.contains_key(&RecordKey::Delivery(id)));
        }
    }

    /// The process ends. Its last outputs may not have been written, and are not done then.
    pub(super) fn crash(&mut self) {
        self.effects.clear();
        let records = self.store.values().cloned();
        let lanes = [(LANE, self.policy)];
        self.machine = Dispatcher::restore(lanes, records).unwrap();
        self.tell(Input::Wake);
    }

    /// Does one of the effects that wait; its answer may get lost.
    pub(super) fn perform(&mut self, which: usize, lost: bool) {
        if self.effects.is_empty() {
            return;
        }
        let effect = self.effects.remove(which % self.effects.len());
        let answer = self.answer(effect).filter(|_| !lost);
        if let Some(answer) = answer {
            self.tell(answer);
        }
    }

    fn answer(&mut self, effect: Output) -> Option<Input> {
        match effect {
            Output::Look(lane) => Some(Input::Viewed(lane, self.chain.view())),
            Output::AskRecord(id) => Some(Input::Judged(id, self.chain.judge(id))),
            Output::Estimate { id, limit } => {
                Some(Input::Estimated(id, self.chain.estimate(id, limit)))
            }
            Output::AskReceipt(lane, nonce) => {
                let signed = self.signed.iter().find(|(tx, _)| tx.nonce == nonce);
                let found = match signed {
                    Some((_, tx)) => self.chain.receipt(nonce, tx.valid_until),
                    None => Found::Unsigned,
                };
                Some(Input::Receipt { lane, nonce, found })
            }
            Output::Alert(alert) => {
                self.alerts.push(alert);
                None
            }
            effect => self.send(&effect),
        }
    }

    fn send(&mut self, effect: &Output) -> Option<Input> {
        let Output::Send {
            tx: key,
            delivery,
            fees,
            gas,
            round,
        } = *effect
        else {
            unreachable!("{effect:?} is a write");
        };
        let Some(Record::Nonce(record)) = self.store.get(&RecordKey::Nonce(LANE, key.nonce)) else {
            return None; // Closed meanwhile.
        };
        assert!(record.attempt >= key.attempt, "sent before it was written");
        let tx = *self.signed.entry(key).or_insert_with(|| Tx {
            nonce: key.nonce,
            attempt: Some(key.attempt),
            delivery,
            fees,
            gas,
            valid_until: self.chain.lifetime(),
        });
        let content = (tx.delivery, tx.fees, tx.gas);
        assert_eq!(content, (delivery, fees, gas), "signed otherwise before");
        let first = *self.ever.entry((key.nonce, key.attempt)).or_insert(tx);
        assert_eq!(
            first, tx,
            "another transaction with the same nonce and attempt"
        );
        self.sends += 1;
        let provider = self.providers[round as usize % self.providers.len()];
        let answer = match provider {
            Provider::Honest => self.chain.offer(tx),
            Provider::Drops => Ok(()),
            Provider::Says(class, takes) => {
                if takes {
                    let _ = self.chain.offer(tx);
                }
                Err(Reason::new(class, "a lie"))
            }
        };
        Some(Input::Sent {
            tx: key,
            valid_until: tx.valid_until,
            answer,
        })
    }

    /// Time passes until this moment, and the machine is woken whenever it wants.
    pub(super) fn pass(&mut self, until: Timestamp) {
        while let Some(wake) = self.machine.next_wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.tell(Input::Wake);
            let next = self.machine.next_wake();
            let later = |next: Timestamp| next > self.now;
            assert!(next.is_none_or(later), "wants to be woken at once again");
            self.settle();
        }
        self.now = self.now.max(until);
        self.settle();
    }

    /// All effects are done, in order.
    pub(super) fn settle(&mut self) {
        while !self.effects.is_empty() {
            self.perform(0, false);
        }
    }

    /// A good day until nothing is left to do: blocks of 12 s.
    pub(super) fn finish(&mut self, most_blocks: usize) {
        self.settle();
        for _ in 0..most_blocks {
            if self.store.is_empty() {
                return;
            }
            if self.restless {
                self.crash();
            }
            self.pass(self.now.plus_millis(12_000));
            self.chain.mine();
        }
        let left: Vec<_> = self.store.values().collect();
        panic!("{} blocks later there is still {left:#?}", most_blocks);
    }
}
