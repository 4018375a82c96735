//! What a delivery costs.

use quorate_chain::ChainError;
use quorate_proto::U256;
use quorate_storage::schema;

use super::{Bridge, RouteText};
use crate::NodeError;
use crate::api::FeeReport;

/// Gas of a delivery to a receiver who did not hold the token before, by a certificate of 13 of 19 in the short form
/// (docs/benchmarks.md).
const MEASURED_GAS: u64 = 155_500;
/// Deliveries of which the gas is averaged.
const SAMPLES: u64 = 64;

impl Bridge {
    /// Gas of a delivery on a route, and how many of this node's the figure is the mean of: 0 for the measured one.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn gas_of(&self, text: &RouteText) -> Result<(u64, u64), NodeError> {
        let (route, store) = (text.route.id(), self.transfers.store());
        let (mut sum, mut count) = (0_u64, 0);
        for row in store.rows(schema::ENDED_DELIVERIES, &()) {
            let (id, row) = row?;
            if count == SAMPLES {
                break;
            }
            if row.ended_by.is_some() || row.route != route.as_slice() {
                continue;
            }
            let receipt = store.get(schema::DELIVERY_RECEIPTS, &id)?;
            if let Some(receipt) = receipt.filter(|receipt| receipt.succeeded) {
                (sum, count) = (sum.saturating_add(receipt.gas_used), count + 1);
            }
        }
        Ok(sum
            .checked_div(count)
            .map_or((MEASURED_GAS, 0), |mean| (mean, count)))
    }

    /// What that costs now; `None` where this node has no providers of the target.
    ///
    /// # Errors
    /// No quorum of providers answers.
    pub(crate) async fn fee(
        &self,
        text: &RouteText,
        (gas, from_deliveries): (u64, u64),
    ) -> Result<Option<FeeReport>, ChainError> {
        let chain = text.route.target_chain;
        let Some(submitter) = self.submitters.get(&chain) else {
            return Ok(None);
        };
        let quote = submitter.fees().await?;
        let tip = quote.tips[1];
        let price = U256::from(quote.base) + U256::from(tip);
        Ok(Some(FeeReport {
            route: text.to_string(),
            chain,
            gas,
            from_deliveries,
            base_fee: quote.base.to_string(),
            tip: tip.to_string(),
            fee: price.saturating_mul(U256::from(gas)).to_string(),
        }))
    }
}
