//! Whether the signing log of this store holds what the operator has signed, or enough of it.

use quorate_proto::Address;
use quorate_proto::store::LogOrigin;
use quorate_storage::{LogStanding, covers, standing};

use super::LeaseTask;
use super::decide::{Decision, History, LogQuestion, PeerReport, Why};
use super::history::{Asked, Present, pause_after, present};
use crate::{NodeError, clock};

/// What the home chain says at the start.
pub(super) struct LogFacts {
    pub(super) present: Present,
    pub(super) history: History,
}

impl LeaseTask {
    /// What is needed of the home chain, as soon as it answers.
    pub(super) async fn facts(&self) -> Result<LogFacts, NodeError> {
        loop {
            let present = present(&self.parts.home).await;
            match self.asked().history(self.first_epoch(), present).await {
                Ok(history) => return Ok(LogFacts { present, history }),
                Err(error) if error.is_retryable() => pause_after(&error).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// All of them where it matters whether the operator, or its key, has ever signed; else those since
    /// the log was last looked at.
    fn first_epoch(&self) -> u32 {
        let record = &self.parts.record;
        let known = self.parts.claim.new_key.is_some() || covers(record, &self.key().into_array());
        match standing(record) {
            LogStanding::Whole(_) | LogStanding::Young if known => {
                record.seen_epoch.saturating_add(1)
            }
            _ => 0,
        }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            reader: self.parts.reader.as_ref(),
            operator: self.operator(),
        }
    }

    pub(super) fn decide(&self, facts: &LogFacts, heard: Option<PeerReport>) -> Decision {
        let question = LogQuestion {
            record: &self.parts.record,
            key: self.key(),
            noted: self.parts.claim.new_key.is_some(),
            history: &facts.history,
            accept_risk: self.parts.claim.accept_risk,
            heard,
        };
        question.decide()
    }

    /// Writes down what was decided, and takes the note away that the key is new: it vouches once.
    pub(super) async fn settle(
        &mut self,
        decision: Decision,
        facts: &LogFacts,
        heard: Option<PeerReport>,
    ) -> Result<Result<(), String>, NodeError> {
        let (operator, key) = (self.operator().into_array(), self.key().into_array());
        let signers = &self.parts.signers;
        let now = clock::now().millis();
        match decision {
            Decision::Refuse(why) => return Ok(Err(self.refused(why).await?)),
            Decision::GoOn if covers(&self.parts.record, &key) => {}
            Decision::GoOn => {
                tracing::info!(key = %self.key(), "the signing log goes on with another key");
                signers.go_on(&operator, &key)?.await?;
            }
            Decision::Young => {
                tracing::warn!(key = %self.key(), "the signing log begins with this key: what is older is not signed at first");
                signers.begin(&operator, &key, now)?.await?;
            }
            Decision::Whole(origin) => {
                let sequence = heard.map_or(0, |heard| heard.sequence);
                self.base = self.base.max(sequence);
                self.establish(origin, sequence).await?;
            }
        }
        let seen = facts.present.0.0;
        signers.seen(&operator, seen)?.await?;
        let note = self.parts.claim.new_key.take();
        match note.map(|note| note.take_away()) {
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
        let (operator, key) = (self.operator(), self.key());
        match origin {
            LogOrigin::RiskAccepted => tracing::warn!(%operator, %key,
                "signing with a log that may lack signatures, as its operator wants; this is noted"),
            _ => {
                tracing::info!(%operator, %key, origin = origin.as_str_name(), "the signing log is whole");
            }
        }
        let (operator, key) = (operator.into_array(), key.into_array());
        let now = clock::now().millis();
        let signers = &self.parts.signers;
        signers
            .establish(&operator, &key, (origin, sequence), now)?
            .await?;
        Ok(())
    }

    /// What to tell. That another process went on is noted: another key must not make it forgotten.
    async fn refused(&self, why: Why) -> Result<String, NodeError> {
        if let Why::Behind(sequence) = why
            && standing(&self.parts.record) != LogStanding::Unknown
        {
            let operator = self.operator().into_array();
            self.parts.signers.behind(&operator, sequence)?.await?;
        }
        Ok(format!("nothing is signed: {}. {CURES}", self.reason(why)))
    }

    fn reason(&self, why: Why) -> String {
        let (operator, key, base) = (self.operator(), self.key(), self.base);
        match why {
            Why::Missing => format!(
                "the home chain has known operator {operator} for some time, and this store has no \
                 signing log of it"
            ),
            Why::Restored(at) => format!(
                "this store was restored from a backup at {at} (Unix milliseconds), and what {operator} \
                 signed after the backup is not in it"
            ),
            Why::Behind(sequence) => format!(
                "{operator} was active until {sequence} (Unix milliseconds) with another store, and this \
                 one knows it until {base} only: export the log there, import it here"
            ),
            Why::Stranger(Address::ZERO, epoch) => format!(
                "this store has not been used since before epoch {epoch}, which is too long ago to look \
                 through"
            ),
            Why::Stranger(other, epoch) => format!(
                "{operator} had signing key {other} in epoch {epoch}, and what that signed is not in \
                 this store"
            ),
            Why::UnknownKey => format!(
                "{key} has counted for some time, and what it signed is not in this store: it may have \
                 been used with another one"
            ),
        }
    }
}

/// What to do about it.
const CURES: &str = "Import a newer log (`node keys log import`), or take another key (`node keys new`, \
    `node change-key`), which at first signs only what is younger than itself, or start once with \
    --accept-double-signing-risk";
