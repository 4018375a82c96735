//! How a log that begins with its key becomes good for everything.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use quorate_chain::{ChainError, Withdrawal};
use quorate_proto::store::{LogBeginning, LogOrigin};
use quorate_storage::{LogStanding, standing};

use super::LeaseTask;
use super::history::{Asked, present};
use super::young::{Youth, reaches};
use crate::NodeError;

/// Since when the key counts, if it does, and how long what it lacks is evidence.
pub(super) type Look = BoxFuture<'static, Result<(LogBeginning, Withdrawal), ChainError>>;

impl LeaseTask {
    /// What the log is good for, before the home chain was asked.
    pub(super) fn show_youth(&self) -> Result<(), NodeError> {
        let record = self.parts.signers.get(&self.operator().into_array())?;
        let youth = match standing(&record) {
            LogStanding::Young => Youth::Unborn,
            _ => Youth::Over,
        };
        self.youth.send_replace(youth);
        Ok(())
    }

    /// What is to be found out of a young log; nothing of others.
    pub(super) fn look(&self) -> Result<Option<Look>, NodeError> {
        if *self.youth.borrow() != Youth::Unborn {
            return Ok(None);
        }
        let operator = self.operator();
        let record = self.parts.signers.get(&operator.into_array())?;
        let (reader, home) = (self.parts.reader.clone(), self.parts.home.clone());
        let beginning = record.beginning.unwrap_or_default();
        if beginning.time == 0 && !self.counts_now() {
            return Ok(None);
        }
        let look = async move {
            let reader = reader.as_ref();
            let asked = Asked { reader, operator };
            let reach = asked.withdrawal().await?;
            let beginning = match beginning.time {
                0 => asked.begin(beginning, present(&home).await).await?,
                _ => beginning,
            };
            Ok((beginning, reach))
        };
        Ok(Some(look.boxed()))
    }

    /// Whether the key is the operator's in the present epoch.
    fn counts_now(&self) -> bool {
        let current = self.parts.home.view().current;
        let member = current.and_then(|set| set.get(self.operator()).copied());
        member.is_some_and(|member| member.signing_key == self.key())
    }

    /// Takes what was found; what the home chain did not answer is asked again.
    pub(super) async fn grow(
        &self,
        found: Result<(LogBeginning, Withdrawal), ChainError>,
    ) -> Result<(), NodeError> {
        let (beginning, reach) = match found {
            Ok(found) => found,
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "the home chain is asked again since when the signing key counts");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let operator = self.operator().into_array();
        self.parts.signers.began(&operator, &beginning)?.await?;
        let record = self.parts.signers.get(&operator)?;
        if reaches(record.imported_ms, &beginning) {
            return self.come_of_age(LogOrigin::Imported).await;
        }
        self.youth.send_replace(Youth::of(&beginning, reach));
        Ok(())
    }

    /// Once nothing that it lacks is evidence any more.
    pub(super) async fn mature(&self) -> Result<(), NodeError> {
        let youth = *self.youth.borrow();
        let head = self.parts.home.view().head;
        match youth != Youth::Over && youth.is_over(head) {
            true => self.come_of_age(LogOrigin::Outgrown).await,
            false => Ok(()),
        }
    }

    async fn come_of_age(&self, origin: LogOrigin) -> Result<(), NodeError> {
        self.establish(origin, 0).await?;
        self.youth.send_replace(Youth::Over);
        Ok(())
    }
}
