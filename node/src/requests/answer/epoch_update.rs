//! The set of an epoch and the certificate that handed over to it.

use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::{Epoch, OperatorSet, wire};
use quorate_storage::schema;

use super::{Answerer, Failure, error, store_error, unavailable};
use crate::handover::certificate_over;

impl Answerer {
    pub(super) fn epoch_update(&self, next: Epoch) -> Result<ReplyKind, Failure> {
        let set = self.set_of(next)?;
        let certificate =
            certificate_over(&self.store, next).map_err(|e| unavailable(e.to_string()))?;
        Ok(ReplyKind::EpochUpdate(wire::EpochUpdateReply {
            set: Some(set),
            certificate: certificate.as_ref().map(Into::into),
        }))
    }

    /// The set of an epoch, in use or kept.
    fn set_of(&self, epoch: Epoch) -> Result<wire::OperatorList, Failure> {
        let view = self.home.view();
        if let Some(set) = view.set(epoch) {
            return Ok(set.as_ref().into());
        }
        if let Some(record) = self
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
