//! Has transfers given back that their targets have closed.

use quorate_chain::{BridgeAction, ChainError};
use quorate_proto::{Statement, StatementKind as _, TransferClosed};

use super::{BridgeRelayer, Errand, RelayError};
use crate::NodeError;
use crate::tasks::handover::newest_certificate;

impl BridgeRelayer {
    /// Queues what was certified. Whether something is open.
    pub(super) async fn look_at_closings(&mut self) -> Result<bool, NodeError> {
        let open = self.bridge.open_closings()?;
        let mut queued = Vec::new();
        for closed in &open {
            match self.refund(closed).await {
                Ok(true) => queued.push(*closed),
                Ok(false) => {}
                Err(RelayError::Node(error)) => return Err(error),
                Err(RelayError::Chain(error @ ChainError::Impossible { .. })) => {
                    tracing::warn!(nonce = closed.nonce, %error, "a refund is left");
                    queued.push(*closed);
                }
                Err(error) => {
                    tracing::warn!(nonce = closed.nonce, %error, "a refund is not queued yet; trying again");
                }
            }
        }
        if !queued.is_empty() {
            self.bridge.transfers.ended(&queued).await?;
        }
        Ok(queued.len() < open.len())
    }

    /// Whether it is queued; not before it is certified, and the transfer itself was seen here.
    async fn refund(&mut self, closed: &TransferClosed) -> Result<bool, RelayError> {
        let certificate = newest_certificate(&self.store, closed.slot())?;
        let transfer = self.bridge.transfers.get(&closed.route, closed.nonce)?;
        let Some((certificate, transfer)) = certificate.zip(transfer) else {
            return Ok(false);
        };
        let Statement::TransferClosed(told) = *certificate.statement() else {
            return Ok(false);
        };
        let (route, nonce) = (closed.route, closed.nonce);
        let errand = Errand {
            action: BridgeAction::Refund(&transfer, told.time),
            contract: route.source_contract,
            certificate: &certificate,
            stream: route.id(),
            priority: 0,
            needs: None,
            about: format!("refund of transfer {nonce} to chain {}", route.target_chain),
        };
        self.bring(route.source_chain, errand).await?;
        Ok(true)
    }
}
