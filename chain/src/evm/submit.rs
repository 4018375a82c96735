//! Sends transactions to an EVM chain, and says what became of them.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U64, U128};
use futures::future::{BoxFuture, FutureExt};
use quorate_proto::{B256, U256};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::events::address_of;
use super::provider::{EvmProvider, run_outcome};
use super::{EvmClient, calls, transaction};
use crate::config::ChainClient;
use crate::rpc::{Call, ProviderError};
use crate::{
    AccountState, At, Broadcast, ChainError, ChainFamily, ContractCall, FeeQuote, Inclusion,
    Providers, ReadLog, SignedTransaction, Submitter, TransactionDraft, UnsignedTransaction,
};

/// Sends through a client that others may share.
pub struct EvmSubmitter {
    client: Arc<EvmClient>,
}

/// The part of a receipt that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MinedReceipt {
    block_number: U64,
    block_hash: B256,
    status: U64,
    gas_used: U64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistory {
    base_fee_per_gas: Vec<U128>,
    #[serde(default)]
    reward: Option<Vec<Vec<U128>>>,
}

impl FeeHistory {
    /// The base fee comes last, as it is that of the block to come; of each tip the median over the blocks.
    fn quote(self) -> Option<FeeQuote> {
        let base = self.base_fee_per_gas.last()?.to();
        let blocks = self.reward.unwrap_or_default();
        let tip = |percentile: usize| {
            let mut tips: Vec<U128> = blocks
                .iter()
                .filter_map(|block| block.get(percentile).copied())
                .collect();
            tips.sort_unstable();
            tips.get(tips.len() / 2).map_or(0, |tip| tip.to())
        };
        Some(FeeQuote {
            base,
            tips: [tip(0), tip(1), tip(2)],
        })
    }
}

impl EvmSubmitter {
    /// Nothing is asked before the client is connected or runs.
    #[must_use]
    pub const fn new(client: Arc<EvmClient>) -> Self {
        Self { client }
    }

    /// What each of enough providers makes of a question.
    async fn gather<'a, T, Q>(
        &'a self,
        question: impl Fn(&'a EvmProvider) -> Q,
    ) -> Result<Vec<(usize, T)>, ChainError>
    where
        Q: Future<Output = Result<T, ProviderError>>,
    {
        let said = self.client.pool().gather(|_, provider| question(provider));
        Ok(said.await?)
    }

    async fn read_height(&self) -> Result<u64, ChainError> {
        let said = self.gather(|provider| provider.read::<U64>(calls::block_number()));
        let said = said.await?;
        self.client
            .pool()
            .reached(&said, |height| height.to::<u64>())
    }

    async fn read_account(&self, address: B256) -> Result<AccountState, ChainError> {
        let address = address_of(address)?;
        let said = self.gather(|provider| provider.account(address)).await?;
        let pool = self.client.pool();
        let mined = pool.reached(&said, |account| account.mined)?;
        let pending = pool.reached(&said, |account| account.pending)?;
        Ok(AccountState {
            mined,
            pending: pending.max(mined),
            balance: pool.reached(&said, |account| account.balance)?,
        })
    }

    async fn read_fees(&self) -> Result<FeeQuote, ChainError> {
        let said = self.gather(EvmProvider::fees).await?;
        let pool = self.client.pool();
        let tip = |index: usize| pool.reached(&said, |quote| quote.tips[index]);
        Ok(FeeQuote {
            base: pool.reached(&said, |quote| quote.base)?,
            tips: [tip(0)?, tip(1)?, tip(2)?],
        })
    }

    /// Where enough say that it would revert, it would; where enough do not, it takes as much as they reach.
    async fn run_estimate(&self, call: &ContractCall) -> Result<u64, ChainError> {
        let (contract, params) = params(call)?;
        let said = self.gather(|provider| provider.run(calls::estimate(&params)));
        let said: Vec<(usize, Result<U64, Bytes>)> = said.await?;
        let (mut estimates, mut reverts) = (Vec::new(), Vec::new());
        for (index, outcome) in said {
            match outcome {
                Ok(gas) => estimates.push((index, gas.to::<u64>())),
                Err(data) => reverts.push((index, data)),
            }
        }
        if let Ok(gas) = self.client.pool().reached(&estimates, |gas| *gas) {
            return Ok(gas);
        }
        let by: Vec<usize> = reverts.iter().map(|(index, _)| *index).collect();
        if !self.client.pool().rule().suffices(&by) {
            let detail = format!("{} would revert as some providers say", call.name);
            return Err(ChainError::Disagreement { detail });
        }
        // Some leave the data out.
        let data = reverts.into_iter().map(|(_, data)| data);
        let data = data.max_by_key(|data| data.len()).unwrap_or_default();
        Err(ChainError::Reverted {
            contract: contract.to_string(),
            call: call.name,
            data,
        })
    }

    async fn run_call(&self, call: &ContractCall) -> Result<Bytes, ChainError> {
        let (contract, params) = params(call)?;
        let question = |_, provider| EvmProvider::run(provider, calls::run(&params));
        let outcome = self.client.pool().ask_unpinned(question).await?;
        outcome.map_err(|data| ChainError::Reverted {
            contract: contract.to_string(),
            call: call.name,
            data,
        })
    }

    async fn hand_out(&self, transaction: &SignedTransaction) -> Broadcast {
        let send = |provider| EvmProvider::send(provider, &transaction.raw, &transaction.id);
        self.client.pool().hand_out(send).await
    }

    async fn read_receipt(&self, id: &[u8]) -> Result<Option<Inclusion>, ChainError> {
        let hash = B256::try_from(id).map_err(|_| ChainError::Malformed {
            what: "id of a transaction",
            detail: format!("{} bytes, where a hash has 32", id.len()),
        })?;
        let question = |_, provider| EvmProvider::read(provider, calls::receipt(hash));
        let mined: Option<MinedReceipt> = self.client.pool().ask_unpinned(question).await?;
        let Some(mined) = mined else {
            return Ok(None);
        };
        let (block, block_hash) = (mined.block_number.to(), mined.block_hash);
        Ok(Some(Inclusion {
            block,
            block_hash,
            succeeded: mined.status == U64::from(1),
            gas_used: mined.gas_used.to(),
            is_final: self.is_final(block, block_hash).await?,
        }))
    }

    async fn is_final(&self, number: u64, hash: B256) -> Result<bool, ChainError> {
        let is_below = |head: &crate::BlockRef| head.number >= number;
        if !self.client.final_head().as_ref().is_some_and(is_below) {
            return Ok(false);
        }
        let snapshot = self.client.snapshot(At::Block(number), is_below).await?;
        let log = ReadLog::default();
        let known = self.client.agreed(snapshot, number, &log).await?;
        self.client.still_valid(snapshot, known.block.hash == hash)
    }
}

/// The contract, and a call of it as JSON.
fn params(call: &ContractCall) -> Result<(Address, String), ChainError> {
    let contract = address_of(call.contract)?;
    let from = call.from.map(address_of).transpose()?;
    let from = from.map_or_else(String::new, |from| format!(r#""from":"{from:#x}","#));
    let (value, data) = (call.value, &call.data);
    let params = format!(r#"{{{from}"to":"{contract:#x}","value":"{value:#x}","data":"{data}"}}"#);
    Ok((contract, params))
}

/// What is asked of a provider by those who send.
impl EvmProvider {
    async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, ProviderError> {
        let answer = self.ask(call).await?;
        crate::rpc::decode(&answer, self.url())
    }

    /// What comes of running code, or the data with which it reverts.
    async fn run<T: DeserializeOwned>(
        &self,
        call: Call,
    ) -> Result<Result<T, Bytes>, ProviderError> {
        run_outcome(self.ask(call).await, self.url())
    }

    async fn account(&self, address: Address) -> Result<AccountState, ProviderError> {
        let count = |tag| self.read::<U64>(calls::transaction_count(address, tag));
        let balance = self.read::<U256>(calls::balance(address));
        let (mined, pending, balance) = tokio::join!(count("latest"), count("pending"), balance);
        let mined = mined?.to();
        Ok(AccountState {
            mined,
            // Some keep no transactions that wait.
            pending: pending.map_or(mined, |pending| pending.to()),
            balance: balance?,
        })
    }

    async fn fees(&self) -> Result<FeeQuote, ProviderError> {
        let history: FeeHistory = self.read(calls::fee_history()).await?;
        let nothing = || ProviderError::malformed("a fee history of no block");
        history.quote().ok_or_else(nothing)
    }

    async fn send(&self, raw: &Bytes, hash: &[u8]) -> Result<(), ProviderError> {
        let found: B256 = self.read(calls::send(raw)).await?;
        match found == hash {
            true => Ok(()),
            false => Err(ProviderError::malformed("the hash of another transaction")),
        }
    }
}

impl Submitter for EvmSubmitter {
    fn chain_id(&self) -> u64 {
        self.client.chain_id()
    }

    fn family(&self) -> ChainFamily {
        ChainFamily::Evm
    }

    fn providers(&self) -> Providers {
        self.client.providers()
    }

    fn height(&self) -> BoxFuture<'_, Result<u64, ChainError>> {
        self.read_height().boxed()
    }

    fn account(&self, address: B256) -> BoxFuture<'_, Result<AccountState, ChainError>> {
        self.read_account(address).boxed()
    }

    fn fees(&self) -> BoxFuture<'_, Result<FeeQuote, ChainError>> {
        self.read_fees().boxed()
    }

    fn estimate<'a>(&'a self, call: &'a ContractCall) -> BoxFuture<'a, Result<u64, ChainError>> {
        self.run_estimate(call).boxed()
    }

    fn call<'a>(&'a self, call: &'a ContractCall) -> BoxFuture<'a, Result<Bytes, ChainError>> {
        self.run_call(call).boxed()
    }

    fn prepare<'a>(
        &'a self,
        draft: &'a TransactionDraft,
    ) -> BoxFuture<'a, Result<UnsignedTransaction, ChainError>> {
        let digest = transaction::digest(self.chain_id(), draft);
        let unsigned = digest.map(|digest| UnsignedTransaction {
            payload: digest.into(),
            valid_until: None,
        });
        std::future::ready(unsigned).boxed()
    }

    fn complete(
        &self,
        draft: &TransactionDraft,
        _unsigned: &UnsignedTransaction,
        signature: &[u8],
    ) -> Result<SignedTransaction, ChainError> {
        transaction::signed(self.chain_id(), draft, signature)
    }

    fn broadcast<'a>(&'a self, transaction: &'a SignedTransaction) -> BoxFuture<'a, Broadcast> {
        self.hand_out(transaction).boxed()
    }

    fn receipt<'a>(&'a self, id: &'a [u8]) -> BoxFuture<'a, Result<Option<Inclusion>, ChainError>> {
        self.read_receipt(id).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_base_fee_comes_last_and_tips_are_medians() {
        let quote = |json: &str| {
            let history: FeeHistory = serde_json::from_str(json).expect("JSON");
            history.quote()
        };
        let json = r#"{"baseFeePerGas":["0x1","0x2","0x7"],"oldestBlock":"0x1",
            "reward":[["0x9","0x9","0x9"],["0x1","0x2","0x3"],["0x2","0x3","0x4"]]}"#;
        let expected = FeeQuote {
            base: 7,
            tips: [2, 3, 4],
        };
        assert_eq!(quote(json), Some(expected));
        let bare = quote(r#"{"baseFeePerGas":["0x1"],"reward":null}"#);
        assert_eq!(
            bare.map(|quote| (quote.base, quote.tips)),
            Some((1, [0; 3]))
        );
        assert_eq!(quote(r#"{"baseFeePerGas":[]}"#), None);
    }

    #[test]
    fn calls_are_written_with_all_that_they_have() {
        let mut call = ContractCall {
            name: "f()",
            from: None,
            contract: Address::repeat_byte(1).into_word(),
            data: Bytes::from([0xab]),
            value: U256::from(10),
        };
        let to = "0x0101010101010101010101010101010101010101";
        let text = |call: &ContractCall| params(call).map(|(_, text)| text);
        let expected = format!(r#"{{"to":"{to}","value":"0xa","data":"0xab"}}"#);
        assert_eq!(text(&call), Ok(expected));
        call.from = Some(call.contract);
        let expected = format!(r#"{{"from":"{to}","to":"{to}","value":"0xa","data":"0xab"}}"#);
        assert_eq!(text(&call), Ok(expected));
        call.from = Some(B256::repeat_byte(1));
        assert!(text(&call).is_err());
    }
}
