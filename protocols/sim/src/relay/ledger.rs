//! The target chain: accounts with nonces, and a contract that keeps a record of what it has executed.

use std::collections::BTreeMap;
use std::rc::Rc;

use quorate_protocols::delivery::{Class, DeliveryId, Effect, Fees, Found, OnChain, Reason, View};

/// Blocks until one is confirmed.
pub(super) const CONFIRMATIONS: usize = 3;

/// Transactions of one block.
const BLOCK: usize = 20;

/// What a delivery takes.
pub(super) const GAS: u64 = 200_000;

/// The base fee of a calm day.
pub(super) const CALM_FEE: u128 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tx {
    pub(super) sender: usize,
    pub(super) nonce: u64,
    pub(super) attempt: u32,
    pub(super) delivery: Option<DeliveryId>,
    pub(super) fees: Fees,
    pub(super) gas: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Executed {
    pub(super) tx: Tx,
    pub(super) effect: Effect,
    cost: u128,
}

/// After a block.
#[derive(Clone, Debug, Default)]
struct State {
    nonces: Vec<u64>,
    balances: Vec<u128>,
    /// Which sender executed what, at which height.
    done: BTreeMap<DeliveryId, (usize, usize)>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    states: Vec<Rc<State>>,
    blocks: Vec<Vec<Executed>>,
    pool: BTreeMap<(usize, u64), Tx>,
    pub(super) base_fee: u128,
}

impl Ledger {
    pub(super) fn new(balances: Vec<u128>) -> Self {
        let state = Rc::new(State {
            nonces: vec![0; balances.len()],
            balances,
            done: BTreeMap::new(),
        });
        Self {
            states: vec![state; CONFIRMATIONS + 1],
            blocks: vec![Vec::new(); CONFIRMATIONS + 1],
            pool: BTreeMap::new(),
            base_fee: CALM_FEE,
        }
    }

    fn head(&self) -> &State {
        &self.states[self.states.len() - 1]
    }

    fn confirmed(&self) -> &State {
        &self.states[self.states.len() - 1 - CONFIRMATIONS]
    }

    pub(super) fn executed(&self) -> impl Iterator<Item = &Executed> {
        self.blocks.iter().flatten()
    }

    /// Who executed it, and at which height.
    pub(super) fn done(&self, id: DeliveryId) -> Option<(usize, usize)> {
        self.head().done.get(&id).copied()
    }

    pub(super) fn view(&self, sender: usize) -> View {
        let head = self.head();
        View {
            height: self.states.len() as u64,
            nonce: head.nonces[sender],
            confirmed_nonce: self.confirmed().nonces[sender],
            balance: head.balances[sender],
            base_fee: self.base_fee,
            tip: 1,
        }
    }

    pub(super) fn judge(&self, id: DeliveryId) -> OnChain {
        let confirmed = self.confirmed().done.contains_key(&id);
        match self.head().done.contains_key(&id) {
            true => OnChain::Done { confirmed },
            false => OnChain::Open,
        }
    }

    pub(super) fn offer(&mut self, tx: Tx) -> Result<(), Reason> {
        let refuse = |class| Err(Reason::new(class, ""));
        let head = self.head();
        if tx.nonce < head.nonces[tx.sender] {
            return refuse(Class::NonceUsed);
        }
        if tx.fees.max_fee * u128::from(tx.gas) > head.balances[tx.sender] {
            return refuse(Class::Funds);
        }
        let key = (tx.sender, tx.nonce);
        let enough = |new: u128, old: u128| new * 10 >= old * 11;
        match self.pool.get(&key) {
            Some(other) if other.attempt == tx.attempt => return Ok(()),
            Some(other)
                if !enough(tx.fees.max_fee, other.fees.max_fee)
                    || !enough(tx.fees.tip, other.fees.tip) =>
            {
                return refuse(Class::Underpriced);
            }
            _ => {}
        }
        self.pool.insert(key, tx);
        Ok(())
    }

    pub(super) fn mine(&mut self) {
        let mut state = self.head().clone();
        let mut block = Vec::new();
        for sender in 0..state.nonces.len() {
            while block.len() < BLOCK {
                let key = (sender, state.nonces[sender]);
                let pays = |tx: &&Tx| tx.fees.max_fee >= self.base_fee;
                let Some(tx) = self.pool.get(&key).filter(pays).copied() else {
                    break;
                };
                self.pool.remove(&key);
                block.push(self.execute(&mut state, tx));
            }
        }
        self.pool
            .retain(|(sender, nonce), _| *nonce >= state.nonces[*sender]);
        self.blocks.push(block);
        self.states.push(Rc::new(state));
    }

    fn execute(&self, state: &mut State, tx: Tx) -> Executed {
        state.nonces[tx.sender] += 1;
        let used = tx.delivery.map_or(tx.gas, |_| GAS);
        let cost = u128::from(used) * self.base_fee;
        state.balances[tx.sender] = state.balances[tx.sender].saturating_sub(cost);
        let height = self.states.len();
        let effect = match tx.delivery {
            Some(id) if state.done.contains_key(&id) => Effect::Reverted,
            Some(id) => {
                state.done.insert(id, (tx.sender, height));
                Effect::Success
            }
            None => Effect::Success,
        };
        Executed { tx, effect, cost }
    }

    /// The last blocks are undone; of their transactions those are lost that the number says.
    pub(super) fn reorg(&mut self, depth: usize, lost: u64) {
        let height = self.blocks.len() - depth.min(CONFIRMATIONS - 1);
        self.states.truncate(height);
        for (which, executed) in (0..64).zip(self.blocks.split_off(height).into_iter().flatten()) {
            let tx = executed.tx;
            if lost >> which & 1 == 0 {
                self.pool.insert((tx.sender, tx.nonce), tx);
            }
        }
    }

    pub(super) fn receipt(&self, sender: usize, nonce: u64) -> Found {
        let is_it =
            |executed: &&Executed| (executed.tx.sender, executed.tx.nonce) == (sender, nonce);
        let missing = Found::Missing {
            height: self.states.len() as u64,
            valid_until: None,
        };
        let Some(executed) = self.executed().find(is_it) else {
            return missing;
        };
        match nonce < self.confirmed().nonces[sender] {
            true => Found::Mined {
                attempt: executed.tx.attempt,
                effect: executed.effect,
                cost: executed.cost,
            },
            false => Found::Unconfirmed,
        }
    }
}
