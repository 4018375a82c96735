//! The set of an epoch and the certificate that handed over to it.

use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::{Epoch, EpochUpdate, OperatorSet, Statement, wire};
use quorate_storage::schema;

use super::{Answerer, Failure, error, invalid, store_error, unavailable};
use crate::tasks::driver::ReadTrace;
use crate::tasks::handover::{certificate_by, certificate_over};

impl Answerer {
    pub(super) async fn epoch_update(
        &self,
        query: &wire::EpochUpdateQuery,
    ) -> Result<ReplyKind, Failure> {
        let next = Epoch(query.next_epoch);
        let set = self.set_of(next)?;
        let found = match query.by_epoch.map(Epoch) {
            None => certificate_over(&self.node.store, next),
            Some(by) => certificate_by(&self.node.store, by, next),
        };
        let certificate = found.map_err(|e| unavailable(e.to_string()))?;
        if let (None, Some(by)) = (&certificate, query.by_epoch) {
            self.bridge(Epoch(by), next).await?;
        }
        Ok(ReplyKind::EpochUpdate(wire::EpochUpdateReply {
            set: Some(set),
            certificate: certificate.as_ref().map(Into::into),
        }))
    }

    /// Has the set of an epoch name a later one than the next, for a light registry that holds nothing later.
    async fn bridge(&self, by: Epoch, next: Epoch) -> Result<(), Failure> {
        let view = self.node.home.view();
        let is_asked = self.me.is_some() && !self.node.closing.is_cancelled();
        if !is_asked {
            return Err(unavailable("only operators have sets certified; ask one"));
        }
        let (Some(named), Some(signers)) = (
            view.set(next).filter(|set| set.is_whole()),
            view.set(by).or_else(|| view.past(by)),
        ) else {
            let newest = view
                .newest()
                .map_or("none".to_owned(), |epoch| epoch.to_string());
            let text = format!(
                "epoch {by} cannot name epoch {next} any more, or not yet: the set of the first must be one whose \
                 certificates hold, the second the present epoch or one that is fixed; the newest here is {newest}"
            );
            return Err(error(wire::ErrorCode::UnknownEpoch, false, text));
        };
        let Some(update) = EpochUpdate::hand_over(by, named) else {
            return Err(invalid("by_epoch must be before next_epoch"));
        };
        tracing::info!(%by, %next, "a set is asked to name a later one");
        let statement = Statement::EpochUpdate(update);
        let asked = self
            .node
            .driver
            .ask(statement, signers.clone(), ReadTrace::default());
        // The task runs on by itself; the user who asked asks again.
        drop(asked.await);
        Ok(())
    }

    /// The set of an epoch, in use or kept.
    fn set_of(&self, epoch: Epoch) -> Result<wire::OperatorList, Failure> {
        let view = self.node.home.view();
        if let Some(set) = view.set(epoch) {
            return Ok(set.as_ref().into());
        }
        if let Some(record) = self
            .node
            .store
            .get(schema::SETS, &epoch.0)
            .map_err(store_error)?
        {
            let set = OperatorSet::try_from(&record).map_err(|e| unavailable(e.to_string()))?;
            return Ok((&set).into());
        }
        Err(match view.current.map(|set| set.epoch()) {
            None => unavailable("the operator set is not known yet; try again soon"),
            Some(current) if epoch > current => error(
                wire::ErrorCode::NotFinal,
                true,
                format!(
                    "the set of epoch {epoch} is not final yet, this is epoch {current}; ask again \
                     in the grace period before it"
                ),
            ),
            Some(_) => error(
                wire::ErrorCode::UnknownEpoch,
                false,
                format!(
                    "the set of epoch {epoch} is not kept here, this node did not run then; ask \
                     another operator"
                ),
            ),
        })
    }
}
