//! A chain with one sender whose contract keeps a record of what it has executed.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Blocks until one is confirmed.
pub(super) const CONFIRMATIONS: usize = 3;

/// Heights for which a transaction can be mined, on a chain with lifetimes.
const LIFETIME: u64 = 10;

/// Transactions of one block.
const BLOCK: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tx {
    pub(super) nonce: u64,
    /// `None` for one that somebody else has signed.
    pub(super) attempt: Option<u32>,
    pub(super) delivery: Option<DeliveryId>,
    pub(super) fees: Fees,
    pub(super) gas: u64,
    pub(super) valid_until: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Executed {
    pub(super) tx: Tx,
    pub(super) effect: Effect,
    cost: u128,
}

/// What is special about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Good,
    /// Estimates fail for a reason that could pass.
    Reverts,
    /// It is undone on the chain, though the estimate is well.
    RevertsLate,
    /// It takes three times what the estimate says.
    Hungry,
    /// The contract refuses it for good.
    Hopeless,
    /// No provider takes its transaction.
    Rejected,
}

#[derive(Clone, Debug)]
pub(super) struct Chain {
    scheme: Scheme,
    pub(super) blocks: Vec<Vec<Executed>>,
    pool: BTreeMap<u64, Tx>,
    pub(super) base_fee: u128,
    pub(super) balance: u128,
    pub(super) kinds: BTreeMap<DeliveryId, Kind>,
    /// So many blocks are those behind who are asked.
    pub(super) lag: usize,
}

impl Chain {
    pub(super) fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            blocks: vec![Vec::new(); 5],
            pool: BTreeMap::new(),
            base_fee: 10,
            balance: u128::from(u64::MAX),
            kinds: BTreeMap::new(),
            lag: 0,
        }
    }

    pub(super) fn kind(&self, id: DeliveryId) -> Kind {
        self.kinds.get(&id).copied().unwrap_or(Kind::Good)
    }

    fn confirmed(&self) -> usize {
        self.blocks.len().saturating_sub(CONFIRMATIONS)
    }

    fn executed_in(&self, blocks: usize) -> impl Iterator<Item = &Executed> {
        self.blocks[..blocks].iter().flatten()
    }

    fn nonce_in(&self, blocks: usize) -> u64 {
        self.executed_in(blocks).count() as u64
    }

    pub(super) fn done_in(&self, blocks: usize) -> BTreeSet<DeliveryId> {
        let well = |executed: &&Executed| executed.effect == Effect::Success;
        let executed = self.executed_in(blocks).filter(well);
        executed
            .filter_map(|executed| executed.tx.delivery)
            .collect()
    }

    pub(super) fn view(&self) -> View {
        let all = self.blocks.len() - self.lag;
        let confirmed = all - CONFIRMATIONS;
        let height = match self.scheme {
            Scheme::Nonces => all,
            Scheme::Lifetimes => confirmed,
        };
        View {
            height: height as u64,
            nonce: self.nonce_in(all),
            confirmed_nonce: self.nonce_in(confirmed),
            balance: self.balance,
            base_fee: self.base_fee,
            tip: 1,
        }
    }

    pub(super) fn judge(&self, id: DeliveryId) -> OnChain {
        self.judge_in(self.blocks.len() - self.lag, id)
    }

    /// As it is, whoever lags behind.
    pub(super) fn judge_in(&self, blocks: usize, id: DeliveryId) -> OnChain {
        let confirmed = self.done_in(blocks - CONFIRMATIONS).contains(&id);
        match confirmed || self.done_in(blocks).contains(&id) {
            true => OnChain::Done { confirmed },
            false => OnChain::Open,
        }
    }

    pub(super) fn estimate(&self, id: DeliveryId, limit: u64) -> Result<u64, Reason> {
        let done = matches!(self.judge(id), OnChain::Done { .. });
        match self.kind(id) {
            _ if done => Err(Reason::new(Class::Taken, "executed")),
            _ if limit < 300_000 => Err(Reason::new(Class::GasTooLow, "out of gas")),
            Kind::Reverts => Err(Reason::new(Class::Reverted, "vault empty")),
            Kind::Hopeless => Err(Reason::new(Class::Hopeless, "no such receiver")),
            _ => Ok(250_000),
        }
    }

    /// The height after which a transaction that is signed now cannot be mined.
    pub(super) fn lifetime(&self) -> Option<u64> {
        let until = self.blocks.len() as u64 + LIFETIME;
        (self.scheme == Scheme::Lifetimes).then_some(until)
    }

    pub(super) fn offer(&mut self, tx: Tx) -> Result<(), Reason> {
        let refuse = |class| Err(Reason::new(class, "the provider says so"));
        if tx
            .delivery
            .is_some_and(|id| self.kind(id) == Kind::Rejected)
        {
            return refuse(Class::Rejected);
        }
        if self.scheme == Scheme::Nonces && tx.nonce < self.nonce_in(self.blocks.len()) {
            return refuse(Class::NonceUsed);
        }
        if tx.fees.cost(tx.gas) > self.balance {
            return refuse(Class::Funds);
        }
        match self.pool.get(&tx.nonce) {
            Some(other) if other.attempt == tx.attempt => return Ok(()),
            Some(other) => {
                let enough = |new: u128, old: u128| new * 10 >= old * 11;
                let (new, old) = (tx.fees, other.fees);
                if !enough(new.max_fee, old.max_fee) || !enough(new.tip, old.tip) {
                    return refuse(Class::Underpriced);
                }
            }
            None => {}
        }
        self.pool.insert(tx.nonce, tx);
        Ok(())
    }

    /// Somebody else uses the key.
    pub(super) fn use_key(&mut self) {
        let tx = Tx {
            nonce: self.nonce_in(self.blocks.len()),
            attempt: None,
            delivery: None,
            fees: Fees {
                max_fee: self.base_fee,
                tip: 1,
            },
            gas: 21_000,
            valid_until: None,
        };
        if self.scheme == Scheme::Nonces {
            self.blocks.push(Vec::new());
            self.execute(tx);
        }
    }

    /// The pool forgets a transaction.
    pub(super) fn drop_one(&mut self, which: usize) {
        let nonce = self
            .pool
            .keys()
            .nth(which % self.pool.len().max(1))
            .copied();
        nonce.map(|nonce| self.pool.remove(&nonce));
    }

    pub(super) fn mine(&mut self) {
        self.blocks.push(Vec::new());
        let height = self.blocks.len() as u64;
        for _ in 0..BLOCK {
            let next = self.nonce_in(self.blocks.len());
            let pays = |tx: &&Tx| tx.fees.max_fee >= self.base_fee;
            let tx = match self.scheme {
                Scheme::Nonces => self.pool.get(&next).filter(pays),
                Scheme::Lifetimes => self.pool.values().find(pays),
            };
            let Some(tx) = tx.copied() else { break };
            self.pool.remove(&tx.nonce);
            if tx.valid_until.is_none_or(|last| height <= last) && !self.knows(tx.nonce) {
                self.execute(tx);
            }
        }
        self.forget_used();
    }

    fn forget_used(&mut self) {
        let next = self.nonce_in(self.blocks.len());
        if self.scheme == Scheme::Nonces {
            self.pool.retain(|nonce, _| *nonce >= next);
        }
    }

    fn knows(&self, nonce: u64) -> bool {
        self.scheme == Scheme::Lifetimes && self.find(nonce, self.blocks.len()).is_some()
    }

    fn execute(&mut self, tx: Tx) {
        let kind = tx.delivery.map(|id| self.kind(id));
        let now = self.blocks.len();
        let again = tx.delivery.map(|id| self.judge_in(now, id)) != Some(OnChain::Open);
        let effect = match kind {
            None => Effect::Success,
            Some(Kind::Hungry) if tx.gas < 750_000 => Effect::OutOfGas,
            Some(Kind::Reverts | Kind::RevertsLate | Kind::Hopeless) => Effect::Reverted,
            Some(_) if again => Effect::Reverted,
            Some(_) => Effect::Success,
        };
        let gas = tx.delivery.map_or(21_000, |_| 100_000);
        let cost = gas * self.base_fee;
        self.balance = self.balance.saturating_sub(cost);
        let block = self.blocks.last_mut().unwrap();
        block.push(Executed { tx, effect, cost });
    }

    /// The last blocks are gone; their transactions are back in the pool, or lost.
    pub(super) fn reorg(&mut self, depth: usize, lost: bool) {
        let depth = depth.min(CONFIRMATIONS - 1);
        let gone = self.blocks.split_off(self.blocks.len() - depth);
        for executed in gone.into_iter().flatten() {
            let tx = executed.tx;
            if !lost && tx.attempt.is_some() {
                self.pool.insert(tx.nonce, tx);
            }
        }
        self.blocks.extend(vec![Vec::new(); depth]);
        self.forget_used();
    }

    fn find(&self, nonce: u64, blocks: usize) -> Option<&Executed> {
        self.executed_in(blocks).find(|e| e.tx.nonce == nonce)
    }

    pub(super) fn receipt(&self, nonce: u64, valid_until: Option<u64>) -> Found {
        let own = |executed: &&Executed| executed.tx.attempt.is_some();
        if let Some(executed) = self.find(nonce, self.confirmed()).filter(own) {
            return Found::Mined {
                attempt: executed.tx.attempt.unwrap(),
                effect: executed.effect,
                cost: executed.cost,
            };
        }
        match self.find(nonce, self.blocks.len()).filter(own) {
            Some(_) => Found::Unconfirmed,
            None => Found::Missing {
                height: self.confirmed() as u64,
                valid_until,
            },
        }
    }
}
