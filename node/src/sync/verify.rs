//! What another node sends is checked as gossip is, but for who sent it: statements and their ids, the
//! operators of the epoch, their signatures.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::PeerId;
use quorate_proto::{
    Domain, Epoch, OperatorSet, Outcome, Response, SyncItem, TaskId, TaskState, Timestamp, wire,
};

use super::link::AskError;
use crate::tasks::imported::ImportedTask;
use crate::tasks::inventory::TaskInventory;

/// Tasks without certificate that are taken over from one peer within [`ALLOWANCE_MS`]. An operator can
/// sign as many as it likes; honest ones expire where the network is ill, at some hundred in a minute.
const MAX_UNCERTIFIED: usize = 8_192;
pub(super) const ALLOWANCE_MS: u64 = 600_000;

/// What was asked for.
pub(super) enum RequestedItems {
    /// Ascending ids, behind the first and up to the second.
    Range {
        after: Option<TaskId>,
        until: TaskId,
    },
    /// Any of these, each once.
    These(HashSet<TaskId>),
}

/// How much each peer brought of what no set has certified.
#[derive(Default)]
pub(super) struct Allowance(Mutex<HashMap<PeerId, (Timestamp, usize)>>);

impl Allowance {
    /// Whether one more may come.
    fn take(&self, now: Timestamp, peer: PeerId) -> bool {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|_, (since, _)| now.micros_since(*since) < ALLOWANCE_MS * 1_000);
        let (_, count) = spent.entry(peer).or_insert((now, 0));
        *count += 1;
        *count <= MAX_UNCERTIFIED
    }
}

/// What a reply brought.
#[derive(Debug, Default)]
pub(super) struct VerifiedItems {
    /// What is new and holds.
    pub(super) taken: Vec<ImportedTask>,
    /// The id of the last item.
    pub(super) last: Option<TaskId>,
    /// Items beyond the allowance.
    pub(super) left_out: usize,
}

/// Verifies one reply.
pub(super) struct Verifier {
    pub(super) peer: PeerId,
    pub(super) epoch: Epoch,
    pub(super) set: Arc<OperatorSet>,
    pub(super) domain: Domain,
    pub(super) inventory: TaskInventory,
    pub(super) allowance: Arc<Allowance>,
    pub(super) now: Timestamp,
}

impl Verifier {
    /// Takes some milliseconds per hundred signatures.
    ///
    /// # Errors
    /// [`AskError::Fault`] with the first thing that is wrong; the whole reply is worth nothing then.
    pub(super) fn verify(
        &self,
        items: &[wire::SyncItem],
        wanted: &RequestedItems,
    ) -> Result<VerifiedItems, AskError> {
        let mut brought = VerifiedItems::default();
        let mut seen = HashSet::new();
        for message in items {
            let item = SyncItem::try_from(message).map_err(|e| AskError::Fault(e.to_string()))?;
            let id = item.statement.task_id();
            let fits = match wanted {
                RequestedItems::Range { after, until } => {
                    Some(id) > brought.last.max(*after) && id <= *until
                }
                RequestedItems::These(ids) => ids.contains(&id) && seen.insert(id),
            };
            if !fits || item.statement.epoch() != self.epoch {
                return Err(AskError::Fault("a task that was not asked for".into()));
            }
            brought.last = Some(id);
            match self.verify_item(id, &item)? {
                Some(taken) if self.is_allowed(&taken) => brought.taken.push(taken),
                Some(_) => brought.left_out += 1,
                None => {}
            }
        }
        Ok(brought)
    }

    fn verify_item(&self, id: TaskId, item: &SyncItem) -> Result<Option<ImportedTask>, AskError> {
        let responses = item
            .responses(&self.set)
            .map_err(|e| AskError::Fault(e.to_string()))?;
        let known = self.inventory.state(self.epoch, id)?;
        let state = known.clone().unwrap_or_default();
        let mut fresh = Vec::with_capacity(responses.len());
        for (response, (member, _)) in responses.into_iter().zip(&item.answers) {
            if is_known(&state, *member, &response) {
                continue;
            }
            response
                .verify(&self.set, &self.domain)
                .map_err(|e| AskError::Fault(format!("a response to task {id}: {e}")))?;
            fresh.push(response);
        }
        if fresh.is_empty() {
            return Ok(None);
        }
        Ok(Some(ImportedTask {
            statement: item.statement.clone(),
            created_ms: item.created_ms,
            is_known: known.is_some(),
            responses: fresh,
        }))
    }

    fn is_allowed(&self, taken: &ImportedTask) -> bool {
        let is_doubtful = !taken.is_known && !taken.is_certified(&self.set);
        let allowed = !is_doubtful || self.allowance.take(self.now, self.peer);
        if !allowed {
            metrics::counter!("quorate_sync_left_out_total").increment(1);
        }
        allowed
    }
}

fn is_known(state: &TaskState, member: usize, response: &Response) -> bool {
    state.signed.has(member)
        || (matches!(response.outcome, Outcome::Refused(_)) && state.refused.has(member))
}

#[cfg(test)]
mod tests;
