//! One JSON-RPC provider: the connection, which chain it serves, and how it fares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::transports::http::reqwest::Client;
use serde_json::value::RawValue;

use super::RpcUrl;
use super::batcher::Batcher;
use super::calls::{self, Ended, Header, Log, decode};
use super::proof::answer::ProofAnswer;
use super::rpc::{Answer, Call, Failure};
use super::shown::Shown;

/// How a provider fares, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderStatus {
    /// Its URL without secrets.
    pub provider: String,
    /// Why it does not count at present, or should not; `None` while all is well.
    pub problem: Option<String>,
    /// False proofs that it sent since the start.
    pub lies: u64,
}

/// One JSON-RPC provider. Its answers count only once it has shown that it serves the right chain.
pub(super) struct Provider {
    batcher: Batcher,
    name: Arc<str>,
    chain_id: u64,
    standing: Mutex<Standing>,
    shown: Shown,
}

/// What is known of a provider.
struct Standing {
    /// Whether it reported the right chain id, or why that is not known.
    chain: Result<(), Failure>,
    /// How its last part in a poll went.
    poll: Result<(), Failure>,
}

impl Provider {
    pub(super) fn new(http: Client, url: RpcUrl, chain_id: u64) -> Self {
        Self {
            name: url.to_string().into(),
            batcher: Batcher::new(http, url),
            chain_id,
            standing: Mutex::new(Standing {
                chain: Err(Failure::Unverified),
                poll: Ok(()),
            }),
            shown: Shown::default(),
        }
    }

    pub(super) fn url(&self) -> &RpcUrl {
        self.batcher.url()
    }

    /// Its name without secrets.
    pub(super) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> ProviderStatus {
        let standing = self.standing();
        let problem = standing
            .chain
            .as_ref()
            .err()
            .or(standing.poll.as_ref().err());
        ProviderStatus {
            provider: self.url().to_string(),
            problem: problem
                .map(ToString::to_string)
                .or_else(|| self.shown.lie(Instant::now())),
            lies: self.shown.lies(),
        }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.standing().chain.is_ok()
    }

    /// The chain id that it reports, if that is the wrong one.
    pub(super) fn wrong_chain(&self) -> Option<u64> {
        match self.standing().chain {
            Err(Failure::WrongChain(found)) => Some(found),
            _ => None,
        }
    }

    /// Asks which chain it serves.
    pub(super) async fn verify(&self) {
        let verdict = match self.reported_chain().await {
            Ok(found) if found == self.chain_id => Ok(()),
            Ok(found) => Err(Failure::WrongChain(found)),
            Err(failure) => Err(failure),
        };
        let mut standing = self.standing();
        if standing.chain != verdict {
            match &verdict {
                Ok(()) => {
                    tracing::debug!(provider = %self.url(), chain = self.chain_id, "provider serves this chain")
                }
                Err(problem) => {
                    tracing::warn!(provider = %self.url(), chain = self.chain_id, %problem, "provider does not count");
                }
            }
        }
        standing.chain = verdict;
    }

    async fn reported_chain(&self) -> Result<u64, Failure> {
        let answer = self.batcher.call(calls::chain_id()).await?;
        Ok(decode::<U64>(&answer)?.to())
    }

    /// Remembers how its part in a poll went.
    pub(super) fn polled(&self, result: Result<(), Failure>) {
        let mut standing = self.standing();
        match (&standing.poll, &result) {
            (_, Err(Failure::Slow | Failure::Unverified)) => {}
            (Ok(()) | Err(Failure::Slow), Err(problem)) => {
                tracing::warn!(provider = %self.url(), chain = self.chain_id, %problem, "provider fails");
            }
            (Err(_), Ok(())) => {
                tracing::info!(provider = %self.url(), chain = self.chain_id, "provider works again");
            }
            _ => {}
        }
        standing.poll = result;
    }

    async fn call(&self, call: Call) -> Answer {
        if let Err(failure) = &self.standing().chain {
            return Err(match failure {
                Failure::WrongChain(found) => Failure::WrongChain(*found),
                _ => Failure::Unverified,
            });
        }
        self.batcher.call(call).await
    }

    /// The newest height.
    pub(super) async fn height(&self) -> Result<u64, Failure> {
        let answer = self.call(calls::block_number()).await?;
        Ok(decode::<U64>(&answer)?.to())
    }

    /// The block with this tag; `None` where it has none.
    pub(super) async fn tagged(&self, tag: &str) -> Result<Option<Header>, Failure> {
        match self.call(calls::block(tag)).await {
            Ok(answer) => self.read_header(&answer),
            Err(failure) if is_missing(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The block at this height.
    pub(super) async fn header(&self, number: u64) -> Result<Header, Failure> {
        let answer = self.call(calls::block(&format!("{number:#x}"))).await?;
        match self.read_header(&answer)? {
            None => Err(Failure::Unknown(format!("block {number}"))),
            Some(header) if header.number() == number => Ok(header),
            Some(header) => Err(Failure::Malformed(format!(
                "block {} in place of {number}",
                header.number()
            ))),
        }
    }

    fn read_header(&self, answer: &RawValue) -> Result<Option<Header>, Failure> {
        let header = Header::read(answer)?;
        if let Some(header) = header {
            self.shown.header(header.state_root().is_some());
        }
        Ok(header)
    }

    /// The state root of the block with this number and hash, proven by the rest of its header.
    pub(super) async fn state_root(&self, number: u64, hash: B256) -> Result<B256, Failure> {
        let header = self.header(number).await?;
        if header.hash() != hash {
            return Err(Failure::Unknown(format!("block {hash}")));
        }
        header.state_root().ok_or(Failure::NoHeader)
    }

    /// What it showed of proofs.
    pub(super) const fn shown(&self) -> &Shown {
        &self.shown
    }

    /// It was asked to prove something; what came of it is remembered, and a lie told.
    pub(super) fn tried_to_prove(&self, failure: Option<&Failure>) {
        match failure {
            None => self.shown.proved(),
            Some(problem) => {
                if self.shown.failed(problem, Instant::now()) {
                    tracing::warn!(provider = %self.url(), chain = self.chain_id, %problem, "provider lies");
                }
            }
        }
    }

    /// Proofs of these slots of a contract in the state after block `at`; not checked yet.
    pub(super) async fn proof(
        &self,
        of: Address,
        slots: &[U256],
        at: B256,
    ) -> Result<ProofAnswer, Failure> {
        match self.call(calls::proof(of, slots, at)).await {
            Ok(answer) => ProofAnswer::read(answer.get()).map_err(Failure::Malformed),
            Err(failure) if failure.is_no_such_method() => Err(Failure::NoProofs),
            Err(failure) => Err(failure),
        }
    }

    /// A word of a contract's storage in the state after block `at`, as it says.
    pub(super) async fn word(&self, of: Address, slot: U256, at: B256) -> Result<U256, Failure> {
        let answer = self.call(calls::storage_at(of, slot, at)).await?;
        decode(&answer)
    }

    /// Calls a contract at the state after block `at`.
    pub(super) async fn eth_call(
        &self,
        to: Address,
        data: &[u8],
        at: B256,
    ) -> Result<Ended, Failure> {
        ended(self.call(calls::eth_call(to, data, at)).await)
    }

    /// Calls a contract at the newest state of whatever chain this is.
    pub(super) async fn eth_call_latest(&self, to: Address, data: &[u8]) -> Result<Ended, Failure> {
        ended(self.batcher.call(calls::eth_call_latest(to, data)).await)
    }

    /// Whether a contract lives there now, final or not.
    pub(super) async fn has_code(&self, address: Address) -> Result<bool, Failure> {
        let answer = self.call(calls::code(address)).await?;
        Ok(!decode::<Bytes>(&answer)?.is_empty())
    }

    /// Events of one contract.
    pub(super) async fn logs(
        &self,
        address: Address,
        topics: &[B256],
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, Failure> {
        let answer = self.call(calls::logs(address, topics, from, to)).await?;
        decode(&answer)
    }
}

fn ended(answer: Answer) -> Result<Ended, Failure> {
    match answer {
        Ok(answer) => decode(&answer).map(Ended::Returned),
        Err(Failure::Rpc {
            revert: Some(data), ..
        }) => Ok(Ended::Reverted(data)),
        Err(failure) => Err(failure),
    }
}

/// Providers say in several ways that they have no such block, or do not know the tag.
fn is_missing(failure: &Failure) -> bool {
    let Failure::Rpc { code, message, .. } = failure else {
        return false;
    };
    let message = message.to_ascii_lowercase();
    matches!(code, -32602 | -39001)
        || message.contains("not found")
        || message.contains("unknown block")
}
