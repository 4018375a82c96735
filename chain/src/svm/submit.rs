//! Sends transactions to an SVM chain, and says what became of them.
//!
//! # Design Decisions
//!
//! Transactions go out without the provider's own check before: the machine has estimated them, which asks the same of a
//! quorum, and one provider that lags behind would refuse what the others take. Nor does a provider send them again by
//! itself: the machine does, until their blockhash has lapsed.

use std::fmt::Debug;
use std::sync::Arc;

use alloy::primitives::{Bytes, U256};
use futures::future::{BoxFuture, FutureExt};
use quorate_proto::{B256, Epoch, Transfer};

use super::accounts::{self, Held};
use super::bridge_calls::BridgeProgram;
use super::calls::Signature;
use super::instruction::{self, Access, Instruction};
use super::message::{self, Budget};
use super::plan::{Plan, give_rent, question};
use super::provider::SvmProvider;
use super::query::Query;
use super::{PublicKey, SvmClient};
use crate::{
    AccountState, BridgeOrder, BridgeSender, BridgeStep, Broadcast, CallMeaning, ChainClient,
    ChainError, ChainFamily, ContractCall, FeeQuote, Inclusion, Providers, SignedTransaction,
    Submitter, TransactionDraft, UnsignedTransaction,
};

mod errors;
mod requests;

use self::errors::{Failure, meaning_of};

/// Fees and balances are counted in millionths of a lamport, as prices are.
const MICRO: u64 = 1_000_000;

/// What a transaction may use, at most.
const MAX_UNITS: u64 = 1_400_000;

/// Sends through a client that others may share.
pub struct SvmSubmitter {
    client: Arc<SvmClient>,
}

fn settings(detail: String) -> ChainError {
    ChainError::Settings { detail }
}

impl SvmSubmitter {
    /// Nothing is asked before the client is connected or runs.
    #[must_use]
    pub const fn new(client: Arc<SvmClient>) -> Self {
        Self { client }
    }

    /// What enough providers' accounts answer alike.
    async fn ask<T: PartialEq + Debug>(
        &self,
        wanted: &[PublicKey],
        answer: impl Fn(&[Option<Held>]) -> T + Sync,
    ) -> Result<T, ChainError> {
        let answer = &answer;
        let pool = self.client.pool();
        let said = pool.ask_unpinned(|_, provider| async move {
            let held = provider.accounts(wanted).await?;
            Ok(answer(&held))
        });
        Ok(said.await?)
    }

    async fn read_height(&self) -> Result<u64, ChainError> {
        let pool = self.client.pool();
        let said = pool.gather(|_, provider| provider.block_height()).await?;
        pool.reached(&said, |height| *height)
    }

    async fn read_account(&self, address: B256) -> Result<AccountState, ChainError> {
        let pool = self.client.pool();
        let said = pool.gather(|_, provider| provider.lamports(PublicKey(address)));
        let lamports = pool.reached(&said.await?, |lamports| *lamports)?;
        Ok(AccountState {
            mined: 0,
            pending: 0,
            balance: U256::from(lamports).saturating_mul(U256::from(MICRO)),
        })
    }

    async fn read_fees(&self) -> Result<FeeQuote, ChainError> {
        let pool = self.client.pool();
        let said = pool.gather(|_, provider| provider.prices()).await?;
        let tip = |index: usize| pool.reached(&said, |prices: &[u64; 3]| prices[index].max(1));
        Ok(FeeQuote {
            base: 0,
            tips: [tip(0)?.into(), tip(1)?.into(), tip(2)?.into()],
        })
    }

    /// The instructions of a call, with those in their place who get rent back.
    async fn instructions(
        &self,
        data: &[u8],
        payer: PublicKey,
    ) -> Result<Vec<Instruction>, ChainError> {
        let mut instructions = instruction::decode(data)?;
        let uses = instructions.iter().flat_map(|one| &one.accounts);
        let rents = uses.filter(|used| used.access == Access::RentOf);
        let made: Vec<PublicKey> = rents.map(|used| used.key).collect();
        if made.is_empty() {
            return Ok(instructions);
        }
        let payers: Vec<Option<PublicKey>> = self
            .ask(&made, |held| {
                let payers = held
                    .iter()
                    .map(|held| held.as_ref().and_then(accounts::rent_of));
                payers.collect()
            })
            .await?;
        give_rent(&mut instructions, |account| {
            let place = made.iter().position(|made| *made == account);
            let known = place.and_then(|place| payers.get(place).copied().flatten());
            Some(known.unwrap_or(payer))
        });
        Ok(instructions)
    }

    /// Where enough say that it takes no more than this, it does; where enough say that it fails alike, it does.
    async fn run_estimate(&self, call: &ContractCall) -> Result<u64, ChainError> {
        let payer = call.from.map(PublicKey).ok_or_else(|| {
            settings(format!(
                "{} has nobody who pays for it; name its sender",
                call.name
            ))
        })?;
        let instructions = self.instructions(&call.data, payer).await?;
        let budget = Budget {
            units: MAX_UNITS,
            price: 0,
        };
        let message =
            message::budgeted(payer, &instructions, budget, B256::ZERO).or_else(|_| {
                message::budgeted(
                    payer,
                    &instructions,
                    Budget { units: 0, ..budget },
                    B256::ZERO,
                )
            })?;
        let transaction = message::transaction(&message, [0; 64]);
        let pool = self.client.pool();
        let said = pool
            .gather(|_, provider| provider.simulate(&transaction))
            .await?;
        let (mut units, mut failures) = (Vec::new(), Vec::new());
        for (index, outcome) in said {
            match outcome {
                Ok(used) => units.push((index, used)),
                Err(failure) => failures.push((index, failure)),
            }
        }
        if let Ok(used) = pool.reached(&units, |used| *used) {
            return Ok(used);
        }
        let by = |failure: &Failure| -> Vec<usize> {
            let alike = failures.iter().filter(|(_, other)| other == failure);
            alike.map(|(index, _)| *index).collect()
        };
        let agreed = failures
            .iter()
            .find(|(_, failure)| pool.rule().suffices(&by(failure)));
        match agreed {
            Some((_, failure)) => Err(failure.told(call, payer)),
            None => Err(ChainError::Disagreement {
                detail: format!("{} would fail as some providers say", call.name),
            }),
        }
    }

    async fn run_call(&self, call: &ContractCall) -> Result<Bytes, ChainError> {
        let query = Query::decode(&call.data)?;
        let word = self
            .answer(BridgeProgram(PublicKey(call.contract)), &query)
            .await?;
        Ok(word.to_be_bytes_vec().into())
    }

    async fn answer(&self, program: BridgeProgram, query: &Query) -> Result<U256, ChainError> {
        let wanted = query.accounts(program);
        let word = self
            .ask(&wanted, |held| query.answer(program, held))
            .await?;
        word.ok_or_else(|| {
            settings(format!(
                "program {} holds no bridge; initialize it, or correct the bridge's address",
                program.0
            ))
        })
    }

    async fn find_steps(&self, order: BridgeOrder<'_>) -> Result<Vec<BridgeStep>, ChainError> {
        let plan = Plan::new(order);
        let standing = self
            .ask(&plan.accounts(), |held| plan.standing(held))
            .await?;
        plan.steps(&standing)
    }

    /// A blockhash that enough providers know, and the last height at which it counts. The newest that enough of them have
    /// reached is tried first: none alone can choose one that lapses early, or that the others never hear of.
    async fn blockhash(&self) -> Result<(B256, u64), ChainError> {
        let pool = self.client.pool();
        let mut said = pool
            .gather(|_, provider| provider.latest_blockhash())
            .await?;
        let until = pool.reached(&said, |(until, _)| *until)?;
        said.retain(|(_, (their, _))| *their <= until);
        said.sort_by_key(|(_, (their, _))| std::cmp::Reverse(*their));
        said.dedup_by_key(|(_, (_, hash))| *hash);
        for (_, (_, hash)) in said {
            let known = pool
                .ask_unpinned(|_, provider| provider.is_valid(hash))
                .await?;
            if known {
                return Ok((hash.0, until));
            }
        }
        Err(ChainError::Disagreement {
            detail: "no provider's newest blockhash is known to enough of the others".to_owned(),
        })
    }

    async fn make(&self, draft: &TransactionDraft) -> Result<UnsignedTransaction, ChainError> {
        let payer = PublicKey(draft.sender);
        let (instructions, blockhash) =
            tokio::try_join!(self.instructions(&draft.data, payer), self.blockhash())?;
        let budget = Budget {
            units: draft.gas,
            price: draft.max_fee,
        };
        let (hash, until) = blockhash;
        Ok(UnsignedTransaction {
            payload: message::budgeted(payer, &instructions, budget, hash)?.into(),
            valid_until: Some(until),
        })
    }

    async fn hand_out(&self, transaction: &SignedTransaction) -> Broadcast {
        let id = signature_of(&transaction.id);
        let send =
            |provider| async move { SvmProvider::send(provider, &transaction.raw, id).await };
        self.client.pool().hand_out(send).await
    }

    async fn read_receipt(&self, id: &[u8]) -> Result<Option<Inclusion>, ChainError> {
        let Some(signature) = signature_of(id) else {
            return Err(ChainError::Malformed {
                what: "id of a transaction",
                detail: format!("{} bytes, where a signature has 64", id.len()),
            });
        };
        let question = |_, provider| SvmProvider::inclusion(provider, signature);
        Ok(self.client.pool().ask_unpinned(question).await?)
    }
}

fn signature_of(id: &[u8]) -> Option<Signature> {
    id.try_into().ok().map(Signature)
}

impl Submitter for SvmSubmitter {
    fn chain_id(&self) -> u64 {
        self.client.chain_id()
    }

    fn family(&self) -> ChainFamily {
        ChainFamily::Svm
    }

    fn providers(&self) -> Providers {
        self.client.providers()
    }

    fn height(&self) -> BoxFuture<'_, Result<u64, ChainError>> {
        self.read_height().boxed()
    }

    fn account(&self, address: B256) -> BoxFuture<'_, Result<AccountState, ChainError>> {
        self.read_account(address).boxed()
    }

    fn fees(&self) -> BoxFuture<'_, Result<FeeQuote, ChainError>> {
        self.read_fees().boxed()
    }

    fn estimate<'a>(&'a self, call: &'a ContractCall) -> BoxFuture<'a, Result<u64, ChainError>> {
        self.run_estimate(call).boxed()
    }

    fn call<'a>(&'a self, call: &'a ContractCall) -> BoxFuture<'a, Result<Bytes, ChainError>> {
        self.run_call(call).boxed()
    }

    fn prepare<'a>(
        &'a self,
        draft: &'a TransactionDraft,
    ) -> BoxFuture<'a, Result<UnsignedTransaction, ChainError>> {
        self.make(draft).boxed()
    }

    fn complete(
        &self,
        draft: &TransactionDraft,
        unsigned: &UnsignedTransaction,
        signature: &[u8],
    ) -> Result<SignedTransaction, ChainError> {
        let message = &unsigned.payload;
        let signature = message::checked(message, PublicKey(draft.sender), signature)?;
        Ok(SignedTransaction {
            id: Bytes::from(signature),
            sender: draft.sender,
            raw: message::transaction(message, signature).into(),
        })
    }

    fn broadcast<'a>(&'a self, transaction: &'a SignedTransaction) -> BoxFuture<'a, Broadcast> {
        self.hand_out(transaction).boxed()
    }

    fn receipt<'a>(&'a self, id: &'a [u8]) -> BoxFuture<'a, Result<Option<Inclusion>, ChainError>> {
        self.read_receipt(id).boxed()
    }
}

impl BridgeSender for SvmSubmitter {
    /// A bridge keeps the sets itself.
    fn registry(&self, bridge: B256) -> BoxFuture<'_, Result<B256, ChainError>> {
        std::future::ready(Ok(bridge)).boxed()
    }

    fn newest_epoch(&self, registry: B256) -> BoxFuture<'_, Result<Epoch, ChainError>> {
        async move {
            let program = BridgeProgram(PublicKey(registry));
            let word = self.answer(program, &Query::NewestEpoch).await?;
            Ok(Epoch(word.saturating_to()))
        }
        .boxed()
    }

    fn status(&self, transfer: &Transfer) -> Result<ContractCall, ChainError> {
        let route = transfer.route;
        let program = BridgeProgram(PublicKey(route.target_contract));
        let peer = program.peer(route.source_chain, route.source_contract);
        Ok(question(program, &Query::Nonce(peer, transfer.nonce)))
    }

    fn steps<'a>(
        &'a self,
        order: BridgeOrder<'a>,
    ) -> BoxFuture<'a, Result<Vec<BridgeStep>, ChainError>> {
        self.find_steps(order).boxed()
    }

    fn meaning_of(&self, error: &ChainError) -> Option<CallMeaning> {
        meaning_of(u32::from_be_bytes(error.revert_selector()?))
    }
}
