//! Has bridges told whether they stand still, as operators have voted.

use quorate_chain::BridgeAction;
use quorate_proto::{BridgePause, Statement};

use super::super::settings::BridgePlace;
use super::{BridgeRelayer, Errand, RelayError};
use crate::NodeError;
use crate::tasks::handover::newest_certificate;

/// Before updates and transfers.
const PRIORITY: u8 = 2;

impl BridgeRelayer {
    /// Queues what was certified of the next change of each bridge.
    pub(super) async fn look_at_votes(&mut self) -> Result<(), NodeError> {
        for place in self.bridge.places() {
            let Some(counted) = self.changes.of(&place).await else {
                continue;
            };
            match self.switch(place, counted.saturating_add(1)).await {
                Ok(()) => {}
                Err(RelayError::Node(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(bridge = %place, %error, "a vote is not queued yet; trying again");
                }
            }
        }
        Ok(())
    }

    async fn switch(&mut self, place: BridgePlace, number: u64) -> Result<(), RelayError> {
        let slot = BridgePause::slot_of(place.chain, place.contract, number);
        let Some(certificate) = newest_certificate(&self.store, slot)? else {
            return Ok(());
        };
        let Statement::BridgePause(vote) = *certificate.statement() else {
            return Ok(());
        };
        let queued = (number, vote.epoch);
        if self.switched.get(&place) == Some(&queued) {
            return Ok(());
        }
        let does = if vote.paused { "stop" } else { "go on" };
        let errand = Errand {
            action: BridgeAction::Switch(&vote),
            contract: place.contract,
            certificate: &certificate,
            stream: place.contract,
            priority: PRIORITY,
            needs: None,
            about: format!("change {number}: {does}"),
        };
        self.bring(place.chain, errand).await?;
        self.switched.insert(place, queued);
        Ok(())
    }
}
