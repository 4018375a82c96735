//! Where a new node begins: not with the first registration there ever was, but with the sets that
//! others serve in, once the home chain has said the same of them.
//!
//! A peer names the members of the current set and of the one before. The contract gives keys and
//! weights at a final block, and the total; weights add up to it only if nobody was left out. Whoever
//! is in neither set either registered since the epoch before began, which is read, or holds no weight.

use std::collections::BTreeSet;
use std::time::Duration;

use libp2p::{PeerId, StreamProtocol};
use quorate_chain::{BlockRef, HomeReader};
use quorate_proto::store::{Cursor, OperatorRecord};
use quorate_proto::{Address, Epoch, EpochSchedule};
use quorate_storage::{Batch, Durability, schema};

use super::{Follower, Home};
use crate::NodeError;
use crate::network::NetworkHandle;

/// Fewer blocks are read in one request, at most providers.
const WORTH_IT: u64 = 1_000;
/// How long a new node waits for somebody who knows the sets.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);

/// Peers from the settings, who can name the sets.
pub(crate) struct Introducer {
    pub(crate) network: NetworkHandle,
    pub(crate) protocol: StreamProtocol,
    pub(crate) peers: Vec<PeerId>,
}

impl Introducer {
    /// The members of an epoch's set, as the first peer says that answers.
    async fn members(&self, epoch: Epoch) -> Option<Vec<Address>> {
        for peer in self.network.peers().await {
            if !self.peers.contains(&peer.peer) {
                continue;
            }
            let asked = crate::sync::ask_set(&self.network, &self.protocol, peer.peer, epoch);
            if let Some(set) = asked.await {
                return Some(set.members().iter().map(|m| m.address).collect());
            }
        }
        None
    }
}

impl Home {
    /// Leaves out the registrations of long ago, where the sets can be had without them.
    pub(super) async fn introduce(&self, follower: &mut Follower) -> Result<(), NodeError> {
        let known = self.store.get(schema::CURSORS, self.cursor_name())?;
        let (Some(introducer), None, None) = (&self.introducer, &self.members, known) else {
            return Ok(());
        };
        let Ok(head) = self.reader.refresh().await else {
            return Ok(());
        };
        let Some(begin) = beginning(&follower.schedule, head.number) else {
            return Ok(());
        };
        let asked = self.introduced(introducer, &follower.schedule, head);
        let Ok(Some(members)) = tokio::time::timeout(PATIENCE, asked).await else {
            tracing::info!("nobody names the operator sets; all registrations are read");
            return Ok(());
        };
        self.begin_with(&members, begin).await?;
        tracing::info!(
            operators = members.len(),
            from_block = begin,
            "begins with the sets of this epoch and the one before; older registrations are left out"
        );
        follower.operators.extend(members);
        follower.next_block = begin;
        follower.written = begin;
        Ok(())
    }

    /// Members of both sets, once the home chain says that they are all.
    async fn introduced(
        &self,
        introducer: &Introducer,
        schedule: &EpochSchedule,
        head: BlockRef,
    ) -> Option<BTreeSet<Address>> {
        let current = schedule.epoch_at(head.number);
        let mut members = BTreeSet::new();
        for epoch in [current.previous()?, current] {
            let named = loop {
                match introducer.members(epoch).await {
                    Some(named) => break named,
                    None => tokio::time::sleep(LOOK).await,
                }
            };
            if !is_whole(self.reader.as_ref(), epoch, &named, head).await {
                tracing::warn!(%epoch, "a peer names operators that are not all of its epoch");
                return None;
            }
            members.extend(named);
        }
        Some(members)
    }

    async fn begin_with(&self, members: &BTreeSet<Address>, begin: u64) -> Result<(), NodeError> {
        let mut batch = Batch::new();
        for operator in members {
            let record = OperatorRecord {
                operator: operator.to_vec(),
                registered: true,
                block_number: begin,
            };
            batch.put(schema::OPERATORS, &operator.into_array(), &record);
        }
        let cursor = Cursor {
            block_number: begin.saturating_sub(1),
            block_hash: Vec::new(),
        };
        batch.put(schema::CURSORS, self.cursor_name(), &cursor);
        Ok(self.writes.write(batch, Durability::Buffered).await?)
    }
}

/// Where the epoch before the current one begins: registrations since then may not be in its sets.
/// `None` where that leaves out too little.
fn beginning(schedule: &EpochSchedule, head: u64) -> Option<u64> {
    let before = schedule.epoch_at(head).previous()?;
    let begin = schedule.interval(before).start;
    (begin.saturating_sub(schedule.genesis) >= WORTH_IT).then_some(begin)
}

/// Whether the weights of these operators add up to the total of the epoch.
async fn is_whole(
    reader: &dyn HomeReader,
    epoch: Epoch,
    members: &[Address],
    head: BlockRef,
) -> bool {
    match reader.operator_set(epoch, members, head.hash).await {
        Ok(set) => set.is_whole(),
        Err(error) => {
            tracing::debug!(%epoch, %error, "set not read");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_blocks_are_worth_leaving_out() {
        let schedule = EpochSchedule {
            genesis: 1_000,
            length: 100,
            grace: 10,
        };
        assert_eq!(beginning(&schedule, 1_050), None, "no epoch before");
        assert_eq!(beginning(&schedule, 1_000 + 1_099), None);
        assert_eq!(beginning(&schedule, 1_000 + 1_100), Some(2_000));
        assert_eq!(beginning(&schedule, 1_000 + 1_299), Some(2_100));
    }
}
