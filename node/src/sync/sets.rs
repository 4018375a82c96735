//! Operator sets of epochs in which this node did not run.
//!
//! A peer names the set, which alone is worth nothing. It is believed where the set before, which this
//! node knows, has certified it; or where the home chain says the same at a final block: the contract
//! keeps keys and weights of all epochs, so who the members are is all that must be told, and their
//! weights add up to the total only if no member was left out.

use libp2p::PeerId;
use quorate_proto::store::{OperatorSetRecord, SetSource};
use quorate_proto::wire::sync_answer::Kind as ReplyKind;
use quorate_proto::wire::sync_query::Kind as RequestKind;
use quorate_proto::{Address, Certificate, Epoch, EpochUpdate, OperatorSet, Statement, wire};
use quorate_storage::{Batch, Durability, schema};

use super::fetch::Fetcher;
use super::link::{AskError, Link};

impl Fetcher {
    /// Whether the set of an epoch is known now.
    pub(super) async fn obtain_set(
        &self,
        id: PeerId,
        link: &mut Link,
        epoch: Epoch,
    ) -> Result<bool, AskError> {
        if self.sets.of(epoch)?.is_some() {
            return Ok(true);
        }
        let query = wire::EpochUpdateQuery {
            next_epoch: epoch.0,
            by_epoch: None,
        };
        let reply = match self.ask(id, link, RequestKind::Set(query)).await {
            Ok(ReplyKind::Set(reply)) => reply,
            Ok(_) => return Err(AskError::Fault("answers something else".into())),
            Err(AskError::Refused(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let claimed = claimed_set(epoch, &reply)?;
        let (set, source) = match self.is_handed_over(&claimed, reply.certificate.as_ref())? {
            true => (claimed, SetSource::HandedOver),
            false => match self.read_home(&claimed).await? {
                Some(set) => (set, SetSource::Compared),
                None => return Ok(false),
            },
        };
        let mut record = OperatorSetRecord::from(&set);
        record.set_source(source);
        let mut batch = Batch::new();
        batch.put(schema::SETS, &epoch.0, &record);
        self.writes.write(batch, Durability::Buffered).await?;
        tracing::info!(%epoch, operators = set.members().len(), "set of a past epoch verified");
        Ok(true)
    }

    /// Whether a set that this node knows has certified it.
    fn is_handed_over(
        &self,
        claimed: &OperatorSet,
        certificate: Option<&wire::Certificate>,
    ) -> Result<bool, AskError> {
        let Some(message) = certificate else {
            return Ok(false);
        };
        let bad = |error: &dyn std::fmt::Display| AskError::Fault(error.to_string());
        let certificate = Certificate::try_from(message).map_err(|e| bad(&e))?;
        let Statement::EpochUpdate(update) = certificate.statement() else {
            return Err(bad(&"the certificate is of something else"));
        };
        if EpochUpdate::hand_over(update.epoch, claimed).as_ref() != Some(update) {
            return Err(bad(&"the certificate is over another set"));
        }
        let Some(signers) = self.sets.of(update.epoch)? else {
            return Ok(false);
        };
        let verified = certificate.verify(&signers, &self.domain);
        verified.map_err(|e| bad(&e))?;
        Ok(true)
    }

    /// What the home chain says of these members; `None` where it cannot be asked, or they are not all.
    async fn read_home(&self, claimed: &OperatorSet) -> Result<Option<OperatorSet>, AskError> {
        let Some(head) = self.reader.final_head() else {
            return Ok(None);
        };
        let members: Vec<Address> = claimed.members().iter().map(|m| m.address).collect();
        let epoch = claimed.epoch();
        let set = match self.reader.members(epoch, &members, head.hash).await {
            Ok(set) => set,
            Err(error) => {
                tracing::warn!(%epoch, %error, "the set of a past epoch cannot be read now");
                return Ok(None);
            }
        };
        if set != *claimed {
            let text = format!("the home chain has another set for epoch {epoch}");
            return Err(AskError::Fault(text));
        }
        Ok(Some(set))
    }
}

pub(super) fn claimed_set(
    epoch: Epoch,
    reply: &wire::EpochUpdateReply,
) -> Result<OperatorSet, AskError> {
    let list = reply.set.as_ref();
    let list = list.ok_or_else(|| AskError::Fault("no set".into()))?;
    let set = OperatorSet::try_from(list).map_err(|e| AskError::Fault(e.to_string()))?;
    if set.epoch() != epoch {
        return Err(AskError::Fault("another set than asked for".into()));
    }
    // The hash does not cover it.
    if !set.is_whole() {
        return Err(AskError::Fault("weights that do not add up".into()));
    }
    Ok(set)
}
