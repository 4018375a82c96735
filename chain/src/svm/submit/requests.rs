//! What is asked of a provider by those who send, at the commitment "confirmed": what that shows stays but for a catastrophe,
//! and blockhashes from there have almost all of their lifetime before them.

use alloy::primitives::B256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::PublicKey;
use super::super::accounts::{HEAD, Held};
use super::super::calls::Signature;
use super::super::provider::SvmProvider;
use super::errors::Failure;
use crate::Inclusion;
use crate::rpc::{Call, ProviderError, decode};

const COMMITMENT: &str = "confirmed";

/// With the slot that it is of, which does not matter here.
#[derive(Deserialize)]
struct Within<T> {
    value: T,
}

#[derive(Deserialize)]
struct ShownAccount {
    owner: PublicKey,
    data: (String, String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Latest {
    blockhash: PublicKey,
    last_valid_block_height: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Price {
    prioritization_fee: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Simulated {
    err: Option<Value>,
    units_consumed: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    slot: u64,
    err: Option<Value>,
    confirmation_status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShownBlock {
    block_height: u64,
    blockhash: PublicKey,
}

#[derive(Deserialize)]
struct ShownTransaction {
    meta: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    compute_units_consumed: Option<u64>,
}

impl ShownAccount {
    fn read(self) -> Result<Held, ProviderError> {
        match (STANDARD.decode(&self.data.0), self.data.1.as_str()) {
            (Ok(data), "base64") if data.len() <= HEAD => Ok(Held {
                owner: self.owner,
                data,
            }),
            _ => Err(ProviderError::malformed(
                "the data of an account is not as was asked for",
            )),
        }
    }
}

/// The quarter, the half and three quarters of blocks paid no more than this at their least.
fn quartiles(prices: &[Price]) -> [u64; 3] {
    let mut prices: Vec<u64> = prices
        .iter()
        .map(|price| price.prioritization_fee)
        .collect();
    prices.sort_unstable();
    [1, 2, 3].map(|quarter| {
        prices
            .get(prices.len() * quarter / 4)
            .copied()
            .unwrap_or_default()
    })
}

impl SvmProvider {
    async fn read<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, ProviderError> {
        let params = params.to_string();
        let answer = self.ask(Call { method, params }).await?;
        decode(&answer, self.as_ref().url())
    }

    pub(super) async fn block_height(&self) -> Result<u64, ProviderError> {
        self.read("getBlockHeight", json!([{"commitment": COMMITMENT}]))
            .await
    }

    pub(super) async fn lamports(&self, of: PublicKey) -> Result<u64, ProviderError> {
        let params = json!([of.to_string(), {"commitment": COMMITMENT}]);
        let balance: Within<u64> = self.read("getBalance", params).await?;
        Ok(balance.value)
    }

    /// What transactions of late have paid for a compute unit.
    pub(super) async fn prices(&self) -> Result<[u64; 3], ProviderError> {
        let prices: Vec<Price> = self.read("getRecentPrioritizationFees", json!([])).await?;
        Ok(quartiles(&prices))
    }

    /// The first bytes of these accounts, all of one slot.
    pub(super) async fn accounts(
        &self,
        wanted: &[PublicKey],
    ) -> Result<Vec<Option<Held>>, ProviderError> {
        let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let options = json!({
            "commitment": COMMITMENT, "encoding": "base64", "dataSlice": {"offset": 0, "length": HEAD},
        });
        let params = json!([names, options]);
        let shown: Within<Vec<Option<ShownAccount>>> =
            self.read("getMultipleAccounts", params).await?;
        if shown.value.len() != wanted.len() {
            return Err(ProviderError::malformed(
                "not as many accounts as were asked for",
            ));
        }
        let held = shown.value.into_iter();
        held.map(|account| account.map(ShownAccount::read).transpose())
            .collect()
    }

    /// The last height of the newest blockhash, and that.
    pub(super) async fn latest_blockhash(&self) -> Result<(u64, PublicKey), ProviderError> {
        let params = json!([{"commitment": COMMITMENT}]);
        let latest: Within<Latest> = self.read("getLatestBlockhash", params).await?;
        Ok((latest.value.last_valid_block_height, latest.value.blockhash))
    }

    pub(super) async fn is_valid(&self, blockhash: PublicKey) -> Result<bool, ProviderError> {
        let params = json!([blockhash.to_string(), {"commitment": COMMITMENT}]);
        let valid: Within<bool> = self.read("isBlockhashValid", params).await?;
        Ok(valid.value)
    }

    /// The compute units that a transaction would use, or how it would fail.
    pub(super) async fn simulate(
        &self,
        transaction: &[u8],
    ) -> Result<Result<u64, Failure>, ProviderError> {
        let options = json!({
            "commitment": COMMITMENT, "encoding": "base64", "sigVerify": false, "replaceRecentBlockhash": true,
        });
        let params = json!([STANDARD.encode(transaction), options]);
        let outcome: Within<Simulated> = self.read("simulateTransaction", params).await?;
        match (outcome.value.err, outcome.value.units_consumed) {
            (Some(err), _) => Ok(Err(Failure::of(&err))),
            (None, Some(units)) => Ok(Ok(units)),
            (None, None) => Err(ProviderError::malformed(
                "a simulation without its compute units",
            )),
        }
    }

    /// Takes a transaction on its way. One that was executed before is as good.
    pub(super) async fn send(
        &self,
        transaction: &[u8],
        id: Option<Signature>,
    ) -> Result<(), ProviderError> {
        const PROCESSED: [&str; 2] = ["already been processed", "alreadyprocessed"];
        let options = json!({"encoding": "base64", "skipPreflight": true, "maxRetries": 0});
        let params = json!([STANDARD.encode(transaction), options]);
        match self.read::<String>("sendTransaction", params).await {
            Ok(found) if id.is_some_and(|id| id.to_string() == found) => Ok(()),
            Ok(_) => Err(ProviderError::malformed(
                "the signature of another transaction",
            )),
            Err(error) if error.rpc().is_some_and(|error| error.says(&PROCESSED)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Where a transaction is; `None` where it is in no confirmed block.
    pub(super) async fn inclusion(
        &self,
        signature: Signature,
    ) -> Result<Option<Inclusion>, ProviderError> {
        let name = signature.to_string();
        let params = json!([[name], {"searchTransactionHistory": true}]);
        let statuses: Within<Vec<Option<Status>>> =
            self.read("getSignatureStatuses", params).await?;
        let status = statuses.value.into_iter().next().flatten();
        let Some((status, is_final)) = status.and_then(|status| {
            let is_final = match status.confirmation_status.as_deref() {
                Some("finalized") => true,
                Some("confirmed") => false,
                _ => return None,
            };
            Some((status, is_final))
        }) else {
            return Ok(None);
        };
        let options = json!({
            "commitment": COMMITMENT, "transactionDetails": "none", "rewards": false,
            "maxSupportedTransactionVersion": 0,
        });
        let block = self.read::<Option<ShownBlock>>("getBlock", json!([status.slot, options]));
        let options = json!({
            "commitment": COMMITMENT, "encoding": "base64", "maxSupportedTransactionVersion": 0,
        });
        let shown = self.read::<Option<ShownTransaction>>("getTransaction", json!([name, options]));
        let (block, shown) = tokio::try_join!(block, shown)?;
        let unknown = || ProviderError::Unknown(format!("the block of slot {}", status.slot));
        let block = block.ok_or_else(unknown)?;
        let used = shown.and_then(|shown| shown.meta.compute_units_consumed);
        Ok(Some(Inclusion {
            block: block.block_height,
            block_hash: B256::from(block.blockhash.0),
            succeeded: status.err.is_none(),
            gas_used: used.unwrap_or_default(),
            is_final,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_quartiles() {
        let of = |prices: &[u64]| {
            let price = |fee: &u64| Price {
                prioritization_fee: *fee,
            };
            quartiles(&prices.iter().map(price).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), [0; 3]);
        assert_eq!(of(&[9]), [9; 3]);
        assert_eq!(of(&[7, 1, 5, 3]), [3, 5, 7]);
    }
}
