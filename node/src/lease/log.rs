//! Whether the signing log of this store holds all that the key has signed.

use std::time::Duration;

use quorate_chain::ChainError;
use quorate_proto::Epoch;
use quorate_proto::store::LogOrigin;
use quorate_storage::{LogStanding, standing};

use super::Keeper;
use crate::{NodeError, clock};

/// Epochs of which the home chain is asked whether the key counted: 8 years of 6 days each. One
/// read of 10 ms or so each, once in the life of a store.
const MAX_EPOCHS: u32 = 512;
/// Pause after a failed read of the home chain.
const RETRY: Duration = Duration::from_secs(1);

impl Keeper {
    /// Whether the log is whole; otherwise why not, and what to do.
    pub(super) async fn check_log(&mut self) -> Result<Result<(), String>, NodeError> {
        let claim = std::mem::take(&mut self.parts.claim);
        let accepted = claim.accept_risk;
        self.parts.claim.accept_risk = accepted;
        let origin = match (standing(&self.parts.record), &claim.new_key) {
            (LogStanding::Whole(_), _) => None,
            (LogStanding::Unknown, Some(_)) => Some(LogOrigin::NewKey),
            _ if accepted => Some(LogOrigin::RiskAccepted),
            (LogStanding::Restored(at), _) => return Ok(Err(self.restored(at))),
            (LogStanding::Unknown, None) => match self.has_counted().await? {
                false => Some(LogOrigin::Unregistered),
                true => return Ok(Err(self.missing())),
            },
        };
        if let Some(origin) = origin {
            self.establish(origin, 0).await?;
        }
        // Behind the record, and before anything is signed: it vouches once.
        match claim.new_key.as_ref().map(crate::keys::NewKey::take_away) {
            Some(Err(error)) => Ok(Err(format!(
                "the note that the signing key is new cannot be taken away: {error}; \
                 let the node write to its key_dir once"
            ))),
            _ => Ok(Ok(())),
        }
    }

    pub(super) async fn establish(
        &self,
        origin: LogOrigin,
        sequence: u64,
    ) -> Result<(), NodeError> {
        let key = self.key();
        match origin {
            LogOrigin::RiskAccepted => tracing::warn!(%key,
                "signing with a log that may lack signatures, as its operator wants; this is noted"),
            _ => tracing::info!(%key, origin = origin.as_str_name(), "a signing log begins"),
        }
        let signers = &self.parts.signers;
        let now = clock::now().millis();
        signers
            .establish(&key.into_array(), origin, sequence, now)?
            .await?;
        Ok(())
    }

    /// Whether the home chain has had this key for the operator in any epoch that has begun, or may
    /// have had.
    async fn has_counted(&self) -> Result<bool, NodeError> {
        let mut epochs = self.parts.home.watch();
        loop {
            let known = epochs.wait_for(|view| view.current.is_some() && view.head.is_some());
            let view = match known.await {
                Ok(view) => view.clone(),
                // The node is ending.
                Err(_) => return Ok(true),
            };
            let (Some(set), Some(head)) = (view.current, view.head) else {
                continue;
            };
            if set.epoch().0 >= MAX_EPOCHS {
                return Ok(true);
            }
            match self.counted_up_to(set.epoch(), head.hash).await {
                Ok(counted) => return Ok(counted),
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "the home chain is asked again whether the key is new");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn counted_up_to(
        &self,
        newest: Epoch,
        at: quorate_proto::B256,
    ) -> Result<bool, ChainError> {
        let operator = self.parts.binding.operator;
        for epoch in (0..=newest.0).rev().map(Epoch) {
            let member = self.parts.reader.operator(epoch, operator, at).await?;
            if member.signing_key == self.key() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn missing(&self) -> String {
        format!(
            "nothing is signed: the home chain has known signing key {key} for some time, and this \
             store has no signing log of it. Import the log (`node keys log import`), or take \
             another key (`node keys new`, `node change-key`), or start once with \
             --accept-double-signing-risk",
            key = self.key()
        )
    }

    fn restored(&self, at_ms: u64) -> String {
        format!(
            "nothing is signed: this store was restored from a backup at {at_ms} (Unix milliseconds), \
             and what {key} signed after the backup is not in it. Import a newer log \
             (`node keys log import`), or take another key (`node keys new`, `node change-key`), or \
             start once with --accept-double-signing-risk",
            key = self.key()
        )
    }

    pub(super) fn behind(&self, sequence: u64) -> String {
        format!(
            "nothing is signed: {key} was used until {sequence} (Unix milliseconds) with another \
             store, and this one knows it until {base} only. Import the other one's log \
             (`node keys log export` there, `node keys log import` here), or take another key \
             (`node keys new`, `node change-key`), or start once with --accept-double-signing-risk",
            key = self.key(),
            base = self.base
        )
    }
}
