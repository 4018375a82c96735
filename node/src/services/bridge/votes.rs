//! What this operator was told to vote about bridges, on disk.

use std::sync::Arc;

use quorate_chain::ChainError;
use quorate_proto::{Address, BridgePause, StatementKind as _};
use quorate_storage::{Batch, Durability, WriteQueue, schema};
use tokio::sync::{Mutex, watch};

use super::Bridge;
use super::settings::BridgePlace;
use crate::NodeError;
use crate::services::timeouts::READ_TIMEOUT;

/// One vote for each bridge, of no epoch. A clone is another handle to the same.
#[derive(Clone)]
pub(crate) struct VoteStore {
    writes: WriteQueue,
    /// Over a look and the write that follows from it.
    gate: Arc<Mutex<()>>,
    /// Counts what was written.
    changes: watch::Sender<u64>,
}

impl VoteStore {
    pub(crate) fn new(writes: WriteQueue) -> Self {
        Self {
            writes,
            gate: Arc::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// Told of every change.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The vote about a bridge.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(super) fn of(&self, place: &BridgePlace) -> Result<Option<BridgePause>, NodeError> {
        let row = self.writes.store().get(schema::BRIDGE_VOTES, &key(place))?;
        let vote = row.map(|row| BridgePause::try_from(&row).map_err(NodeError::damaged));
        vote.transpose()
    }

    /// All of them: of each bridge on a route one at most.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn all(&self) -> Result<Vec<BridgePause>, NodeError> {
        let rows = self.writes.store().rows(schema::BRIDGE_VOTES, &());
        rows.map(|row| BridgePause::try_from(&row?.1).map_err(NodeError::damaged))
            .collect()
    }

    /// Returns once it is on disk.
    async fn give(&self, vote: &BridgePause) -> Result<(), NodeError> {
        let _gate = self.gate.lock().await;
        let mut batch = Batch::new();
        batch.put(
            schema::BRIDGE_VOTES,
            &key(&BridgePlace::about(vote)),
            &vote.into(),
        );
        self.write(batch).await
    }

    /// Forgets the vote about a bridge; whether there was one. What was signed stays signed.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn take_back(&self, place: &BridgePlace) -> Result<bool, NodeError> {
        let _gate = self.gate.lock().await;
        let was_there = self.of(place)?.is_some();
        let mut batch = Batch::new();
        batch.delete(schema::BRIDGE_VOTES, &key(place));
        self.write(batch).await?;
        Ok(was_there)
    }

    /// Forgets this vote, whose number is used up, and not one that was given since.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(super) async fn end(&self, vote: &BridgePause) -> Result<(), NodeError> {
        let _gate = self.gate.lock().await;
        let place = BridgePlace::about(vote);
        if self.of(&place)?.as_ref() != Some(vote) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.delete(schema::BRIDGE_VOTES, &key(&place));
        self.write(batch).await
    }

    async fn write(&self, batch: Batch) -> Result<(), NodeError> {
        self.writes.write(batch, Durability::Synced).await?;
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// Whether `operator` has signed another answer under the number of this vote.
    fn is_contradicted(&self, operator: Address, vote: &BridgePause) -> Result<bool, NodeError> {
        let log = self.writes.signing_log();
        let signed = log.recorded(&operator.into_array(), &vote.slot().0.0)?;
        Ok(signed.is_some_and(|signed| signed.fact != vote.fact().0))
    }
}

fn key(place: &BridgePlace) -> (u64, schema::Id) {
    (place.chain, place.contract.0)
}

impl Bridge {
    /// Has `operator` vote for the next change of a bridge, in place of what it was told before. Returns once that is on
    /// disk.
    ///
    /// # Errors
    /// [`VoteError`]; nothing is changed then.
    pub(crate) async fn vote(
        &self,
        operator: Address,
        place: BridgePlace,
        paused: bool,
    ) -> Result<BridgePause, VoteError> {
        if !self.has(&place) {
            return Err(VoteError::NotOnRoutes(place));
        }
        let sequence = self.changes_of(&place).await?.saturating_add(1);
        let vote = BridgePause::vote(place.chain, place.contract, sequence, paused);
        if self.votes.is_contradicted(operator, &vote)? {
            return Err(VoteError::Signed(sequence));
        }
        self.votes.give(&vote).await?;
        Ok(vote)
    }

    /// How often a bridge was stopped or let go on, at the final head of its chain.
    ///
    /// # Errors
    /// A chain that is not read, or does not answer.
    pub(super) async fn changes_of(&self, place: &BridgePlace) -> Result<u64, VoteError> {
        let chain = place.chain;
        let reader = self.reader(chain).ok_or(VoteError::NoChain(chain))?;
        let head = reader.final_head().ok_or(VoteError::Silent(chain))?;
        let state = reader.pause_state(place.contract, head);
        let state = tokio::time::timeout(READ_TIMEOUT, state).await;
        Ok(state.map_err(|_| VoteError::Silent(chain))??.sequence)
    }
}

/// Why a vote is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VoteError {
    /// Nobody meant this contract.
    #[error("{0} is on no route of this node; `node bridge status` shows them")]
    NotOnRoutes(BridgePlace),
    /// It cannot be known which number is next.
    #[error("chain {0} is not configured; add a table [[chains]] for it")]
    NoChain(u64),
    /// The same.
    #[error(
        "chain {0} does not answer, or has no final block yet; see `node providers`, and try again"
    )]
    Silent(u64),
    /// The log holds the other answer.
    #[error(
        "this operator has signed the opposite as change {0} already, and signs one answer only; when that number is used up, \
         by the others or by the bridge's guardian, vote on the next one"
    )]
    Signed(u64),
    /// The next number cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store.
    #[error(transparent)]
    Node(#[from] NodeError),
}

#[cfg(test)]
mod tests;
