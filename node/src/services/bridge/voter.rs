//! Has this operator's votes certified, until the bridges have counted their numbers.
//!
//! Who is told to vote says so at once, since the others cannot see it, and again by turns. Those that were not told to vote the
//! same refuse; once as many were told as it takes, the next announcement is certified.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_proto::{BridgePause, Epoch, Statement, StatementKind as _};
use tokio_util::sync::CancellationToken;

use super::Bridge;
use super::changes::ChangeCounts;
use super::settings::BridgePlace;
use super::turns::{First, TaskStarter};
use crate::NodeError;

/// How often it is looked whether there is a certificate, and whether the bridge has taken it.
const LOOK: Duration = Duration::from_secs(1);

/// The task that announces votes.
pub(crate) struct Voter {
    starter: TaskStarter,
    bridge: Bridge,
    changes: ChangeCounts,
}

impl Voter {
    pub(crate) fn new(starter: TaskStarter, bridge: Bridge) -> Self {
        Self {
            starter,
            changes: ChangeCounts::new(bridge.clone()),
            bridge,
        }
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut changes = self.bridge.votes.watch();
        loop {
            changes.borrow_and_update();
            let open = tokio::select! {
                open = self.look() => open?,
                () = token.cancelled() => return Ok(()),
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(LOOK), if open => {}
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// Announces what is due, and forgets votes whose numbers are used up. Whether there are others.
    async fn look(&mut self) -> Result<bool, NodeError> {
        let votes = self.bridge.votes.all()?;
        let Some(set) = self.starter.set().filter(|_| !votes.is_empty()) else {
            return Ok(!votes.is_empty());
        };
        let mut open = BTreeSet::new();
        for vote in votes.iter() {
            // One that cannot be read now is looked at again.
            let Some(counted) = self.changes.of(&BridgePlace::about(vote)).await else {
                continue;
            };
            if counted >= vote.sequence {
                let (chain, sequence) = (vote.chain_id, vote.sequence);
                tracing::info!(
                    chain,
                    sequence,
                    "the bridge has counted the change that was voted on"
                );
                self.bridge.votes.end(vote).await?;
            } else if self.is_next(vote, counted, set.epoch())? {
                open.insert(vote.slot());
                let statement = Statement::BridgePause(BridgePause {
                    epoch: set.epoch(),
                    ..*vote
                });
                self.starter
                    .announce(statement, &set, vote.sequence, First::AtOnce)
                    .await;
            }
        }
        self.starter.keep(&set, &open);
        Ok(true)
    }

    /// Whether it is the turn of this number, and no certificate for it is new enough to be delivered still.
    fn is_next(&self, vote: &BridgePause, counted: u64, now: Epoch) -> Result<bool, NodeError> {
        if counted.saturating_add(1) != vote.sequence {
            return Ok(false);
        }
        let certificate = self.starter.certificate(vote.slot())?;
        let by = certificate.map(|certificate| certificate.statement().epoch());
        Ok(by.is_none_or(|by| by.next() < now))
    }
}

#[cfg(test)]
mod tests;
