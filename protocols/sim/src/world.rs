//! What is true: the operators, the sets of all epochs, what the chains say.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy_primitives::keccak256;
use quorate_proto::{
    Address, Certificate, Domain, Epoch, NetworkId, Operator, OperatorSet, Outcome, ReadBasis,
    Refusal, RefusalCode, Response, Signature, SlotId, StateProof, Statement, Timestamp, U256,
    threshold_of,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::network::happens;
use super::plan::{Behaviour, Plan, START};
use super::rule::Rule;

#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) addresses: Vec<Address>,
    /// The name that topics carry.
    pub(super) network: NetworkId,
    numbers: HashMap<Address, usize>,
    sets: BTreeMap<Epoch, Arc<OperatorSet>>,
    /// Per node, microseconds after the first one.
    home_delay: Vec<u64>,
    chain_lag: Vec<u64>,
    /// When the first node sees the block of a question as final.
    final_at: Vec<Timestamp>,
    /// Whose providers can make it sign what is not true.
    deceivable: Vec<bool>,
}

impl World {
    pub(super) fn new(plan: Plan, rng: &mut ChaCha8Rng) -> Self {
        let nodes = plan.nodes();
        let addresses: Vec<Address> = (0..nodes).map(address).collect();
        let mut spread = |millis: u64| {
            (0..nodes)
                .map(|_| rng.random_range(0..=millis * 1_000))
                .collect()
        };
        let (home_delay, chain_lag) = (spread(plan.home_delay), spread(plan.chain_lag));
        let mut world = Self {
            network: Domain::new(1, Address::repeat_byte(0xaa)).network(),
            numbers: addresses.iter().copied().zip(0..).collect(),
            addresses,
            sets: BTreeMap::new(),
            home_delay,
            chain_lag,
            final_at: Vec::new(),
            deceivable: (0..nodes)
                .map(|node| plan.providers.deceive(node))
                .collect(),
            plan,
        };
        let last = world
            .plan
            .schedule
            .epoch_at(world.home_block(world.plan.horizon()));
        for epoch in (0..=last.0 + 2).map(Epoch) {
            world
                .sets
                .extend(world.make_set(epoch).map(|set| (epoch, Arc::new(set))));
        }
        world
    }

    fn make_set(&self, epoch: Epoch) -> Option<OperatorSet> {
        let member = |node: usize| Operator {
            address: self.addresses[node],
            signing_key: self.key_of(self.addresses[node], epoch),
            weight: U256::from(self.plan.weight(epoch, node)),
        };
        let members: Vec<Operator> = (0..self.plan.operators).map(member).collect();
        let total = members.iter().fold(U256::ZERO, |sum, m| sum + m.weight);
        OperatorSet::new(epoch, members, total, self.fixed_at(epoch)).ok()
    }

    /// When the grace period before an epoch begins, in Unix seconds.
    fn fixed_at(&self, epoch: Epoch) -> u64 {
        let block = self.plan.schedule.fixing_block(epoch);
        START.plus_millis(block * self.plan.block_time).millis() / 1_000
    }

    /// The signing key of an operator in an epoch.
    pub(super) fn key_of(&self, operator: Address, epoch: Epoch) -> Address {
        if !self.plan.renewing.contains(&self.number(operator)) {
            return operator;
        }
        let name = keccak256([operator.as_slice(), &epoch.0.to_be_bytes()].concat());
        Address::from_slice(&name[12..])
    }

    pub(super) fn set(&self, epoch: Epoch) -> Option<&Arc<OperatorSet>> {
        self.sets.get(&epoch)
    }

    /// The number of the node with this address.
    pub(super) fn number(&self, address: Address) -> usize {
        self.numbers.get(&address).copied().unwrap_or(usize::MAX)
    }

    /// The set of an epoch as nodes are told it.
    pub(super) fn told_set(&self, epoch: Epoch) -> Option<Arc<OperatorSet>> {
        let set = self.set(epoch)?;
        if !self.plan.leaves_out(Rule::Threshold) {
            return Some(Arc::clone(set));
        }
        // The threshold follows from the total.
        let lower = (1..4).map(|less| set.total_weight().saturating_sub(U256::from(less)));
        let total = lower
            .into_iter()
            .find(|total| threshold_of(*total) < set.threshold())?;
        let told = OperatorSet::new(epoch, set.members().to_vec(), total, set.fixed_at());
        told.ok().map(Arc::new)
    }

    pub(super) fn is_deceivable(&self, node: usize) -> bool {
        self.deceivable.get(node).copied().unwrap_or_default()
    }

    pub(super) fn chain_lag(&self, node: usize) -> u64 {
        self.chain_lag[node]
    }

    /// Whether an operator may sign what is not true: it means to, or is deceived.
    pub(super) fn may_lie(&self, operator: Address) -> bool {
        let node = self.number(operator);
        self.plan.behaviour(node).signs_lies() || self.is_deceivable(node)
    }

    /// Whether an operator may sign two facts for one slot.
    pub(super) fn may_equivocate(&self, operator: Address) -> bool {
        self.plan.behaviour(self.number(operator)).signs_twice()
    }

    fn home_block(&self, now: Timestamp) -> u64 {
        now.micros_since(START) / 1_000 / self.plan.block_time.max(1)
    }

    /// The newest final home block that `node` sees.
    pub(super) fn home_block_at(&self, now: Timestamp, node: usize) -> u64 {
        self.home_block(Timestamp(
            now.0 - self.home_delay[node].min(now.micros_since(START)),
        ))
    }

    /// When `node` sees the block after the one that it sees now.
    pub(super) fn next_block_at(&self, now: Timestamp, node: usize) -> Timestamp {
        let next = self.home_block_at(now, node) + 1;
        let made = START.plus_millis(next * self.plan.block_time);
        Timestamp(made.0 + self.home_delay[node])
    }

    /// A new question about a block that is just final where it is asked.
    pub(super) fn ask(&mut self, at: Timestamp, node: usize) -> usize {
        self.final_at.push(Timestamp(at.0 - self.chain_lag[node]));
        self.final_at.len() - 1
    }

    pub(super) fn statement(question: usize, epoch: Epoch, value: U256) -> Statement {
        Statement::StateProof(StateProof {
            user: Address::repeat_byte(0x11),
            chain_id: 1,
            block_number: 1_000,
            timestamp: 1_700_000_000,
            epoch,
            key: U256::from(question),
            value,
        })
    }

    /// The question that a statement answers.
    fn question(statement: &Statement) -> usize {
        proof_of(statement).key.saturating_to()
    }

    /// The same statement with the other value of the two that any node reads.
    pub(super) fn opposite(statement: &Statement) -> Statement {
        let value = if Self::is_true(statement) { lie } else { truth };
        let question = Self::question(statement);
        Self::statement(question, statement.epoch(), value(question))
    }

    /// The same statement in another epoch.
    pub(super) fn displaced(statement: &Statement, epoch: Epoch) -> Statement {
        Self::statement(Self::question(statement), epoch, proof_of(statement).value)
    }

    pub(super) fn is_true(statement: &Statement) -> bool {
        proof_of(statement).value == truth(Self::question(statement))
    }

    /// What `node` reads about a question.
    pub(super) fn read(
        &self,
        rng: &mut ChaCha8Rng,
        now: Timestamp,
        node: usize,
        question: usize,
    ) -> Result<U256, RefusalCode> {
        if happens(rng, self.plan.failing_reads) {
            return Err(RefusalCode::ChainUnavailable);
        }
        let first = self.final_at.get(question).ok_or(RefusalCode::NoEntry)?;
        let is_true = self.ask_providers(now, node, *first)?;
        let lies = match self.plan.behaviour(node) {
            Behaviour::Liar => true,
            Behaviour::Wavering => rng.random_bool(0.5),
            _ => !is_true,
        };
        Ok(if lies { lie(question) } else { truth(question) })
    }

    /// What `node`'s own read says about a statement.
    pub(super) fn judge(
        &self,
        rng: &mut ChaCha8Rng,
        now: Timestamp,
        node: usize,
        statement: &Statement,
    ) -> Result<(), RefusalCode> {
        if self.plan.behaviour(node).signs_twice() {
            return Ok(());
        }
        let value = self.read(rng, now, node, Self::question(statement))?;
        if value == proof_of(statement).value {
            Ok(())
        } else {
            Err(RefusalCode::ValueDiffers)
        }
    }

    /// Weight in `set` of those who are such.
    pub(super) fn weight_of(
        &self,
        set: &OperatorSet,
        are: impl Fn(&Self, Address) -> bool,
    ) -> U256 {
        let counts = |member: &&Operator| are(self, member.address);
        let faulty = set.members().iter().filter(counts);
        faulty.fold(U256::ZERO, |sum, member| sum + member.weight)
    }
}

fn proof_of(statement: &Statement) -> &StateProof {
    statement.state_proof().expect("users ask for state proofs")
}

fn truth(question: usize) -> U256 {
    U256::from(question * 2)
}

fn lie(question: usize) -> U256 {
    U256::from(question * 2 + 1)
}

/// Addresses in no order, as on a chain.
pub(super) fn address(node: usize) -> Address {
    Address::from_slice(&keccak256(node.to_be_bytes())[12..])
}

/// A dummy: which key signs what, in the form of a signature and without a hash.
fn dummy(key: Address, statement: &Statement, last: u8) -> Signature {
    let proof = proof_of(statement);
    let mut bytes = [0; 65];
    bytes[..16].copy_from_slice(&proof.value.to_be_bytes::<32>()[16..]);
    bytes[16..32].copy_from_slice(&proof.key.to_be_bytes::<32>()[16..]);
    bytes[40..44].copy_from_slice(&proof.epoch.0.to_be_bytes());
    bytes[44..64].copy_from_slice(key.as_slice());
    bytes[64] = last;
    Signature::parse(&bytes).expect("s is below 2^192, and last is 27 or 28")
}

/// In the form of a signature, for what is only weighed.
pub(super) fn any_signature() -> Signature {
    let statement = World::statement(0, Epoch(0), U256::ZERO);
    dummy(address(0), &statement, 27)
}

impl World {
    /// By the key that the operator has in the epoch of the statement.
    pub(super) fn signed(&self, operator: Address, statement: Statement) -> Response {
        self.forged(operator, operator, statement)
    }

    /// A signature in the name of another, who did not make it.
    pub(super) fn forged(
        &self,
        victim: Address,
        forger: Address,
        statement: Statement,
    ) -> Response {
        let key = self.key_of(forger, statement.epoch());
        Response {
            operator: victim,
            statement: statement.clone(),
            outcome: Outcome::Signed(dummy(key, &statement, 27)),
            basis: ReadBasis::Unspecified,
        }
    }

    pub(super) fn refusal(
        &self,
        operator: Address,
        statement: Statement,
        code: RefusalCode,
    ) -> Response {
        let key = self.key_of(operator, statement.epoch());
        let refusal = Refusal {
            code,
            detail: code.describe().to_owned(),
            signature: dummy(key, &statement, 28),
        };
        Response {
            operator,
            statement,
            outcome: Outcome::Refused(refusal),
            basis: ReadBasis::Unspecified,
        }
    }
}

/// What the driver checks of a response before it passes it on.
pub(super) fn is_genuine(response: &Response, set: &OperatorSet) -> bool {
    let Some(member) = set.get(response.operator) else {
        return false;
    };
    let by_member = |last| dummy(member.signing_key, &response.statement, last);
    match &response.outcome {
        Outcome::Signed(signature) => *signature == by_member(27),
        Outcome::Refused(refusal) => refusal.signature == by_member(28),
    }
}

/// What is wrong with a certificate, by the rules of the contract.
pub(super) fn flaw(certificate: &Certificate, set: &OperatorSet) -> Option<String> {
    let statement = certificate.statement();
    let signers = certificate.signatures();
    if statement.epoch() != set.epoch() {
        return Some("is checked against the set of another epoch".to_owned());
    }
    if !signers.is_sorted_by(|a, b| a.operator < b.operator) {
        return Some("has signers that do not ascend".to_owned());
    }
    for signer in signers {
        let operator = signer.operator;
        let Some(member) = set.get(operator) else {
            return Some(format!(
                "has the signer {operator}, who is not of its epoch"
            ));
        };
        if signer.signature != dummy(member.signing_key, statement, 27) {
            return Some(format!("has a signature that {operator} did not make"));
        }
    }
    let weight = signers
        .iter()
        .fold(U256::ZERO, |sum, s| sum + set.weight_of(s.operator));
    (weight < set.threshold()).then(|| {
        format!(
            "has weight {weight}, below the threshold {}",
            set.threshold()
        )
    })
}

/// The slot of a statement and its fact, as the signing log keys them.
pub(super) fn slot_and_fact(statement: &Statement) -> (SlotId, quorate_proto::B256) {
    (statement.slot(), statement.fact())
}
