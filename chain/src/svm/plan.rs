//! What carries out an order: signatures are spread over as few transactions as hold them, and the last of these does what
//! they certify.

use std::cmp::Reverse;

use alloy::primitives::{B256, Bytes, U256};
use quorate_proto::{OperatorSet, Transfer};

use super::PublicKey;
use super::accounts::{self, Gathered, Held, SetState};
use super::bridge_calls::{BridgeProgram, Proof};
use super::instruction::{self, Access, Instruction};
use super::message::{Budget, MAX_TRANSACTION, budgeted, size};
use super::query::{Goal, Query};
use crate::{BridgeAction, BridgeOrder, BridgeStep, ChainError, ContractCall, RecordRule};

/// Bytes of a signature with the number of its member.
const SIGNATURE: usize = 2 + 64;

/// Signatures with the numbers of their members.
type Signatures = [(u16, [u8; 64])];

/// An order, and the program that carries it out.
pub(super) struct Plan<'a> {
    order: BridgeOrder<'a>,
    program: BridgeProgram,
    proof: Proof,
}

/// What is there already of what an order needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    mint: Option<PublicKey>,
    set: Option<SetState>,
    gathered: Option<Gathered>,
}

fn settings(detail: String) -> ChainError {
    ChainError::Settings { detail }
}

/// The account of what was sent has a number of its sender's in its address, which no statement has.
fn refund_by_sender(transfer: &Transfer) -> ChainError {
    let detail = format!(
        "what transfer {} of route {} sent is given back by its sender, with the certificate of its closing: on SVM chains no relayer does that",
        transfer.nonce,
        transfer.route.id()
    );
    ChainError::Impossible { detail }
}

impl<'a> Plan<'a> {
    pub(super) const fn new(order: BridgeOrder<'a>) -> Self {
        let proof = Proof {
            payer: PublicKey(order.payer),
            epoch: order.signers.epoch(),
            digest: order.digest,
        };
        Self {
            order,
            program: BridgeProgram(PublicKey(order.contract)),
            proof,
        }
    }

    /// Where it shows how an order stands.
    pub(super) fn accounts(&self) -> Vec<PublicKey> {
        let Proof { epoch, digest, .. } = self.proof;
        let mut accounts = vec![
            self.program.set(epoch),
            self.program.gathered(epoch, digest),
        ];
        if let BridgeAction::Pay(transfer) = self.order.action {
            accounts.push(self.program.token(self.peer(transfer), transfer.token));
        }
        accounts
    }

    /// How it stands, by what these accounts hold.
    pub(super) fn standing(&self, held: &[Option<Held>]) -> Standing {
        let account = |index: usize| held.get(index).and_then(Option::as_ref);
        Standing {
            set: accounts::set(self.program, account(0)),
            gathered: accounts::gathered(self.program, account(1)),
            mint: accounts::mint(self.program, account(2)),
        }
    }

    fn peer(&self, transfer: &Transfer) -> PublicKey {
        let route = transfer.route;
        self.program.peer(route.source_chain, route.source_contract)
    }

    /// The transactions that are missing.
    ///
    /// # Errors
    /// [`ChainError::Settings`] for what the program cannot do.
    pub(super) fn steps(&self, standing: &Standing) -> Result<Vec<BridgeStep>, ChainError> {
        let mut steps = self.installs_before(standing.set)?;
        let last = match self.order.action {
            BridgeAction::Pay(transfer) => self.pay(transfer, standing.mint)?,
            BridgeAction::Update(next, time) => {
                vec![self.program.update(&self.proof, (next, time))]
            }
            BridgeAction::Switch(vote) => vec![self.program.set_paused(&self.proof, vote)],
            BridgeAction::Refund(transfer, _) => return Err(refund_by_sender(transfer)),
        };
        self.push_certified(&mut steps, last, standing.gathered.as_ref())?;
        if let BridgeAction::Update(next, _) = self.order.action {
            steps.extend(self.installs(next, None));
        }
        if let Some(last) = steps.last_mut() {
            last.is_interim = false;
        }
        Ok(steps)
    }

    /// What is missing of the set that signed: who made it known may have stopped half way.
    fn installs_before(&self, set: Option<SetState>) -> Result<Vec<BridgeStep>, ChainError> {
        match set {
            _ if self.order.follows_update => Ok(Vec::new()),
            Some(SetState { is_ready: true, .. }) => Ok(Vec::new()),
            Some(set) => Ok(self.installs(self.order.signers, Some(set)).collect()),
            None => Err(settings(format!(
                "bridge {} has no operator set of epoch {}; hand it over, or correct the bridge's address",
                self.program.0, self.proof.epoch
            ))),
        }
    }

    fn installs(
        &self,
        set: &'a OperatorSet,
        there: Option<SetState>,
    ) -> impl Iterator<Item = BridgeStep> {
        let parts = self.program.install(self.proof.payer, set);
        let missing = parts.filter(move |(part, _)| there.is_none_or(|set| !set.has(*part)));
        missing.map(move |(part, install)| {
            let record = Query::Part(set.epoch(), part);
            self.step(("install", &[install]), &record, RecordRule::AtLeast(1))
        })
    }

    fn pay(
        &self,
        transfer: &Transfer,
        mint: Option<PublicKey>,
    ) -> Result<Vec<Instruction>, ChainError> {
        let mint = mint.ok_or_else(|| {
            settings(format!(
                "bridge {} knows no token {} of chain {}; set it there, or leave the route out",
                self.program.0, transfer.token, transfer.route.source_chain
            ))
        })?;
        Ok(self.program.deliver(&self.proof, transfer, mint)?.to_vec())
    }

    /// Gathers what is missing, in as many transactions as it takes, and does `last` in the last of them.
    fn push_certified(
        &self,
        steps: &mut Vec<BridgeStep>,
        last: Vec<Instruction>,
        gathered: Option<&Gathered>,
    ) -> Result<(), ChainError> {
        let (goal, record, rule) = self.record()?;
        let signatures = self.missing(gathered)?;
        let (alone, beside) = (self.room(&[])?, self.room(&last)?);
        let mut rest = signatures.as_slice();
        while rest.len() > beside {
            let (part, later) = rest.split_at(alone.min(rest.len()));
            let record = Query::Gathered {
                epoch: self.proof.epoch,
                digest: self.proof.digest,
                members: part.iter().map(|(member, _)| *member).collect(),
                unless: goal,
            };
            let gather = self.program.gather(&self.proof, part);
            steps.push(self.step(("gather", &[gather]), &record, RecordRule::AtLeast(1)));
            rest = later;
        }
        let name = match self.order.action {
            BridgeAction::Pay(_) => "deliver",
            BridgeAction::Update(..) => "update",
            BridgeAction::Switch(_) => "set paused",
            BridgeAction::Refund(..) => "refund",
        };
        let last = self.with_signatures(rest, &last);
        steps.push(self.step((name, &last), &record, rule));
        Ok(())
    }

    fn record(&self) -> Result<(Goal, Query, RecordRule), ChainError> {
        Ok(match self.order.action {
            BridgeAction::Pay(transfer) => {
                let (peer, nonce) = (self.peer(transfer), transfer.nonce);
                (
                    Goal::Nonce(peer, nonce),
                    Query::Nonce(peer, nonce),
                    RecordRule::Status,
                )
            }
            BridgeAction::Update(next, _) => {
                let epoch = next.epoch();
                let rule = RecordRule::AtLeast(epoch.0.into());
                (Goal::Epoch(epoch), Query::NewestEpoch, rule)
            }
            BridgeAction::Switch(vote) => {
                let rule = RecordRule::AtLeast(vote.sequence);
                (Goal::Sequence(vote.sequence), Query::Sequence, rule)
            }
            BridgeAction::Refund(transfer, _) => return Err(refund_by_sender(transfer)),
        })
    }

    /// The fewest signatures, by the heaviest members, that suffice with those that are there; ascending.
    fn missing(&self, gathered: Option<&Gathered>) -> Result<Vec<(u16, [u8; 64])>, ChainError> {
        let set = self.order.signers;
        let is_there = |index| gathered.is_some_and(|gathered| gathered.has(index));
        let members = set.members().iter().enumerate();
        let there = members.filter(|(index, _)| is_there(*index));
        let mut weight = there.fold(U256::ZERO, |sum, (_, member)| {
            sum.saturating_add(member.weight)
        });
        let signed = self.order.certificate.signatures().iter();
        let mut others: Vec<_> = signed
            .filter_map(|signed| {
                let index = set.position(signed.operator)?;
                (!is_there(index))
                    .then(|| (index, set.weight_of(signed.operator), signed.signature))
            })
            .collect();
        others.sort_by_key(|(_, weight, _)| Reverse(*weight));
        let mut missing = Vec::new();
        for (index, more, signature) in others {
            if weight >= set.threshold() {
                break;
            }
            weight = weight.saturating_add(more);
            // A set has 500 members at most.
            missing.push((
                u16::try_from(index).unwrap_or(u16::MAX),
                signature.to_compact(),
            ));
        }
        if weight < set.threshold() {
            return Err(settings(format!(
                "the signers weigh {weight}, of the {} that certify in epoch {}; wait for a whole certificate",
                set.threshold(),
                self.proof.epoch
            )));
        }
        missing.sort_unstable_by_key(|(index, _)| *index);
        Ok(missing)
    }

    fn with_signatures(&self, signatures: &Signatures, last: &[Instruction]) -> Vec<Instruction> {
        let gather = (!signatures.is_empty()).then(|| self.program.gather(&self.proof, signatures));
        gather.into_iter().chain(last.iter().cloned()).collect()
    }

    /// How many signatures fit into a transaction beside these instructions.
    fn room(&self, last: &[Instruction]) -> Result<usize, ChainError> {
        // Their length takes two bytes as for any larger number.
        const SOME: usize = 2;
        let mut instructions = self.with_signatures(&[(0, [0; 64]); SOME], last);
        // Somebody else may get the rent, with a key of his own.
        let other = PublicKey(B256::repeat_byte(u8::MAX));
        give_rent(&mut instructions, |_| Some(other));
        // Too many units for doing without the budget.
        let budget = Budget {
            units: u64::MAX,
            price: 0,
        };
        let message = budgeted(self.proof.payer, &instructions, budget, B256::ZERO)?;
        Ok(SOME + MAX_TRANSACTION.saturating_sub(size(&message)) / SIGNATURE)
    }

    fn step(
        &self,
        (name, instructions): (&'static str, &[Instruction]),
        record: &Query,
        rule: RecordRule,
    ) -> BridgeStep {
        let call = ContractCall {
            name,
            from: Some(self.order.payer),
            contract: self.order.contract,
            data: instruction::encode(instructions).into(),
            value: U256::ZERO,
        };
        BridgeStep {
            record: question(self.program, record),
            call,
            rule,
            is_interim: true,
        }
    }
}

/// The call that asks a program's accounts.
pub(super) fn question(program: BridgeProgram, query: &Query) -> ContractCall {
    let name = match query {
        Query::NewestEpoch => "newest epoch",
        Query::Sequence => "changes of the pause",
        Query::Nonce(..) => "state of a nonce",
        Query::Part(..) => "part of a set",
        Query::Gathered { .. } => "gathered signatures",
    };
    ContractCall {
        name,
        from: None,
        contract: program.0.0,
        data: Bytes::from(query.encode()),
        value: U256::ZERO,
    }
}

/// Puts who paid for an account in the place where it gets its rent back: `payer_of` says who did, by the account.
pub(super) fn give_rent(
    instructions: &mut [Instruction],
    payer_of: impl Fn(PublicKey) -> Option<PublicKey>,
) {
    let uses = instructions.iter_mut().flat_map(|one| &mut one.accounts);
    for used in uses.filter(|used| used.access == Access::RentOf) {
        if let Some(payer) = payer_of(used.key) {
            (used.key, used.access) = (payer, Access::Writes);
        }
    }
}

#[cfg(test)]
mod tests;
